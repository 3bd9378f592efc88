"""Asking, and looking at SQL that a person has edited."""

from typing import Any

from django.http.response import HttpResponseBase
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from text2sql.api.auth import principal_of
from text2sql.api.renderers import EventStreamRenderer
from text2sql.api.streams import stream_response
from text2sql.ask.conversations import generation_own
from text2sql.ask.door import AskView
from text2sql.ask.serializers import AskedSerializer, SqlSerializer
from text2sql.services.checking import Checked, statement_check, statement_guard
from text2sql.services.generation import Question
from text2sql.services.questions import Asked
from text2sql.services.targets import target_find


class QuestionView(AskView):
    """A question, answered as the same events that the API tells."""

    renderer_classes = [JSONRenderer, EventStreamRenderer]

    def post(self, request: Request, team_id: str, name: str) -> HttpResponseBase:
        body = AskedSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        asked, principal = body.validated_data, principal_of(request)
        if asked["parent_id"] is not None:
            generation_own(principal, team_id=team_id, name=name, generation_id=asked["parent_id"])
        question = Question(
            team_id, name, asked["question"], session_id=asked["session_id"], parent_id=asked["parent_id"]
        )
        return stream_response(Asked(principal, question))


class CheckView(AskView):
    """May this SQL run, and would it? Nothing is run."""

    def post(self, request: Request, team_id: str, name: str) -> Response:
        body = SqlSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        target = target_find(principal=principal_of(request), team_id=team_id, name=name)
        checked = statement_guard(target, body.validated_data["sql"])
        if checked.statement is not None:
            checked = statement_check(target, checked.statement)
        return Response(_document(checked))


def _document(checked: Checked) -> dict[str, Any]:
    return {
        "ok": checked.finding is None,
        "refused": checked.is_refused,
        "finding": checked.finding.as_document() if checked.finding else None,
    }
