"""How many attacks the guard refuses and how many good queries it lets through: `python -m tests.quality.guard`.

Two lists: `../shared/data/guard`, made apart from the guard, and `tests/text2sql/pipeline/{attacks,legit}`, written
before the guard knew these dialects. Statements are judged without a catalog, so that only the rules decide and never a
list of tables. Rows marked `policy_only` are those that only such a list can stop: they get a view of `users` and
`orders`.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from text2sql.pipeline.guard import GuardRefusal, guard_statement, supported_dialects
from text2sql.pipeline.schema import Schema, Table

ROOT = Path(__file__).parents[2]
SHARED = ROOT / ".." / "shared" / "data" / "guard"
OWN = ROOT / "tests" / "text2sql" / "pipeline"
DIALECTS = ("postgres", "sqlite", "mysql", "duckdb", "snowflake", "bigquery", "tsql")

Row = dict[str, Any]


def shared_rows(kind: str) -> list[Row]:
    """`kind` is attacks or legit; all dialects, also those that the guard does not know. Empty without the data."""
    path = SHARED / f"{kind}.jsonl"
    return list(map(json.loads, path.read_text().splitlines())) if path.exists() else []


def own_rows(kind: str) -> list[Row]:
    return [json.loads(line) for path in sorted((OWN / kind).glob("*.jsonl")) for line in path.read_text().splitlines()]


def refusal_of(row: Row) -> GuardRefusal | None:
    dialect = row["dialect"]
    view = Schema(dialect, (Table("users", ()), Table("orders", ()))) if row.get("policy_only") else None
    try:
        guard_statement(row["sql"], schema=view, dialect=dialect)
    except GuardRefusal as refusal:
        return refusal
    return None


def wrongly_judged(kind: str, rows: list[Row]) -> list[Row]:
    return [row for row in rows if (refusal_of(row) is None) == (kind == "attacks")]


def main() -> int:
    is_good = True
    lines: list[str] = []
    for title, load in (("shared list", shared_rows), ("own list", own_rows)):
        for kind, verb in (("attacks", "refused"), ("legit", "accepted")):
            rows = [row for row in load(kind) if row["dialect"] in supported_dialects()]
            if not rows:
                lines.append(f"{title}: {kind} are not on this machine")
                continue
            wrong = wrongly_judged(kind, rows)
            share = 1 - len(wrong) / len(rows)
            is_good = is_good and share >= 0.99
            lines.append(f"{title}: {kind} {verb} {len(rows) - len(wrong)} of {len(rows)} ({share:.1%})")
            lines.append("    " + ", ".join(_by_dialect(rows, wrong)))
            lines += [f"    not {verb}: {row['dialect']}: {row['sql'][:150]}" for row in wrong]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if is_good else 1


def _by_dialect(rows: list[Row], wrong: list[Row]) -> Iterator[str]:
    whole, lost = Counter(row["dialect"] for row in rows), Counter(row["dialect"] for row in wrong)
    return (f"{dialect} {whole[dialect] - lost[dialect]}/{whole[dialect]}" for dialect in DIALECTS if whole[dialect])


if __name__ == "__main__":
    sys.exit(main())
