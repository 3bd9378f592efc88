"""A question out of a request: its body and its headers, checked."""

import re

from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from teams.access import Scope
from text2sql.api.auth import principal_of
from text2sql.api.serializers import QuestionSerializer
from text2sql.problems import Problem
from text2sql.services.generation import Question
from text2sql.services.questions import Asked, question_claim

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


def asked_read(request: Request) -> Asked:
    """Raises ValidationError, or Problem where the key's scopes or its Idempotency-Key do not allow it."""
    body = QuestionSerializer(data=request.data)
    body.is_valid(raise_exception=True)
    values, principal = body.validated_data, principal_of(request)
    if values["execute"] and Scope.EXECUTE not in principal.scopes:
        raise Problem("forbidden", "This API key lacks the scope `execute`.")
    if values["execute"] and is_async(request):
        raise ValidationError({"execute": "Rows do not come with `respond-async`: POST …/execute once it is answered."})
    question = Question(
        principal.team_id, values["database"], values["question"], values["session_id"], values["end_user"],
        values["parent_id"],
    )  # fmt: skip
    asked = Asked(principal, question, values["execute"])
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return asked
    if not _KEY.fullmatch(key):
        raise ValidationError({"Idempotency-Key": "Send 1 to 255 printable ASCII characters."})
    return question_claim(asked, key=key, body=request.data)


def is_async(request: Request) -> bool:
    """Whether the client would rather not wait (RFC 7240)."""
    preferences = request.headers.get("Prefer", "").split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)
