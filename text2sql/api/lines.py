"""Rows as CSV (RFC 4180)."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from django.http import StreamingHttpResponse

from text2sql.services.executions import ExecutionOutcome
from text2sql.targets.run import QueryResult

PORTION = 500


def csv_response(outcome: ExecutionOutcome, result: QueryResult) -> StreamingHttpResponse:
    """A file with a line of names; what the JSON tells beside the rows is told in headers."""
    name = f"generation-{outcome.execution.generation_id}.csv"
    return StreamingHttpResponse(
        _portions(result),
        content_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Row-Count": str(len(result.rows)),
            "X-Truncated": str(result.truncated).lower(),
        },
    )


def csv_line(values: Sequence[Any]) -> str:
    """One line. NULL is nothing, and an empty text a pair of quotes, except where a line would be empty."""
    line = ",".join(_cell(value) for value in values)
    return (line or '""') + "\r\n"


def _portions(result: QueryResult) -> Iterator[str]:
    yield csv_line([column.name for column in result.columns])
    for start in range(0, len(result.rows), PORTION):
        yield "".join(map(csv_line, result.rows[start : start + PORTION]))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if text and not any(mark in text for mark in ',"\r\n'):
        return text
    doubled = text.replace('"', '""')
    return f'"{doubled}"'
