"""A question whose right answer is known: as SQL, and reckoned from the rows without SQL."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from text2sql.demo.data.tables import DemoDatabase


@dataclass(frozen=True)
class RecordedQuestion:
    """`expected(database, today)` gives the rows that `sql` returns on `today` (UTC), in their order."""

    question: str
    sql: str
    explanation: str
    expected: Callable[[DemoDatabase, date], list[tuple[Any, ...]]]
