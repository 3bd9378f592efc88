"""Rows as CSV (RFC 4180)."""

from django.http import StreamingHttpResponse

from text2sql.services.executions import ExecutionOutcome
from text2sql.targets.result_csv import result_csv
from text2sql.targets.run import QueryResult


def csv_response(outcome: ExecutionOutcome, result: QueryResult) -> StreamingHttpResponse:
    """A file with a line of names; what the JSON tells beside the rows is told in headers."""
    name = f"generation-{outcome.execution.generation_id}.csv"
    return StreamingHttpResponse(
        result_csv(result),
        content_type="text/csv; charset=utf-8; header=present",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Row-Count": str(len(result.rows)),
            "X-Truncated": str(result.truncated).lower(),
        },
    )
