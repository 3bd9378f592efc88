"""Running the SQL of one's own answers, as it was answered or as it was edited."""

from itertools import chain
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from text2sql.api.auth import principal_of
from text2sql.api.renderers import CsvRenderer, speaks
from text2sql.api.serializers import ResultSerializer
from text2sql.ask.conversations import generation_own
from text2sql.ask.door import AskView
from text2sql.ask.serializers import RunSerializer
from text2sql.problems import Problem
from text2sql.services.executions import execution_run
from text2sql.targets.result_csv import result_csv
from text2sql.targets.run import QueryResult

BYTE_ORDER_MARK = "\ufeff"
"""Without it Excel takes a file for one of its own code page."""


class ExecuteView(AskView):
    """The rows of now, as JSON or as a file for a spreadsheet."""

    renderer_classes = [JSONRenderer, CsvRenderer]

    def post(self, request: Request, team_id: str, name: str, generation_id: UUID) -> HttpResponseBase:
        body = RunSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        principal = principal_of(request)
        generation = generation_own(principal, team_id=team_id, name=name, generation_id=generation_id)
        outcome = execution_run(principal=principal, generation=generation, sql=body.validated_data["sql"])
        if outcome.result is None:
            raise outcome.problem or Problem("execution-failed", "The query brought no rows.")
        if speaks(request, CsvRenderer):
            return spreadsheet_response(outcome.result, f"{name}-{str(generation_id)[:8]}.csv")
        return Response(ResultSerializer(outcome).data)


def spreadsheet_response(result: QueryResult, filename: str) -> StreamingHttpResponse:
    """A file that a person may open in a spreadsheet: no text in it is run as a formula."""
    return StreamingHttpResponse(
        chain([BYTE_ORDER_MARK], result_csv(result, for_spreadsheet=True)),
        content_type="text/csv; charset=utf-8; header=present",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
