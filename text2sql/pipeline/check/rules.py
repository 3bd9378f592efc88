"""What the databases do differently when they give names a meaning."""

from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from text2sql.pipeline.check.functions import words

Grouping = Literal["any", "doubt", "columns", "keys"]
AFTER_SELECT = frozenset({"where", "group", "having", "qualify", "order", "on"})


@dataclass(frozen=True)
class Rules:
    dialect: str
    folds_all: bool = True
    """Names are compared without case even when quoted."""
    aliases: frozenset[str] = frozenset()
    """Clauses where an expression may name an output of its own SELECT; bare terms of GROUP BY and ORDER BY aside."""
    groups_by_alias: bool = True
    grouping: Grouping = "columns"
    """`any` column may stand beside aggregates; it must be in GROUP BY; or its table's primary key must (`keys`).
    `doubt`: it depends on a setting."""
    has_ordered_distinct: bool = True
    """SELECT DISTINCT may be ordered by what it selects only."""
    has_lateral_subqueries: bool = False
    """A subquery in FROM sees the sources before it without the word LATERAL."""
    on_sees_all: bool = False
    """A join condition sees the sources after it too."""
    wraps_operands: bool = True
    """Operands of a set operation may stand in parentheses."""
    terms_see_outside: bool = True
    """GROUP BY and ORDER BY of a subquery may name columns of the query around it."""
    needs_grouping: bool = False
    """HAVING, and aggregates in ORDER BY, only where the SELECT list or GROUP BY aggregates."""
    reads_quotes_as_text: bool = False
    """What is in double quotes and names nothing is a string."""
    has_group_rows: bool = True
    """GROUP BY takes (a, b)."""
    has_column_names: bool = True
    """An alias in FROM may name the columns: AS t(a, b)."""
    has_distinct_on: bool = True
    has_fields: bool = False
    """`a.b` may reach into a column."""
    recursive_word: bool = False
    """A CTE reads itself only after the word RECURSIVE."""
    is_strict: bool = False
    """The rules were held against the engine: a name that is not there is surely refused."""
    row_names: frozenset[str] = frozenset()
    """Columns that every table has and no catalog lists."""
    reserved: frozenset[str] = frozenset()
    """Words that name a table only in quotes."""
    missing: tuple[type[exp.Expr], ...] = ()
    """What the language has no syntax for."""


SQLITE_MISSING = (
    exp.Interval, exp.ILike, exp.SimilarTo, exp.Any, exp.All, exp.Array, exp.Bracket, exp.AtTimeZone, exp.TryCast,
    exp.Extract, exp.Lateral, exp.Unnest, exp.GroupingSets, exp.Rollup, exp.Cube, exp.Qualify, exp.RegexpILike,
    exp.Struct, exp.WithinGroup,
)  # fmt: skip
POSTGRES_MISSING = (exp.TryCast, exp.Qualify, exp.Glob, exp.Struct)

POSTGRES_RESERVED = words("""
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation
    column concurrently constraint create cross default deferrable desc distinct do else end except false fetch for
    foreign freeze from full grant group having ilike in initially inner intersect into is isnull join lateral leading
    left like limit natural not notnull null offset on or order outer overlaps placing primary references returning
    right select similar some symmetric table tablesample then to trailing true union unique using variadic verbose
    when where window with
    """)
SQLITE_RESERVED = words("""
    add all alter and as autoincrement between case check collate commit constraint create default deferrable delete
    distinct drop else escape except exists foreign from group having in index insert intersect into is isnull join
    limit not nothing notnull null on or order primary references returning select set table then to transaction union
    unique update using values when where
    """)

RULES = {
    rules.dialect: rules
    for rules in (
        Rules(
            "postgres",
            folds_all=False,
            grouping="keys",
            recursive_word=True,
            is_strict=True,
            row_names=frozenset({"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}),
            missing=POSTGRES_MISSING,
            reserved=POSTGRES_RESERVED,
        ),
        Rules(
            "sqlite",
            aliases=AFTER_SELECT,
            grouping="any",
            has_ordered_distinct=False,
            on_sees_all=True,
            wraps_operands=False,
            has_distinct_on=False,
            reserved=SQLITE_RESERVED,
            terms_see_outside=False,
            has_group_rows=False,
            has_column_names=False,
            needs_grouping=True,
            reads_quotes_as_text=True,
            is_strict=True,
            row_names=frozenset({"rowid", "oid", "_rowid_"}),
            missing=SQLITE_MISSING,
        ),
        Rules(
            "mysql",
            aliases=frozenset({"having", "order", "group"}),
            grouping="doubt",
            has_ordered_distinct=False,
            recursive_word=True,
        ),
        Rules(
            "duckdb",
            aliases=AFTER_SELECT | {"select"},
            has_lateral_subqueries=True,
            recursive_word=True,
            has_fields=True,
            has_ordered_distinct=False,
            row_names=frozenset({"rowid"}),
        ),
        Rules(
            "snowflake",
            aliases=AFTER_SELECT | {"select"},
            has_fields=True,
            row_names=frozenset({"level", "metadata$filename", "metadata$file_row_number"}),
        ),
        Rules(
            "bigquery",
            aliases=frozenset({"group", "having", "qualify", "order"}),
            has_fields=True,
            recursive_word=True,
            row_names=frozenset({"_partitiontime", "_partitiondate", "_table_suffix", "_file_name"}),
        ),
        Rules("tsql", groups_by_alias=False),
    )
}
