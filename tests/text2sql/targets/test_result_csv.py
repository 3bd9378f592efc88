"""A result as CSV, read back by Python's reader."""

import csv
import io
from typing import Any

import pytest

from text2sql.targets.result_csv import result_csv
from text2sql.targets.run import QueryResult
from text2sql.targets.session import ResultColumn
from text2sql.targets.values import JsonValue


def text_of(rows: list[list[JsonValue]], *names: str, for_spreadsheet: bool = False) -> str:
    result = QueryResult(tuple(ResultColumn(name, "") for name in names), rows, truncated=False, elapsed_ms=0)
    return "".join(result_csv(result, for_spreadsheet=for_spreadsheet))


def test_the_text_is_rfc_4180() -> None:
    rows: list[list[JsonValue]] = [[1, 'say "hi", Ann'], [None, "two\nlines"], [2.5, ""]]
    expected = 'id,a name\r\n1,"say ""hi"", Ann"\r\n,"two\nlines"\r\n2.5,""\r\n'
    assert text_of(rows, "id", "a name") == expected


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (["a", None, ""], 'a,,""'),
        ([None], '""'),
        (["a,b", 'say "x"', "two\nlines", "cr\r"], '"a,b","say ""x""","two\nlines","cr\r"'),
        ([1, 1.5, True, False], "1,1.5,true,false"),
        ([{"a": [1, "ü"]}], '"{""a"": [1, ""ü""]}"'),
        (["Zoë 🐙", " "], 'Zoë 🐙," "'),
    ],
)
def test_a_line_is_what_every_reader_takes_for_these_values(values: list[Any], line: str) -> None:
    shown = text_of([values], *"abcd"[: len(values)])
    assert shown.partition("\r\n")[2] == line + "\r\n"
    _, read = csv.reader(io.StringIO(shown, newline=""))
    assert len(read) == len(values)
    assert [text for text, value in zip(read, values, strict=True) if isinstance(value, str)] == [
        value for value in values if isinstance(value, str)
    ]


def test_it_comes_back_as_it_was() -> None:
    texts = ["a,b", '"', "\r", "\n", "\r\n", " padded ", "größe 🦆", "=1+1", "-5", "''", "\t"]
    read = list(csv.reader(io.StringIO(text_of([[text] for text in texts], "x"), newline="")))
    assert read == [["x"], *[[text] for text in texts]]


def test_booleans_lists_and_objects_are_json() -> None:
    rows: list[list[JsonValue]] = [[True, [1, None], {"ä": "b"}]]
    read = list(csv.reader(io.StringIO(text_of(rows, "a", "b", "c"))))
    assert read[1] == ["true", "[1, null]", '{"ä": "b"}']


def test_a_null_alone_in_its_row_is_still_a_row() -> None:
    assert text_of([[None], [1]], "x") == 'x\r\n""\r\n1\r\n'


def test_no_rows_leave_the_header() -> None:
    assert text_of([], "x", "y") == "x,y\r\n"


def test_formulas_are_disarmed_only_for_a_spreadsheet() -> None:
    rows: list[list[JsonValue]] = [["=cmd()"], ["@x"], ["-1.50"], ["+x"], ["-x"], [-3], ["plain"]]
    assert "'" not in text_of(rows, "=name")
    shown = text_of(rows, "=name", for_spreadsheet=True).split("\r\n")
    assert shown == ["'=name", "'=cmd()", "'@x", "-1.50", "'+x", "'-x", "-3", "plain", ""]
