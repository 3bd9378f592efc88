"""Which tables are joined with each other: declared foreign keys, and those that nobody declared."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from text2sql.pipeline.retrieval.words import name_words, stem
from text2sql.pipeline.schema import Table

DECLARED = 0.25
"""The part of a chosen table's relevance that a table joined with it gains."""

IMPLIED = DECLARED / 2

KEY_WORDS = frozenset({"id", "key", "code", "uuid", "guid", "no", "num", "number"})
SHARED_BY_MOST = 20
"""A column that more tables have (`tenant_id`) tells nothing about what is joined."""

Links = list[dict[int, float]]
"""For each table the tables joined with it, by position, and how much."""


def links(tables: Sequence[Table]) -> Links:
    found: Links = [{} for _ in tables]
    for one, other in _implied(tables):
        found[one][other] = found[other][one] = IMPLIED
    positions = {table.qualified_name.lower(): position for position, table in enumerate(tables)}
    for position, table in enumerate(tables):
        for key in table.foreign_keys:
            referred = positions.get(key.referred_table.lower())
            if referred is not None and referred != position:
                found[position][referred] = found[referred][position] = DECLARED
    return found


def _implied(tables: Sequence[Table]) -> Iterator[tuple[int, int]]:
    """Tables of a schema with the same key-like column, and `customer_id` with the table `customers`."""
    sharing: defaultdict[tuple[str | None, str], dict[int, None]] = defaultdict(dict)
    named: defaultdict[tuple[str | None, str], list[int]] = defaultdict(list)
    for position, table in enumerate(tables):
        named[table.schema, _joined(name_words(table.name))].append(position)
        for column in table.columns:
            words = name_words(column.name)
            if len(words) > 1 and words[-1] in KEY_WORDS:
                sharing[table.schema, column.name.lower()][position] = None
    for (schema, name), positions in sharing.items():
        referred = named.get((schema, _joined(name_words(name)[:-1])), [])
        yield from ((one, other) for one in positions for other in referred if one != other)
        if len(positions) <= SHARED_BY_MOST:
            yield from ((one, other) for one in positions for other in positions if one < other)


def _joined(words: list[str]) -> str:
    return "".join(map(stem, words))
