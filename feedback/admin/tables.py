"""Rows of a team's database as a page shows them: not all of many, not all of a long text."""

from collections.abc import Sequence
from typing import Any

from feedback.services.comparison import Side, Sides

ROWS_SHOWN = 200
CELL_SHOWN = 300
"""Characters."""


def side_shown(title: str, sql: str, side: Side | None) -> dict[str, Any]:
    """A column of the comparison; without a `side` the SQL has not been run."""
    shown: dict[str, Any] = {"title": title, "sql": sql, "problem": side.problem if side else None, "table": None}
    if side is not None and side.result is not None:
        result = side.result
        names = [column.name for column in result.columns]
        shown |= {"table": table_shown(names, result.rows), "truncated": result.truncated}
    return shown


def difference_shown(sides: Sides) -> dict[str, Any]:
    difference, answer, correction = sides.difference, sides.answer.result, sides.correction.result
    if difference is None or answer is None or correction is None:
        return {}
    paired = [one if one == other else f"{one} with {other}" for one, other in difference.columns]
    only = [
        ("Only as answered", answer, difference.only_answer),
        ("Only as corrected", correction, difference.only_correction),
    ]
    return {
        "is_none": difference.is_none,
        "is_reordered": difference.is_reordered,
        "is_cut": answer.truncated or correction.truncated,
        "same": difference.same,
        "paired": ", ".join(paired),
        "only": [
            {"title": title, "table": table_shown([column.name for column in result.columns], rows)}
            for title, result, rows in only
        ],
    }


def table_shown(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
    shown = [[_cell(value) for value in row] for row in rows[:ROWS_SHOWN]]
    return {"names": names, "rows": shown, "count": len(rows), "hidden": max(0, len(rows) - ROWS_SHOWN)}


def _cell(value: Any) -> str | None:
    """None is a NULL."""
    if value is None:
        return None
    text = str(value)
    return text if len(text) <= CELL_SHOWN else f"{text[:CELL_SHOWN]}…"
