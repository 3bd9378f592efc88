"""What a statement may be made of. Everything that is not listed is refused, wherever in the tree it stands.

Here is what all databases have in common, and the form in which `dialects/` says what is different about one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.tokenizer_core import Token

from text2sql.pipeline.guard.functions import HARMLESS, classes


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROOTS = classes("Select Union Intersect Except Subquery")

STRUCTURE = classes("""
    Select Union Intersect Except Subquery Values With CTE From Join Where Group Having Order Ordered Limit Offset
    Fetch LimitOptions Distinct Window WindowSpec WithinGroup Filter IgnoreNulls RespectNulls Table TableAlias
    TableSample Lateral Unnest Column Identifier Star Alias Paren Tuple Var Literal Boolean Null HexString BitString
    RawString ByteString Interval IntervalSpan DataType DataTypeParam ColumnDef Kwarg GroupingSets Rollup Cube
    AtTimeZone Bracket Slice Case Cast
""")

OPERATORS = classes("""
    And Or Not Add Sub Mul Div IntDiv Mod Neg DPipe EQ NEQ GT GTE LT LTE Is NullSafeEQ NullSafeNEQ In Between
    Like ILike SimilarTo Glob Match RegexpLike RegexpILike Escape Any All Exists BitwiseAnd BitwiseOr BitwiseXor
    BitwiseNot BitwiseLeftShift BitwiseRightShift Overlaps Adjacent ExtendsLeft ExtendsRight Distance
    ArrayContainsAll ArrayContainedBy ArrayOverlaps JSONExtract JSONExtractScalar JSONBExtract JSONBExtractScalar
    JSONBContains JSONBContainsTopKey JSONBContainsAnyTopKeys JSONBContainsAllTopKeys JSONBDeleteAtPath JSONPath
    JSONPathRoot JSONPathKey JSONPathSubscript JSONPathSlice JSONPathWildcard JSONPathRecursive JSONKeyValue
""")

CALLS = (exp.Anonymous, exp.AnonymousAggFunc)
NODES = STRUCTURE | OPERATORS | HARMLESS | frozenset(CALLS)

CLAUSES: Mapping[type[exp.Expr], frozenset[str]] = {
    exp.Select: names("with_ expressions distinct from_ joins where group having windows order limit offset sample"),
    exp.Table: names("this alias db catalog joins ordinality only sample"),
    exp.With: names("expressions recursive"),
    exp.CTE: names("this alias scalar materialized"),
    exp.Join: names("this on side kind using method"),
    exp.Subquery: names("this alias with_ joins order limit offset sample"),
    exp.TableFromRows: names("this alias joins sample"),
    exp.Star: frozenset(),
    exp.Ordered: names("this desc nulls_first"),
    exp.Group: names("expressions grouping_sets cube rollup"),
}
"""What of these may be filled in; a dialect may allow more."""

SET_OPERATION = names("with_ this expression distinct order limit offset")

LARGEST_COUNT = 1_000_000
"""How many rows or characters a constant may ask a generating function for."""
GROWING = classes("Repeat Pad Space ExplodingGenerateSeries GenerateSeries")
GROWING_NAMES = names("repeat lpad rpad generate_series array_fill range generate_array replicate")
FORMATTING_NAMES = frozenset({"printf", "format"})

CATALOG_SCHEMAS = frozenset({"information_schema"})
LIKE_A_PATH = re.compile(r"[/\\:*?]|\.[a-z0-9]+$", re.IGNORECASE)
STATEMENT_WORDS = names("show describe summarize explain")

KEYWORDS = names("""
    all analyse analyze and any array as asc asymmetric authorization between binary both by case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do drop else end escape except exists
    false fetch filter for foreign freeze from full glob grant group groups having ilike in index indexed initially
    inner insert intersect into is isnull join key lateral leading left like limit localtime localtimestamp match
    natural not notnull null nulls of offset on only or order outer over overlaps partition placing primary range
    references regexp returning right rows select session_user set similar some symmetric system_user table
    tablesample then to trailing transaction true union unique unnest update user using values variadic verbose view
    when where window with without interval date time timestamp row
    """)

Columns = tuple[str, ...] | None


def nothing_more(_: exp.Expr) -> None:
    """The dialect has no rule of its own about nodes."""


def no_quirk(_sql: str, _tokens: list[Token]) -> None:
    """The dialect has no rule of its own about the text."""


def unchanged(_: exp.Expr) -> None:
    """The dialect needs no rewriting before names are resolved."""


@dataclass(frozen=True)
class Policy:
    """One dialect. Names are lower case unless said otherwise."""

    dialect: str
    language: type[Dialect]
    """Reads and prints."""
    functions: frozenset[str]
    """Harmless functions that sqlglot does not know by class; `namespace.name` where they have a namespace."""
    nodes: frozenset[type[exp.Expr]] = frozenset()
    """Allowed besides `NODES`."""
    roots: frozenset[type[exp.Expr]] = ROOTS
    clauses: Mapping[type[exp.Expr], frozenset[str]] = field(default_factory=dict)
    """Arguments allowed besides `CLAUSES`."""
    set_operation: frozenset[str] = SET_OPERATION
    sources: Mapping[str | type[exp.Expr], Columns] = field(default_factory=dict)
    """Functions that may stand in FROM, by name or class, with the columns they give. An empty tuple: one column,
    named as the alias. None: columns that are not known."""
    types: frozenset[str] | None = frozenset()
    """Types that sqlglot does not know and that may be cast to, besides those of visible columns; None: all."""
    folding: str = "ignore"
    """`ignore` case, or fold what is not quoted to `lower` or `upper`."""
    respells_tables: bool = False
    """Table names may be case-sensitive: they are written as the catalog has them."""
    default_schema: str | None = None
    catalog_schemas: frozenset[str] = CATALOG_SCHEMAS
    catalog_prefixes: tuple[str, ...] = ()
    """Beginnings of names of tables and schemas that belong to the database itself."""
    catalog_databases: frozenset[str] = frozenset()
    catalog_tables: frozenset[str] = frozenset()
    path: re.Pattern[str] = LIKE_A_PATH
    empty_tables: frozenset[str] = frozenset()
    """Such as DUAL."""
    plain_name: re.Pattern[str] = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
    reserved: frozenset[str] = KEYWORDS
    system_columns: frozenset[str] = frozenset()
    """Refused where columns are not known."""
    bare_functions: frozenset[str] = frozenset()
    """Words that are functions when they stand unquoted without a table, and tell about the session."""
    pseudo_columns: frozenset[str] = frozenset()
    """Columns that no catalog lists and that every table may have."""
    alias_clauses: frozenset[str] = frozenset()
    """Clauses besides ORDER BY and GROUP BY that may name outputs: select, where, group, having, qualify, order."""
    groups_by_alias: bool = True
    has_fields: bool = False
    """`a.b.c` may reach into a column."""
    has_implicit_recursion: bool = False
    """A CTE may read itself without the word RECURSIVE."""
    shares_first: bool = False
    """USING puts the shared columns first."""
    unnest_alias_is_column: bool = False
    values_columns: tuple[str, int] = ("column", 1)
    """How columns of VALUES are called, and from which number on."""
    names_by_function: bool = False
    """An output without a name is called as its function."""
    longest_name: int | None = None
    """In bytes; a longer one is cut off by the database and might then mean another name."""
    check_node: Callable[[exp.Expr], None] = nothing_more
    check_text: Callable[[str, list[Token]], None] = no_quirk
    normalize: Callable[[exp.Expr], None] = unchanged

    @cached_property
    def limited(self) -> Mapping[type[exp.Expr], frozenset[str]]:
        """Which arguments of a node may be filled in, for the nodes where not all may be."""
        limited = {kind: common | self.clauses.get(kind, frozenset()) for kind, common in CLAUSES.items()}
        return {**limited, **dict.fromkeys((exp.Union, exp.Intersect, exp.Except), self.set_operation)}

    @cached_property
    def all_nodes(self) -> frozenset[type[exp.Expr]]:
        return NODES | self.nodes
