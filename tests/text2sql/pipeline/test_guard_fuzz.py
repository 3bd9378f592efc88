"""Nonsense and monsters are refused with a code, and quickly; what is printed is what was checked."""

import random
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.quality.guard import own_rows, refusal_of
from text2sql.pipeline.guard import guard_statement, supported_dialects
from text2sql.pipeline.guard.dialects import POLICIES
from text2sql.pipeline.guard.syntax import parse_statement

# Measured: 0.15 seconds at most. The tests take the CPU time, which other processes do not add to.
MOST_CPU_SECONDS = 1.0
SIZE = 100_000
PIECES = [
    "(", "[", "{", "SELECT ", "(SELECT ", "SELECT (", "CASE WHEN ", "NOT ", "- ", "~", "f(", "x.", "x.f().", ".f()",
    "[1]", "::int", "->'a'", ":a", " + 1", " || 1", " AND x = 1", " OR x", " UNION SELECT 1", " UNION ALL SELECT 1",
    " EXCEPT SELECT 1", ", t", " JOIN t USING (a)", " CROSS JOIN t", " IS NULL", " BETWEEN 1 AND 2", " COLLATE c",
    "INTERVAL ", "EXISTS(", "CAST(", "ARRAY<", "STRUCT<a ", "{'a': ", "x -> ", "WITH a AS (", "a AS (SELECT 1), ",
    "/* ", "/*", "-- x\n", "SELECT 1; ", "''", '""', "`", "'", "$a$", "\\", "@", "?", ":x", "|> ", "DISTINCT ",
    "LATERAL (", " PIVOT (SUM(a) FOR b IN (1))", " QUALIFY ", "x OVER (PARTITION BY ", "DATE ", "PRIOR ", "ANY(", "%",
    "1, ", "'a', ", "a, ", "\u2028", "\U0001f600", "é", "e1", "0x", "\n",
]  # fmt: skip


def judged(sql: str, dialect: str) -> str:
    """The code of the refusal, or nothing; anything but a refusal within a second fails."""
    started = time.thread_time()
    refusal = refusal_of({"dialect": dialect, "sql": sql})
    spent = time.thread_time() - started
    assert spent < MOST_CPU_SECONDS, f"{dialect}: {spent:.1f} s for {sql[:60]!r}"
    return refusal.code if refusal is not None else ""


@pytest.mark.slow
@pytest.mark.parametrize("dialect", supported_dialects())
@pytest.mark.parametrize("size", [4_000, SIZE])
def test_repetition_of_anything_is_judged_within_a_second(dialect: str, size: int) -> None:
    """Each dialect gets pieces of its own draw, and together they get them all."""
    for piece in random.Random(f"{dialect} {size}").sample(PIECES, 25):
        for start, end in (("SELECT ", "1"), ("SELECT x", " FROM t")):
            judged(f"{start}{piece * (size // len(piece))}{end}", dialect)


@pytest.mark.parametrize("dialect", supported_dialects())
def test_ten_thousand_unions_and_deep_nesting_are_too_complex(dialect: str) -> None:
    assert judged(" UNION ".join(["SELECT 1"] * 10_000), dialect) == "too_complex"
    assert judged("SELECT " + "(" * SIZE, dialect) == "too_complex"
    assert judged("SELECT * FROM " + "(SELECT * FROM " * (SIZE // 15) + "t", dialect) == "too_complex"
    assert judged("SELECT x" + "[1]" * 1_500 + " FROM t", dialect) in {"too_complex", "not_parseable"}
    assert judged("SELECT x" + ".f()" * 1_500 + " FROM t", dialect) == "too_complex"
    assert judged("x" * 300_000, dialect) == "too_complex"


@pytest.mark.parametrize("dialect", supported_dialects())
def test_ten_thousand_values_in_a_list_pass(dialect: str) -> None:
    values = ", ".join(map(str, range(10_000)))
    assert guard_statement(f"SELECT 0 IN ({values})", dialect=dialect).sql == f"SELECT 0 IN ({values})"


@pytest.mark.parametrize("dialect", supported_dialects())
def test_random_bytes_are_refused(dialect: str) -> None:
    source = random.Random(20261123)
    for length in (0, 1, 7, 80, 1_000, 20_000):
        for _ in range(20):
            sql = source.randbytes(length).decode("latin-1")
            assert judged(sql, dialect)
            judged("SELECT " + sql.replace("\0", ""), dialect)


STATEMENTS = [(row["dialect"], row["sql"]) for row in own_rows("legit")]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_broken_statements_never_break_the_guard(data: st.DataObject) -> None:
    dialect, sql = data.draw(st.sampled_from(STATEMENTS))
    place = data.draw(st.integers(0, len(sql)))
    length = data.draw(st.integers(0, 12))
    judged(sql[:place] + data.draw(st.sampled_from([*PIECES, ""])) + sql[place + length :], dialect)


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1, max_size=12
).filter(str.strip)
QUOTES = {"mysql": ("`", "`"), "bigquery": ("`", "`"), "tsql": ("[", "]")}


@settings(max_examples=300, deadline=None)
@given(dialect=st.sampled_from(supported_dialects()), text=NAMES, name=NAMES)
@example(dialect="bigquery", text="0", name="\\0")
def test_strings_and_names_are_printed_as_they_were_read(dialect: str, text: str, name: str) -> None:
    opening, closing = QUOTES.get(dialect, ('"', '"'))
    literal = text.replace("'", "''")
    if dialect in {"mysql", "bigquery", "snowflake"}:
        literal = text.replace("\\", "\\\\").replace("'", "\\'")
    sql = f"SELECT '{literal}' AS {opening}{name.replace(closing, closing * 2)}{closing}"
    if (refused := refusal_of({"dialect": dialect, "sql": sql})) is not None:
        assert refused.code in {
            "not_parseable",
            "parameter",
            "identifier_too_long",
            "executable_comment",
            "not_allowed",
        }
        return
    guarded = guard_statement(sql, dialect=dialect)
    again = parse_statement(guarded.sql, POLICIES[dialect])
    assert again == guarded.tree
    (output,) = again.expressions
    assert output.this.this == text
    assert output.alias == name


@pytest.mark.parametrize("dialect", supported_dialects())
def test_what_is_printed_passes_again_and_stays_as_it_is(dialect: str) -> None:
    """What runs is a fixed point of the guard: read back, it is the statement that was printed."""
    language = POLICIES[dialect].language()
    passed = 0
    for row_dialect, sql in STATEMENTS:
        if row_dialect != dialect:
            continue
        if refusal_of({"dialect": dialect, "sql": sql}) is not None:
            continue
        printed = guard_statement(sql, dialect=dialect).sql
        again = guard_statement(printed, dialect=dialect)
        assert [token.text for token in language.tokenize(again.sql)] == [t.text for t in language.tokenize(printed)]
        assert again.tree == parse_statement(again.sql, POLICIES[dialect])
        passed += 1
    assert passed > 40
