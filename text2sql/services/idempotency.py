"""A request that is sent again, since its client never saw the answer, is not paid again."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db.models import Exists, OuterRef
from django.utils import timezone

from text2sql.models import Generation, IdempotencyKey
from text2sql.models.idempotency import KEPT
from text2sql.problems import Problem
from text2sql.services.generation import lost_after

RETRY_SECONDS = 2.0


@dataclass(frozen=True)
class Claim:
    generation_id: UUID
    """Of the generation that this request may begin; of `stored` where that is set."""
    stored: Generation | None
    """What the same request has come to; it may still be running or queued."""


def body_digest(body: Any) -> str:
    """64 hexadecimal digits, the same for two spellings of one JSON value."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def key_claim(*, api_key_id: UUID, key: str, digest: str) -> Claim:
    """Take a key for a request, before anything of it is paid.

    What failed without having cost anything, and what died with its process, is free to be asked again.

    Raises:
        Problem: `idempotency-mismatch`; `idempotency-in-flight` where the first request has no generation yet.
    """
    now, generation_id = timezone.now(), uuid4()
    values = {"body_digest": digest, "generation_id": generation_id, "claimed_at": now}
    row = IdempotencyKey(api_key_id=api_key_id, key=key, **values)
    mine = IdempotencyKey.objects.filter(api_key_id=api_key_id, key=key)
    while True:
        IdempotencyKey.objects.bulk_create([row], ignore_conflicts=True)
        if (found := mine.first()) is None:
            continue  # released between the two
        if found.generation_id == generation_id:
            return Claim(generation_id, None)
        is_old = found.claimed_at < now - KEPT
        if not is_old and found.body_digest != digest:
            raise Problem("idempotency-mismatch", "This Idempotency-Key came with another body before; take a new one.")
        stored = Generation.objects.select_related("database").filter(pk=found.generation_id).first()
        if not (is_old or _is_free(found, stored, now)):
            if stored is None:
                raise in_flight()
            return Claim(stored.pk, stored)
        # Of several that take it over at once, one finds the row as it was read.
        mine.filter(generation_id=found.generation_id).update(**values)


def key_release(*, api_key_id: UUID, key: str, generation_id: UUID) -> None:
    """Give a key back whose request ended without a generation: there is nothing that a repeat could be told."""
    begun = Generation.objects.filter(pk=OuterRef("generation_id"))
    mine = IdempotencyKey.objects.filter(api_key_id=api_key_id, key=key, generation_id=generation_id)
    mine.filter(~Exists(begun)).delete()


def keys_prune(now: datetime) -> int:
    """Delete what is older than 24 hours."""
    deleted, _ = IdempotencyKey.objects.filter(claimed_at__lt=now - KEPT).delete()
    return deleted


def in_flight() -> Problem:
    detail = "The first request with this Idempotency-Key is still running; its answer can be had in a moment."
    return Problem("idempotency-in-flight", detail, retry_after=RETRY_SECONDS)


def _is_free(row: IdempotencyKey, stored: Generation | None, now: datetime) -> bool:
    if stored is None:
        return lost_after(row.claimed_at) < now
    if stored.status != Generation.Status.FAILED:
        return False
    return not stored.cost_usd or stored.problem == "question-lost"
