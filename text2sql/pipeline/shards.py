"""Tables that are one table cut by date, such as `events_20260101`, `events_20260102` …, told as one."""

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from text2sql.pipeline.schema import Column, Table

FEWEST = 3
"""Tables of one shape that make a family; two may be an archive and its original."""

_DATED = re.compile(r"(?P<stem>.*?[A-Za-z_])(?P<date>(?:19|20)\d{2}(?:_?\d{2}){0,2})")


@dataclass(frozen=True)
class Family:
    """Tables of the same columns whose names differ in a date only; in the order of their dates."""

    stem: str
    """Qualified, for example `logs.events_`."""
    tables: tuple[Table, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        return self.tables[-1].columns


def families_find(tables: Iterable[Table]) -> tuple[list[Family], list[Table]]:
    """The families, and the tables that belong to none; both sorted by name."""
    groups: defaultdict[tuple[object, ...], list[Table]] = defaultdict(list)
    for table in tables:
        found = _DATED.fullmatch(table.qualified_name)
        if found and not table.is_view:
            shape = tuple((column.name, column.type) for column in table.columns)
            groups[found["stem"], len(found["date"]), shape].append(table)
        else:
            groups[table.qualified_name,].append(table)
    families, single = [], []
    for key, group in groups.items():
        if len(key) > 1 and len(group) >= FEWEST:
            families.append(Family(str(key[0]), tuple(sorted(group, key=lambda table: table.name))))
        else:
            single += group
    return sorted(families, key=lambda family: family.stem), sorted(single, key=lambda table: table.qualified_name)
