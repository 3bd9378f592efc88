"""The steps of a question's way, as they were taken: kept with the generation, told in its trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypedDict

from django.utils import timezone

from text2sql.models import Generation


class Step(TypedDict):
    name: str
    started_at: str
    """ISO 8601, UTC."""
    ended_at: str


@contextmanager
def step_taken(generation: Generation, name: str) -> Iterator[None]:
    """Time what happens inside, also when it fails."""
    started_at = timezone.now()
    try:
        yield
    finally:
        generation.steps.append(Step(name=name, started_at=started_at.isoformat(), ended_at=timezone.now().isoformat()))


def step_bounds(step: Step) -> tuple[datetime, datetime]:
    return datetime.fromisoformat(step["started_at"]), datetime.fromisoformat(step["ended_at"])


def step_milliseconds(step: Step) -> int:
    started_at, ended_at = step_bounds(step)
    return round((ended_at - started_at).total_seconds() * 1000)
