"""Tables as files for spreadsheets, in which nothing that somebody has written is computed."""

import csv
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any

import xlsxwriter  # type: ignore[import-untyped]  # ships no types

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet would compute."""
LONGEST_CELL = 32_767
"""Characters that a cell of a workbook holds; the rest of a longer text is left out."""


def csv_lines(*tables: Iterable[Sequence[Any]]) -> Iterator[str]:
    """Lines of a CSV file in which no cell is a formula."""
    writer = csv.writer(_Echo())
    for rows in tables:
        for row in rows:
            yield writer.writerow([_cell(_plain(value)) for value in row])


def workbook_file(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> IO[bytes]:
    """An XLSX file of one sheet, at its beginning. Texts are written as texts, so none of them is a formula."""
    file = tempfile.TemporaryFile()  # noqa: SIM115  # whoever sends it closes it
    book = xlsxwriter.Workbook(file, {"constant_memory": True})  # rows wait on disk, not in memory
    sheet, bold = book.add_worksheet(), book.add_format({"bold": True})
    sheet.freeze_panes(1, 0)
    for column, heading in enumerate(headings):
        sheet.write_string(0, column, heading, bold)
    for number, row in enumerate(rows, start=1):
        for column, value in enumerate(row):
            _write(sheet, number, column, _plain(value))
    book.close()
    file.seek(0)
    return file


class _Echo:
    """A file that hands back what is written to it."""

    def write(self, line: str) -> str:
        return line


def _write(sheet: Any, row: int, column: int, value: Any) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, int | Decimal):
        sheet.write_number(row, column, value)
    elif value is not None:
        sheet.write_string(row, column, str(value)[:LONGEST_CELL])


def _plain(value: Any) -> Any:
    """Numbers and texts stay what they are; a time is told in UTC."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value


def _cell(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"  # never 1E-12
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
