"""A result as CSV."""

import json
import re
from collections.abc import Iterator, Sequence

from text2sql.targets.run import QueryResult
from text2sql.targets.values import JsonValue

SPECIAL = re.compile(r'[",\r\n]|^\s|\s$')
FORMULA = re.compile(r"[=+\-@\t\r]")
NUMBER = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?")
PORTION = 500
"""Lines."""


def result_csv(result: QueryResult, *, for_spreadsheet: bool = False) -> Iterator[str]:
    """RFC 4180, some lines at a time with their CRLF, the column names first; to be sent as UTF-8.

    Null is an empty field and an empty text `""`; booleans are `true` and `false`; lists and objects are JSON. The text
    is the data, unchanged: a program reads it. `for_spreadsheet` puts an apostrophe before text that a spreadsheet
    would run as a formula, since a person may open it there.
    """
    yield _line([column.name for column in result.columns], for_spreadsheet)
    for start in range(0, len(result.rows), PORTION):
        yield "".join(_line(row, for_spreadsheet) for row in result.rows[start : start + PORTION])


def _line(values: Sequence[JsonValue], for_spreadsheet: bool) -> str:
    line = ",".join(_field(value, for_spreadsheet) for value in values)
    # A line without a character is no record to many readers.
    return (line or '""') + "\r\n"


def _field(value: JsonValue, for_spreadsheet: bool) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if for_spreadsheet and isinstance(value, str) and FORMULA.match(text) and not NUMBER.fullmatch(text):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if not text or SPECIAL.search(text) else text
