"""Names that may have been meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from text2sql.pipeline.check.catalog import NOT_WORD, Catalog
from text2sql.pipeline.check.scope import Scope, Source

MOST_NAMES = 5
MOST_COMPARED = 400


def close_columns(catalog: Catalog, name: str, scope: Scope | None, source: Source | None = None) -> tuple[str, ...]:
    """First of the sources in scope, then of other tables, written with their table."""
    found: list[str] = []
    plain = NOT_WORD.sub("", name.lower())
    sources = (
        [source] if source is not None else [s for level in (scope.levels() if scope else ()) for s in level.sources]
    )
    for each in sources:
        spelled = each.relation.spelled if each.relation else {}
        by_plain = {NOT_WORD.sub("", column.lower()): spelled.get(column, column) for column in each.columns}
        close_names = get_close_matches(plain, _near(plain, by_plain), n=2, cutoff=0.6)
        if not close_names:
            close_names = [
                each for each in by_plain if len(each) > 1 and (plain.endswith(each) or each.endswith(plain))
            ][:2]
        prefix = f"{each.name}." if each.name else ""
        found += [prefix + by_plain[close] for close in close_names]
    elsewhere = [f"{table}.{column}" for table, column in catalog.by_plain_column.get(plain, ())]
    if not found and not elsewhere:
        for close in get_close_matches(plain, _near(plain, catalog.by_plain_column), n=3, cutoff=0.7):
            elsewhere += [f"{table}.{column}" for table, column in catalog.by_plain_column[close][:2]]
    return tuple(dict.fromkeys(found + elsewhere))[:MOST_NAMES]


def close_tables(catalog: Catalog, name: str) -> tuple[str, ...]:
    plain = name.lower()
    by_plain = {key.lower(): key for key in catalog.by_name}
    close = get_close_matches(plain, _near(plain, by_plain), n=3, cutoff=0.5)
    return tuple(catalog.by_name[by_plain[key]][0].qualified_name for key in close)


def close_functions(catalog: Catalog, name: str) -> tuple[str, ...]:
    known = catalog.functions.counterparts.get(name)
    if known is not None:
        return (known,)
    return tuple(get_close_matches(name, _near(name, catalog.functions.kinds), n=3, cutoff=0.75))


def _near(name: str, names: Iterable[str]) -> list[str]:
    """A bounded choice: comparing with every name of a large schema would take too long."""
    choice = list(names)
    if len(choice) > MOST_COMPARED:
        start = name[:2]
        choice = [each for each in choice if each[:2] == start or name in each or (len(each) > 3 and each in name)]
    return choice[:MOST_COMPARED]
