"""Scores: written down when they are given, sent to Langfuse later; given again, they replace themselves."""

from __future__ import annotations

import logging
import time
from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone

from observability.langfuse.client import langfuse_configured
from observability.langfuse.scores import ScoreSent, scores_send
from observability.langfuse.sdk import sdk_load
from observability.masking import mask
from observability.models import Channel, Score
from observability.services.channels import channel_is_open, channel_succeeded, channel_take, channel_troubled
from observability.services.deliveries import LEASE, SENDING, ExportOutcome, connection_release

if TYPE_CHECKING:
    from langfuse.api import CreateScoreRequest

logger = logging.getLogger(__name__)

BATCH = 15  # as many as Langfuse's SDK sends at once


@transaction.atomic
def score_record(
    *,
    score_id: str,
    trace_id: str,
    name: str,
    value: float | str,
    data_type: str,
    comment: str = "",
    timestamp: datetime | None = None,
) -> Score | None:
    """Write a score down, or replace value and comment of the one with this id; None when Langfuse is not configured.

    `value`: a number for NUMERIC, 1 or 0 for BOOLEAN, a string for CATEGORICAL. Trace, name and timestamp of an id
    stay as they were first: Langfuse keys a score by them.
    """
    if not langfuse_configured():
        return None
    given = {"value": value, "comment": mask(comment.replace("\x00", "\ufffd"))}
    pending = {
        "state": Score.State.PENDING,
        "tries": 0,
        "delivered_at": None,
        "last_error": "",
        # While an older value is on its way the new one waits for the end of that lease, so that it arrives last.
        "next_try_at": Greatest(Value(timezone.now()), F("claimed_until")),
        "claimed_until": None,
        "confirmed_at": None,
        "losses": 0,
    }
    score, _ = Score.objects.select_for_update().update_or_create(
        id=score_id,
        defaults=given | pending,
        create_defaults=given
        | {
            "trace_id": trace_id,
            "name": name,
            "data_type": data_type,
            "timestamp": timestamp or timezone.now(),
        },
    )
    return score


def scores_export(*, limit: int = 200) -> ExportOutcome:
    """Send the scores that are due. Holds neither a transaction nor a connection while it talks to Langfuse.

    A score may be sent twice: the same id is stored once.
    """
    if not langfuse_configured():
        return ExportOutcome()
    sdk_load()
    if not channel_is_open(Channel.Name.API):
        return ExportOutcome()
    scores = Score.objects.claim(limit=limit, lease=LEASE)
    outcome, ends = ExportOutcome(claimed=len(scores)), time.monotonic() + SENDING
    for first in range(0, len(scores), BATCH):
        taken_at = channel_take(Channel.Name.API) if time.monotonic() < ends and not outcome.postponed else None
        if taken_at is None:
            Score.objects.release(scores[first:])
            outcome.postponed += len(scores[first:])
            break
        _send(scores[first : first + BATCH], outcome, taken_at)
    return outcome


def _send(batch: list[Score], outcome: ExportOutcome, taken_at: datetime) -> None:
    requests = [_request(score) for score in batch]
    connection_release()
    sending = scores_send(requests)
    by_outcome = {kind: [score for score in batch if sending.sent[score.pk] is kind] for kind in ScoreSent}
    Score.objects.note_delivered(by_outcome[ScoreSent.TAKEN])
    outcome.delivered += len(by_outcome[ScoreSent.TAKEN])
    if rejected := by_outcome[ScoreSent.REJECTED]:
        logger.error("Langfuse rejects %d scores: %s", len(rejected), sending.error)
        Score.objects.note_failed(rejected, error=sending.error)
        outcome.failed += len(rejected)
        outcome.error = sending.error
    if waiting := by_outcome[ScoreSent.POSTPONED]:
        logger.warning("%d scores wait for Langfuse: %s", len(waiting), sending.error)
        channel_troubled(Channel.Name.API, sending.error, retry_after=sending.retry_after)
        _postponed(waiting, outcome, sending.error)
    else:
        channel_succeeded(Channel.Name.API, taken_at)


def _postponed(scores: list[Score], outcome: ExportOutcome, error: str) -> None:
    Score.objects.note_postponed(scores, error=error)
    outcome.postponed += len(scores)
    outcome.error = error


def _request(score: Score) -> CreateScoreRequest:
    from langfuse.api import CreateScoreRequest, ScoreDataType  # noqa: PLC0415  # only an exporting process pays for this

    return CreateScoreRequest(
        id=score.pk,
        trace_id=score.trace_id,
        name=score.name,
        value=score.value,
        data_type=ScoreDataType(score.data_type),
        comment=score.comment or None,
        environment=settings.LANGFUSE_ENVIRONMENT,
        timestamp=score.timestamp,
    )
