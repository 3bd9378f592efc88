"""Verified SQL: the answers it accepts, and what has to be read besides its rows to judge another's.

Accepted answers are written as Defog's `sql-eval` does: several statements with `;` between them, and `{a, b}` for any
non-empty choice of these columns, which `GROUP BY {}` repeats.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from text2sql.pipeline.comparison.rows import Gold
from text2sql.pipeline.comparison.values import Column, ResultSet

TIES_READ = 1_000
"""How many rows beyond its LIMIT are read of a verified query, in search of ties."""

PIECE = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|\{[^{}']*\}|;|.", re.DOTALL)
NAME = re.compile(r'\s*(?:[^\W\d]\w*|"[^"]+")(?:\.(?:\w+|"[^"]+"))*\s*')
HIGH_LOW = (
    "highest|lowest|largest|smallest|biggest|longest|shortest|best|worst|most|least|newest|latest|oldest|earliest|top|"
    "first|last|high|low"
)
ORDER = re.compile(
    rf"""\b(sort(ed|ing)?|ordered|ordering|arranged?|ranked|ascending|descending|alphabetically|chronologically
    |order\s+(by|from|the|them|these|those|it|results?|in|alphabetically|chronologically)
    |in\s+(an?\s+|the\s+)?(\w+\s+){{0,2}}order(?!\s+to)
    |({HIGH_LOW})\s+(\w+\s+){{0,2}}to\s+(the\s+)?(\w+\s+)?({HIGH_LOW})
    |(starting|beginning)\s+(from|with)|({HIGH_LOW})\s+(\w+\s+){{0,2}}first)\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class GoldQuery:
    """What is run for a verified query: with its sort keys as last columns, and reaching beyond its LIMIT."""

    sql: str
    keys: tuple[int, ...] | None = ()
    """The places of the sort keys among the columns; negative ones count from the end. None: they are not known."""
    added: int = 0
    """How many last columns are not the query's own."""
    is_sorted: bool = False
    limit: int | None = None

    def read(self, result: ResultSet) -> Gold:
        width = len(result.types)
        keys = None
        if self.is_sorted and self.keys is not None:
            places = [place % width for place in self.keys]
            columns = [Column(result.types[place], [row[place] for row in result.rows]).as_text for place in places]
            keys = list(zip(*columns, strict=True))
        own = width - self.added
        rows = [row[:own] for row in result.rows]
        return Gold(ResultSet(result.types[:own], rows, result.truncated), keys, self.is_sorted, self.limit)


def order_asked(question: str) -> bool:
    """Whether the question wants its rows in an order: 'sorted by', 'from highest to lowest'. 'The top 5' does not."""
    return ORDER.search(question) is not None


def golds_accepted(sql: str) -> list[str]:
    """Each statement that answers the question, in the order given, none twice."""
    expanded = chain.from_iterable(map(_column_choices, _statements(sql)))
    return list(dict.fromkeys(expanded))


def gold_query(sql: str, *, dialect: str) -> GoldQuery:
    """How to run a verified query; as it stands, where nothing is to gain or it is not understood."""
    try:
        tree = sqlglot.parse_one(sql, read=dialect)
    except SqlglotError:
        return GoldQuery(sql, keys=None, is_sorted=True)
    if not isinstance(tree, exp.Query):
        return GoldQuery(sql)
    order = tree.args.get("order")
    keys, added = _sort_keys(tree, [each.this for each in order.expressions]) if order else ((), 0)
    limit = _limit(tree) if keys is not None else None
    if limit is not None:
        tree.set("limit", exp.Limit(expression=exp.Literal.number(limit + TIES_READ)))
    is_changed = added or limit is not None
    return GoldQuery(tree.sql(dialect) if is_changed else sql, keys, added, bool(order), limit)


def _statements(sql: str) -> Iterator[list[str]]:
    """The pieces of each statement."""
    pieces: list[str] = []
    for match in PIECE.finditer(sql):
        if match[0] != ";":
            pieces.append(match[0])
            continue
        yield pieces
        pieces = []
    yield pieces


def _column_choices(pieces: Sequence[str]) -> Iterator[str]:
    text = "".join(pieces).strip()
    sets = [(place, names) for place, piece in enumerate(pieces) if (names := _names(piece))]
    if not sets:
        if text:
            yield text
        return
    place, names = sets[0]
    for count in range(1, len(names) + 1):
        for choice in combinations(names, count):
            columns = ", ".join(choice)
            repeated = [columns if piece == "{}" else piece for piece in pieces[place + 1 :]]
            yield from _column_choices([*pieces[:place], columns, *repeated])


def _names(piece: str) -> list[str]:
    """The columns of `{a, b}`; none where braces mean something else."""
    if not (piece.startswith("{") and piece.endswith("}")):
        return []
    names = piece[1:-1].split(",")
    return [name.strip() for name in names] if all(map(NAME.fullmatch, names)) else []


def _limit(tree: exp.Query) -> int | None:
    """The number in the outermost LIMIT; None where there is none, or an OFFSET, a share or WITH TIES besides."""
    limit = tree.args.get("limit")
    if not isinstance(limit, exp.Limit | exp.Fetch) or tree.args.get("offset") or limit.args.get("offset"):
        return None
    options = limit.args.get("limit_options")
    if options is not None and (options.args.get("percent") or options.args.get("with_ties")):
        return None
    count = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.expression
    return int(count.this) if isinstance(count, exp.Literal) and count.is_int else None


def _sort_keys(tree: exp.Query, keys: Sequence[exp.Expr]) -> tuple[tuple[int, ...] | None, int]:
    """Where the keys are among the columns, after those that are not there have been added to the tree."""
    columns = tree.selects
    has_star = any(column.is_star for column in columns)
    is_closed = not isinstance(tree, exp.Select) or _is_distinct(tree)
    places: list[int] = []
    added: list[exp.Expr] = []
    for key in keys:
        place = None if has_star else _place(key, columns)
        if place is not None:
            places.append(place)
            continue
        expression = _expression(key, columns)
        if is_closed or expression is None:
            return None, 0
        added.append(expression)
        places.append(len(columns) + len(added) - 1)
    if has_star:
        places = [place - len(columns) - len(added) for place in places]
    if isinstance(tree, exp.Select):
        for number, expression in enumerate(added):
            tree.select(exp.alias_(expression, f"sort_key_{number}"), copy=False)
    return tuple(places), len(added)


def _is_distinct(tree: exp.Select) -> bool:
    distinct = tree.args.get("distinct")
    return distinct is not None and not distinct.args.get("on")


def _place(key: exp.Expr, columns: Sequence[exp.Expr]) -> int | None:
    if isinstance(key, exp.Literal) and key.is_int:
        return int(key.this) - 1
    for place, column in enumerate(columns):
        if _is_bare(key) and column.alias_or_name.lower() == key.name.lower():
            return place
    return next((place for place, column in enumerate(columns) if column.unalias() == key), None)


def _expression(key: exp.Expr, columns: Sequence[exp.Expr]) -> exp.Expr | None:
    """What can be selected to see the key; None for a place in a list that is not known."""
    if isinstance(key, exp.Literal) and key.is_int:
        return None
    named = {column.alias.lower(): column.unalias() for column in columns if column.alias}
    if _is_bare(key) and key.name.lower() in named:
        return named[key.name.lower()].copy()
    return key.copy()


def _is_bare(key: exp.Expr) -> bool:
    return isinstance(key, exp.Column) and not key.table
