"""What a question's way tells while it goes: to a stream, a terminal, or nobody."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Event:
    """`name` is one of context, attempt, sql, finding; the data are plain values."""

    name: str
    data: dict[str, Any] = field(default_factory=dict)


Listener = Callable[[Event], None]
"""Called on the question's thread; what it raises is its own affair and must not happen."""


def nobody(_event: Event) -> None:
    """Nobody listens."""
