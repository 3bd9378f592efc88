"""The stand-in's tables: rows as they were inserted, merged when parts are, visible when the lag is over."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.standins.langfuse.records import Observation, Score, Trace


class Store:
    """Observations and scores; safe to use from several threads.

    visible_after, scores_visible_after: seconds until reads over HTTP show what was accepted.
    merge_at_parts: each accepted batch is one part per month of its spans; when that many lie in a month they
    become one, and of rows with the same key the last sent is left. None: only `merge()` does it.
    """

    def __init__(self, visible_after: float, scores_visible_after: float, merge_at_parts: int | None) -> None:
        self.visible_after = visible_after
        self.scores_visible_after = scores_visible_after
        self.merge_at_parts = merge_at_parts
        self._rows: list[Observation] = []
        self._parts: Counter[str] = Counter()
        self._scores: dict[tuple[str, str], Score] = {}
        self._lock = threading.RLock()
        self.lag: Callable[[], float] = lambda: 0.0  # seconds more until one batch is visible

    def insert(self, batch: Iterable[Observation]) -> None:
        lag = self.lag()
        rows = [replace(row, arrived=row.arrived + lag) for row in batch]
        with self._lock:
            self._rows += rows
            self._parts.update({row.key[0] for row in rows})
            for month in {row.key[0] for row in rows}:
                if self.merge_at_parts is not None and self._parts[month] >= self.merge_at_parts:
                    self.merge(month)

    def merge(self, month: str | None = None) -> None:
        """Leave the last sent row of each key, in one month (YYYY-MM) or in all."""
        with self._lock:
            last = {row.key: row for row in self._rows}
            self._rows = [
                row for row in self._rows if (month is not None and row.key[0] != month) or last[row.key] is row
            ]
            for name in [month] if month is not None else list(self._parts):
                self._parts[name] = 1

    def rows(self) -> list[Observation]:
        with self._lock:
            return list(self._rows)

    def visible_rows(self) -> list[Observation]:
        limit = time.monotonic() - self.visible_after
        return [row for row in self.rows() if row.arrived <= limit]

    def trace_of(self, observation_id: str) -> str | None:
        return next((row.trace_id for row in self.visible_rows() if row.id == observation_id), None)

    def traces(self) -> dict[str, Trace]:
        last = {row.key: row for row in self.rows()}
        grouped: dict[str, list[Observation]] = {}
        for row in sorted(last.values(), key=lambda row: row.start):
            grouped.setdefault(row.trace_id, []).append(row)
        return {trace_id: Trace(trace_id, root_of(rows), rows) for trace_id, rows in grouped.items()}

    def put_scores(self, scores: Sequence[Score]) -> None:
        """The same id and name again is an update that leaves time, trace and environment as first written."""
        lag = self.lag()
        with self._lock:
            for score in scores:
                old = self._scores.get((score.id, score.name))
                new = replace(score, arrived=score.arrived + lag)
                self._scores[score.id, score.name] = updated(old, new) if old else new

    def scores(self) -> list[Score]:
        with self._lock:
            return list(self._scores.values())

    def visible_scores(self) -> list[Score]:
        limit = time.monotonic() - self.scores_visible_after
        return [score for score in self.scores() if score.arrived <= limit]

    def grow_older(self, seconds: float) -> None:
        """As if that much time had passed: what was accepted becomes visible sooner."""
        with self._lock:
            self._rows = [replace(row, arrived=row.arrived - seconds) for row in self._rows]
            self._scores = {key: replace(score, arrived=score.arrived - seconds) for key, score in self._scores.items()}


def root_of(rows: list[Observation]) -> Observation | None:
    return next((row for row in rows if row.is_root), None)


def updated(old: Score, new: Score) -> Score:
    return replace(
        new,
        trace_id=old.trace_id,
        observation_id=old.observation_id,
        session_id=old.session_id,
        environment=old.environment,
        timestamp=old.timestamp,
        created=old.created,
        arrived=old.arrived,
    )
