"""A question's way, drawn: when each step and each call of Claude began, and how long it took."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from text2sql.models import Attempt, Generation
from text2sql.services.steps import step_bounds

NAMES = {
    "look_up_cache": "asked before?",
    "wait_for_same": "waited: another asked the same",
    "build_context": "context",
    "guard": "guard",
    "check": "check",
}
THINNEST = 0.5
"""Percent of the whole that even the shortest step is drawn as."""


def timeline_of(generation: Generation, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """Bars in percent of the whole, in the order in which they began. Runs of the SQL come later and are not shown."""
    began, ended = generation.created_at, generation.finished_at or timezone.now()
    whole = max((ended - began).total_seconds(), 0.001)
    bars = [
        (*step_bounds(step), NAMES.get(step["name"], step["name"]), _why(generation, step["name"]), "step")
        for step in generation.steps
    ]
    for attempt in attempts:
        name = f"Claude, {attempt.get_kind_display()}"
        bars.append((attempt.started_at, attempt.finished_at or ended, name, attempt.model, "call"))
    return {
        "whole": _milliseconds(began, ended),
        "bars": [
            {
                "name": name,
                "why": why,
                "kind": kind,
                "took": _milliseconds(start, end),
                "left": f"{_percent(began, start, whole):.2f}",
                "width": f"{max(min(_percent(start, end, whole), 100 - _percent(began, start, whole)), THINNEST):.2f}",
            }
            for start, end, name, why, kind in sorted(bars, key=lambda bar: bar[0])
        ],
    }


def _why(generation: Generation, step: str) -> str:
    if step == "build_context":
        return generation.strategy_reason
    return "yes" if step == "look_up_cache" and generation.cached else ""


def _percent(start: datetime, end: datetime, whole: float) -> float:
    return min(max((end - start).total_seconds() / whole * 100, 0.0), 100.0)


def _milliseconds(start: datetime, end: datetime) -> str:
    return f"{round((end - start).total_seconds() * 1000):,} ms"
