"""How much of what a database refuses is found before it is asked: `python -m tests.quality.check [-v]`.

Three models' answers to BIRD mini-dev, on SQLite and PostgreSQL, each judged by the engine itself on an empty database.
"Caught" is what the guard cannot read or the static check finds an error in; "false" is what it finds in statements
that the engine accepts. The last column counts the guard's own refusals too, as the product does.
"""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import median
from time import process_time

from tests.quality.llm_sql import FOLDER, MISSING, Answer, answers, engine, schemas
from text2sql.pipeline.check import statement_findings
from text2sql.pipeline.guard import GuardRefusal, guard_statement
from text2sql.pipeline.schema import Column, Schema, Table

DIALECTS = ("sqlite", "postgres")
TABLES = 25


@dataclass(frozen=True)
class Verdict:
    answer: Answer
    refusal: str | None
    """The engine's words."""
    errors: tuple[str, ...]
    """What the check found; or that the guard could not read the statement."""
    guard: str
    """The code of the guard's refusal."""


def verdicts(dialect: str) -> Iterator[Verdict]:
    with engine(dialect) as refuse:
        for answer in answers(dialect):
            errors, guard = judge(answer.sql, schemas(dialect)[answer.database])
            yield Verdict(answer, refuse(answer.database, answer.sql), errors, guard)


def judge(sql: str, schema: Schema) -> tuple[tuple[str, ...], str]:
    """The errors that the check finds, and the code of the guard's refusal."""
    try:
        tree, code = guard_statement(sql, schema=schema).tree, ""
    except GuardRefusal as refusal:
        if refusal.tree is None:
            return (str(refusal),), refusal.code
        tree, code = refusal.tree, refusal.code
    findings = statement_findings(tree, schema, sql=sql)
    return tuple(str(finding) for finding in findings if finding.severity == "error"), code


def shares(found: Iterable[Verdict]) -> tuple[float, float, float, float]:
    """Percent caught of what the engine refuses, percent false of what it accepts; the same with the guard's own."""
    counts = Counter[tuple[bool, str]]()
    for verdict in found:
        is_refused = verdict.refusal is not None
        counts[is_refused, "all"] += 1
        counts[is_refused, "check"] += bool(verdict.errors)
        counts[is_refused, "both"] += bool(verdict.errors or verdict.guard)
    caught, false, caught_by_both, false_by_both = (
        100 * counts[is_refused, who] / max(1, counts[is_refused, "all"])
        for who in ("check", "both")
        for is_refused in (True, False)
    )
    return caught, false, caught_by_both, false_by_both


def milliseconds(dialect: str) -> float:
    """Median CPU time of guard, check and printing for a statement, over a catalog of 25 tables."""
    times = []
    catalogs = {name: _grown(schema) for name, schema in schemas(dialect).items()}
    for answer in answers(dialect):
        start = process_time()
        judge(answer.sql, catalogs[answer.database])
        times.append(1000 * (process_time() - start))
    return median(times)


def _grown(schema: Schema) -> Schema:
    filler = tuple(Column(f"column_{number}", "integer") for number in range(20))
    extra = tuple(Table(f"more_{number}", filler) for number in range(TABLES - len(schema.tables)))
    return Schema(schema.dialect, schema.tables + extra, schema.default_schema)


def main() -> int:
    if not FOLDER.exists():
        sys.stdout.write(f"skipped: {MISSING}\n")
        return 0
    lines = [
        "| engine | model | refused by the engine | caught | accepted | false | caught / false with the guard's own |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    details = []
    for dialect in DIALECTS:
        found = defaultdict[str, list[Verdict]](list)
        for verdict in verdicts(dialect):
            found[verdict.answer.model].append(verdict)
        every = [verdict for each in found.values() for verdict in each]
        lines += [_line(dialect, model, each) for model, each in [*found.items(), ("all", every)]]
        details += [_detail(dialect, verdict) for verdict in every if _is_wrong(verdict)]
    sys.stdout.write("\n".join(lines) + "\n")
    for dialect in DIALECTS:
        sys.stdout.write(f"guard + check + print, {dialect}: {milliseconds(dialect):.2f} ms of CPU (median)\n")
    if "-v" in sys.argv[1:]:
        sys.stdout.write("\n".join(details) + "\n")
    return 0


def _line(dialect: str, model: str, found: list[Verdict]) -> str:
    refused = sum(verdict.refusal is not None for verdict in found)
    caught, false, both, false_by_both = shares(found)
    cells = (dialect, model, refused, f"{caught:.1f} %", len(found) - refused, f"{false:.2f} %")
    return f"| {' | '.join(map(str, cells))} | {both:.1f} / {false_by_both:.2f} % |"


def _is_wrong(verdict: Verdict) -> bool:
    return (verdict.refusal is not None) != bool(verdict.errors or verdict.guard)


def _detail(dialect: str, verdict: Verdict) -> str:
    kind = "missed" if verdict.refusal else "false"
    why = verdict.refusal or "; ".join(verdict.errors) or f"guard: {verdict.guard}"
    return f"{kind}: {dialect}, {verdict.answer.model}, {verdict.answer.database}: {why}\n    {verdict.answer.sql}"


if __name__ == "__main__":
    sys.exit(main())
