"""The guard against lists of attacks and of legitimate queries; `python -m tests.quality.guard` prints the figures."""

import pytest

from tests.quality.guard import OWN, own_rows, refusal_of, shared_rows, wrongly_judged
from text2sql.pipeline.guard import supported_dialects

KINDS = ("attacks", "legit")


@pytest.mark.parametrize("kind", KINDS)
def test_at_least_99_percent_of_the_shared_list_are_judged_rightly(kind: str) -> None:
    rows = [row for row in shared_rows(kind) if row["dialect"] in supported_dialects()]
    if not rows:
        pytest.skip("the lists of ../shared/data/guard are not on this machine")
    wrong = wrongly_judged(kind, rows)
    assert len(rows) > 150
    assert len(wrong) <= len(rows) * 0.01, "\n".join(f"{row['dialect']}: {row['sql']}" for row in wrong)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dialect", sorted(path.stem for path in (OWN / "attacks").glob("*.jsonl")))
def test_the_own_list_is_judged_rightly_in_every_dialect(kind: str, dialect: str) -> None:
    rows = [row for row in own_rows(kind) if row["dialect"] == dialect]
    wrong = wrongly_judged(kind, rows)
    assert len(rows) >= 40
    # What sqlglot cannot read is refused: PARSE(… AS …) and money constants of SQL Server.
    allowed = 2 if (kind, dialect) == ("legit", "tsql") else 0
    assert len(wrong) <= allowed, "\n".join(row["sql"] for row in wrong)


def test_a_refusal_has_a_code_and_a_sentence() -> None:
    refusals = [refusal for row in own_rows("attacks") if (refusal := refusal_of(row)) is not None]
    assert len(refusals) > 600
    for refusal in refusals:
        assert refusal.code.replace("_", "").isalpha()
        assert refusal.code == refusal.code.lower()
        assert refusal.message[-1] in ".?"
        assert 15 < len(refusal.message) < 200, refusal.message


def test_dialects_that_the_guard_does_not_know_are_refused_as_such() -> None:
    for dialect in ("clickhouse", "trino", "oracle", "redshift", "", "Postgres"):
        refusal = refusal_of({"dialect": dialect, "sql": "SELECT 1"})
        assert refusal is not None
        assert refusal.code == "dialect_unsupported"
