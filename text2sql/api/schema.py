"""What the OpenAPI description says in many places, or at length."""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from text2sql.api.serializers import AnswerSerializer, GenerationSerializer, ProblemSerializer, ResultSerializer


def problems(*statuses: int) -> dict[Any, OpenApiResponse]:
    """Responses of these statuses, and those that every address has, as problem documents."""
    return {
        (status, "application/problem+json"): OpenApiResponse(ProblemSerializer)
        for status in sorted({401, 403, *statuses})
    }


EVENTS = """Server-sent events, each with an `id` and one line of JSON as `data`:

- `context`: how the schema came into the prompt (`strategy`, `reason`, `tables`)
- `attempt`: Claude is called (`number`, `kind`: first, retry or repair, `model`); the SQL begins anew
- `sql`: more of the SQL as it is written (`delta`); it is neither checked nor final
- `finding`: what is wrong with the SQL (`code`, `message`, `closest`); an attempt to repair it may follow
- `result`: the same document as the JSON answer, with the checked SQL; or `problem`: a problem document
- `done`: nothing comes after it

A comment comes where nothing is to be told for a while. A client that goes away loses nothing: the question is
finished, and `Content-Location` says where. What goes wrong before Claude is called is answered by its status."""


def _header(name: str, text: str, *, response: list[int] | None = None) -> OpenApiParameter:
    return OpenApiParameter(name, OpenApiTypes.STR, "header", description=text, response=response or False)


ASKING_HEADERS = [
    _header("Idempotency-Key", "1 to 255 printable characters; the same request within 24 hours is not paid again."),
    _header("Prefer", "`respond-async`: 202 at once, the worker answers, the generation tells it. Not with `execute`."),
    _header("Idempotency-Replayed", "`true` where an earlier request with this key began it.", response=[200, 202]),
    _header("X-Budget-Remaining-USD", "What is left of the tightest budget that applies.", response=[200]),
    _header("X-Budget-Resets", "When that budget's next period begins.", response=[200]),
    _header("Location", "The generation.", response=[202]),
    _header("Preference-Applied", "`respond-async`", response=[202]),
    _header("Retry-After", "Seconds after which to look.", response=[202]),
]  # fmt: skip
ASKING_RESPONSES: dict[Any, Any] = {
    # Of two media types the first one's description is shown.
    (200, "application/json"): OpenApiResponse(AnswerSerializer, description=f"The answer. As a stream: {EVENTS}"),
    (200, "text/event-stream"): OpenApiTypes.STR,
    (202, "application/json"): OpenApiResponse(GenerationSerializer, description="Queued, as you preferred."),
    **problems(400, 402, 404, 409, 422, 503),
}  # fmt: skip
ROWS = "The rows. As CSV a line of names comes first; `X-Truncated` and `X-Row-Count` tell what the JSON does."
ROWS_RESPONSES: dict[Any, Any] = {
    (200, "application/json"): OpenApiResponse(ResultSerializer, description=ROWS),
    (200, "text/csv"): OpenApiTypes.STR,
    **problems(404, 409, 422, 503, 504),
}
