"""CPU time per statement of guard, static check and printing, 25 tables: `python -m tests.benchmarks.guard`.

The statements are the legitimate ones of `tests/text2sql/pipeline/legit`. For each dialect a catalog of 25 tables is
made: those that the dialect's statements name, with columns unknown, and tables of ten columns for the rest. A second
row measures statements that join, group and rank three of the known tables. One run is one parse with everything
that the guard does (rules, names, row limit, printing) and the static check of its tree.
"""

import json
import statistics
import sys
import time
from pathlib import Path

from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table

LIMIT_MS = 3.0
ROUNDS = 20
TABLES = 25
DIALECTS = ("postgres", "sqlite", "mysql", "duckdb", "snowflake", "bigquery", "tsql")
LEGIT = Path(__file__).parents[1] / "text2sql" / "pipeline" / "legit"
COLUMNS = ("id", "name", "region", "amount", "status", "created_on", "owner_id", "kind", "score", "note")
JOINED = """
    SELECT a.region, COUNT(*) AS n, SUM(b.amount) AS total FROM table_0 AS a JOIN table_1 AS b ON b.owner_id = a.id
    LEFT JOIN table_2 AS c ON c.id = b.kind WHERE a.created_on >= '2026-01-01' AND b.status IN ('paid', 'sent')
    AND c.score > 3 GROUP BY a.region ORDER BY total DESC
"""
RANKED = """
    WITH monthly AS (SELECT region, kind, SUM(amount) AS total FROM table_3 GROUP BY region, kind),
    ranked AS (SELECT region, kind, total, RANK() OVER (PARTITION BY region ORDER BY total DESC) AS place FROM monthly)
    SELECT r.region, r.kind, r.total, t.name FROM ranked AS r JOIN table_4 AS t ON t.kind = r.kind WHERE r.place <= 3
"""
NESTED = """
    SELECT name, CASE WHEN score > 10 THEN 'high' WHEN score > 5 THEN 'middle' ELSE 'low' END AS label FROM table_5
    WHERE id IN (SELECT owner_id FROM table_6 WHERE amount > (SELECT AVG(amount) FROM table_6)) ORDER BY name
"""
KNOWN = [JOINED, RANKED, NESTED]


def main() -> int:
    corpus: list[float] = []
    known: list[float] = []
    for dialect in DIALECTS:
        statements = [json.loads(line)["sql"] for line in (LEGIT / f"{dialect}.jsonl").read_text().splitlines()]
        corpus += _measured(statements, _catalog(dialect, _named_tables(statements, dialect)))
        known += _measured(KNOWN, _catalog(dialect, set()))
    lines = [f"guard + check + print, CPU per statement, {TABLES}-table catalog, {len(DIALECTS)} dialects"]
    for name, times in (("legitimate statements", corpus), ("known columns", known)):
        p95 = statistics.quantiles(times, n=20)[-1]
        lines.append(f"  {name:<22} {len(times):>4}   p50 {statistics.median(times):.2f} ms   p95 {p95:.2f} ms")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if max(statistics.median(corpus), statistics.median(known)) <= LIMIT_MS else 1


def _measured(statements: list[str], schema: Schema) -> list[float]:
    """The median of each statement in milliseconds."""
    times = []
    for sql in statements:
        rounds = []
        for _ in range(ROUNDS):
            started = time.thread_time()
            try:
                guarded = guard_statement(sql, schema=schema, row_limit=10_000)
                statement_findings(guarded.tree, schema, sql=sql)
            except GuardRefusal:
                break
            rounds.append((time.thread_time() - started) * 1000)
        else:
            times.append(statistics.median(rounds))
    return times


def _named_tables(statements: list[str], dialect: str) -> set[str]:
    named: set[str] = set()
    for sql in statements:
        try:
            named.update(guard_statement(sql, dialect=dialect).tables)
        except GuardRefusal:
            continue
    return named


def _catalog(dialect: str, named: set[str]) -> Schema:
    columns = tuple(Column(name, "text") for name in COLUMNS)
    tables = [Table(name.rpartition(".")[2], (), schema=name.rpartition(".")[0] or None) for name in sorted(named)]
    tables += [Table(f"table_{number}", columns) for number in range(max(TABLES - len(tables), 10))]
    return Schema(dialect, tuple(tables))


if __name__ == "__main__":
    sys.exit(main())
