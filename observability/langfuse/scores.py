"""Scores to Langfuse: a list to servers from 4.59 on, one bare object at a time to older ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from observability.langfuse.client import (
    LangfuseUnavailable,
    answer_told,
    langfuse_api,
    langfuse_asked,
    langfuse_config,
)

if TYPE_CHECKING:
    from langfuse.api import CreateScoreRequest
    from langfuse.api.core import ApiError

PAGE = 100  # scores; Langfuse's own limit

_takes_lists: dict[str, bool] = {}  # by base URL, learnt from the answers; a server that is upgraded is noticed


class ScoreSent(Enum):
    TAKEN = auto()
    REJECTED = auto()  # never again as it is
    POSTPONED = auto()  # the same id again later: nothing is doubled


class _ListRefused(Exception):  # an answer, not a mistake
    """The server is older than 4.59 and wants one object."""


class _Rejected(Exception):  # an answer, not a mistake
    """Something in the request is bad."""


@dataclass(frozen=True, slots=True)
class ScoresSending:
    """What became of each score, by its id, the last error, and how long Langfuse wants to be left alone."""

    sent: Mapping[str, ScoreSent]
    error: str = ""
    retry_after: timedelta = timedelta(0)


def scores_send(scores: Sequence[CreateScoreRequest]) -> ScoresSending:
    """Send scores, each with an id and a timestamp of its own. Never raises for what the network or Langfuse does."""
    sent: dict[str, ScoreSent] = {}
    error, retry_after = "", timedelta(0)
    try:
        if len(scores) > 1 and lists_are_taken() and _all_taken(scores):
            return ScoresSending({str(score.id): ScoreSent.TAKEN for score in scores})
        # One by one: an old server, or a list with bad ones in it (the answer names none of them).
        for score in scores:
            try:
                _send_one(score)
                sent[str(score.id)] = ScoreSent.TAKEN
            except _Rejected as refused:
                sent[str(score.id)], error = ScoreSent.REJECTED, str(refused)
    except LangfuseUnavailable as trouble:
        error, retry_after = str(trouble), trouble.retry_after
    known = {str(score.id): sent.get(str(score.id), ScoreSent.POSTPONED) for score in scores}
    return ScoresSending(known, error, retry_after)


def scores_stored(trace_ids: Sequence[str]) -> dict[str, float | str | bool]:
    """The values that Langfuse shows of all scores of these traces, by score id. Raises LangfuseUnavailable."""
    stored: dict[str, float | str | bool] = {}
    cursor: str | None = None
    while True:
        with langfuse_asked():
            page = langfuse_api().scores.get_many(
                trace_id=",".join(trace_ids), limit=PAGE, cursor=cursor, request_options={"max_retries": 0}
            )
        stored |= {one.id: one.value for one in page.data}
        cursor = page.meta.cursor
        if not cursor:
            return stored


def lists_are_taken() -> bool:
    return _takes_lists.get(langfuse_config().base_url, True)


def _all_taken(scores: Sequence[CreateScoreRequest]) -> bool:
    try:
        _post(list(scores))
    except (_ListRefused, _Rejected):
        return False
    return True


def _send_one(score: CreateScoreRequest) -> None:
    """Send one score in the form the server is known to take, and in the other one if it refuses that."""
    forms: list[CreateScoreRequest | list[CreateScoreRequest]] = [[score], score]
    if not lists_are_taken():
        forms.reverse()
    try:
        _post(forms[0])
    except _ListRefused:
        _post(forms[1])
    except _Rejected as refused:
        if forms[0] is not score:
            raise
        # Bad, or the server was upgraded and takes no bare object any more: the list decides.
        try:
            _post(forms[1])
        except _ListRefused:
            raise refused from None


def _post(payload: CreateScoreRequest | list[CreateScoreRequest]) -> None:
    from langfuse.api.core import ApiError  # noqa: PLC0415  # only an exporting process pays for these imports
    from langfuse.api.scores.types import CreateScoreBatchResults  # noqa: PLC0415  # as above

    is_list = isinstance(payload, list)
    with langfuse_asked():
        try:
            # The client sends a bare object as it is, though its type hints know only lists.
            answer = langfuse_api().scores.create(request=cast("Any", payload), request_options={"max_retries": 0})
        except ApiError as refused:
            if refused.status_code not in (400, 413):
                raise
            raise _judged(refused, is_list=is_list) from refused
    _takes_lists[langfuse_config().base_url] = is_list
    if isinstance(answer, CreateScoreBatchResults) and answer.rejected:
        raise _Rejected("; ".join(map(str, answer.errors or [])))


def _judged(refused: ApiError, *, is_list: bool) -> Exception:
    told = answer_told(refused.status_code, refused.body)
    if is_list and _wants_object(refused):
        _takes_lists[langfuse_config().base_url] = False
        return _ListRefused(told)
    return _Rejected(told)


def _wants_object(refused: ApiError) -> bool:
    issues = refused.body.get("error") if isinstance(refused.body, dict) else None
    return isinstance(issues, list) and any(
        isinstance(issue, dict) and issue.get("expected") == "object" and not issue.get("path") for issue in issues
    )
