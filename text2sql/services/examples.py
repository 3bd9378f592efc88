"""Verified questions of a team: published by its leads, shown to questions that are like them."""

import hashlib
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from observability.services.audit import Values, audit_change
from text2sql.cache.keys import question_normalize
from text2sql.models import DatabaseAccess, Example, ExampleUse, Generation
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.guard import GuardRefusal
from text2sql.pipeline.retrieval import SAME, Likeness, likeness_words
from text2sql.services.targets import Target

MOST_SHOWN = 3
LEAST_LIKENESS = 0.3
KEPT = 64
"""Teams' examples of a database that a process keeps at hand."""


@dataclass(frozen=True)
class Shown:
    """An example as a question is shown it."""

    id: UUID
    question: str
    sql: str
    tables: tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """A team's examples in force of one database, as far as the team may see what they read."""

    shown: tuple[Shown, ...]
    likeness: Likeness

    def like(self, question: str, *, but_itself: bool = False) -> tuple[Shown, ...]:
        """The likest, the likest first; `but_itself`: none of the same words."""
        most = SAME if but_itself else math.inf
        found = self.likeness.rank(question, limit=MOST_SHOWN, least=LEAST_LIKENESS, most=most)
        return tuple(self.shown[place] for place, _ in found)


@transaction.atomic
def example_publish(
    *, access: DatabaseAccess, question: str, sql: str, tables: Sequence[str], generation: Generation | None, actor: str
) -> Example:
    """A new version of the example of this question, in force with the next one that is like it.

    The caller has checked the SQL. The one in force stays where nothing changed.
    """
    locked = _locked(access)
    question, digest = question.strip(), example_digest(question)
    newest = Example.objects.filter(access=locked, digest=digest, replaced_at=None).first()
    if newest is not None and newest.enabled and newest.finding is None and newest.sql == sql:
        return newest
    now = timezone.now()
    if newest is not None:
        Example.objects.filter(pk=newest.pk).update(replaced_at=now)
    example = Example.objects.create(
        access=locked, question=question, digest=digest, sql=sql, tables=list(tables), generation=generation,
        number=(newest.number if newest else 0) + 1, actor=actor, created_at=now,
    )  # fmt: skip
    was = _told(newest) if newest else None
    _move_on(locked, "example.published", example, actor, was=was, now=_told(example))
    return example


@transaction.atomic
def example_switch(*, example: Example, enabled: bool, actor: str) -> None:
    """Have questions shown it, or no longer. Raises ValueError for one that a newer version has replaced."""
    locked = _locked(example.access)
    switched = Example.objects.filter(pk=example.pk, replaced_at=None)
    if not switched.exists():
        raise ValueError("A newer version has taken its place; switch that one.")
    if switched.exclude(enabled=enabled).update(enabled=enabled):
        example.enabled = enabled
        verb = "example.switched_on" if enabled else "example.switched_off"
        _move_on(locked, verb, example, actor, was={"enabled": not enabled}, now={"enabled": enabled})


@transaction.atomic
def examples_judged(*, access: DatabaseAccess, findings: dict[UUID, Finding | None], actor: str) -> int:
    """Note which examples would not run any more, and which would again. Returns how many have changed."""
    locked = _locked(access)
    changed = 0
    for example in Example.objects.filter(pk__in=findings, access=locked, replaced_at=None):
        found = findings[example.pk]
        document = found.as_document() if found else None
        if document == example.finding:
            continue
        was, example.finding = {"finding": example.finding}, document
        example.save(update_fields=["finding"])
        verb = "example.broken" if found else "example.mended"
        _move_on(locked, verb, example, actor, was=was, now={"finding": document})
        changed += 1
    return changed


def example_digest(question: str) -> str:
    return hashlib.sha256(question_normalize(question).encode()).hexdigest()


def memory_of(target: Target) -> Memory:
    """What the team has approved of the database. No query where the process has it at hand.

    What the team can no longer see is left out here, whatever is noted in its row.
    """
    if not target.examples_number:
        return _NOTHING
    key = (
        target.access_id, target.examples_number, target.schema_version, target.view_version, target.allowed_functions,
    )  # fmt: skip
    if (found := _kept.find(key)) is None:
        found = _read(target)
        _kept.put(key, found)
    return found


def uses_record(generation: Generation, shown: Sequence[Shown]) -> None:
    """Note in the caller's transaction which examples the generation was shown."""
    if not shown:
        return
    with connection.cursor() as cursor:
        cursor.execute(_USE, [generation.pk, [each.id for each in shown]])


# An example that is gone meanwhile, with the team's access, must not keep the question from being settled.
_USE = """
    INSERT INTO text2sql_exampleuse (example_id, generation_id, rating)
    SELECT id, %s, '' FROM text2sql_example WHERE id = ANY(%s) ORDER BY id FOR KEY SHARE
    ON CONFLICT DO NOTHING
"""


def uses_rate(generation: Generation, rating: str) -> None:
    """Note in the caller's transaction what was said of the answer; of a cached one, for whoever it was made for."""
    made_for = [generation.pk, *([generation.origin_id] if generation.origin_id else [])]
    ExampleUse.objects.filter(generation__in=made_for).update(rating=rating)


def _read(target: Target) -> Memory:
    rows = Example.objects.filter(access=target.access_id).in_force().order_by("created_at", "id")
    shown = []
    for row in rows:
        try:
            guarded = target.guard(row.sql)
        except GuardRefusal:
            continue
        shown.append(Shown(row.pk, row.question, guarded.sql, tuple(guarded.tables)))
    return Memory(tuple(shown), Likeness([likeness_words(each.question) for each in shown]))


def _locked(access: DatabaseAccess) -> DatabaseAccess:
    return DatabaseAccess.objects.select_for_update(of=["self"]).select_related("database").get(pk=access.pk)


def _move_on(
    access: DatabaseAccess, verb: str, example: Example, actor: str, *, was: Values | None, now: Values
) -> None:
    access.examples_number += 1
    access.save(update_fields=["examples_number"])
    audit_change(
        actor=actor, verb=verb, target=str(example.pk), scope=access.team_id, was=was, now=now,
        told={"name": str(example), "database": access.database.name, "version": example.number},
    )  # fmt: skip


def _told(example: Example) -> dict[str, Any]:
    told = {"question": example.question, "sql": example.sql, "tables": list(example.tables)}
    return told | {"version": example.number, "enabled": example.enabled, "finding": example.finding}


Key = tuple[int, int, str, str, frozenset[str]]


class _Kept:
    """The memories used last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._memories: OrderedDict[Key, Memory] = OrderedDict()

    def find(self, key: Key) -> Memory | None:
        with self._lock:
            if key in self._memories:
                self._memories.move_to_end(key)
            return self._memories.get(key)

    def put(self, key: Key, memory: Memory) -> None:
        with self._lock:
            self._memories[key] = memory
            while len(self._memories) > KEPT:
                self._memories.popitem(last=False)


_NOTHING = Memory((), Likeness(()))
_kept = _Kept()
