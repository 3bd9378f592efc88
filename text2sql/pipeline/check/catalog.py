"""Look-up tables of a schema, made once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from weakref import ref

from sqlglot import exp

from text2sql.pipeline.check.functions import Functions, functions_of
from text2sql.pipeline.check.rules import RULES, Rules
from text2sql.pipeline.check.types import Type, Types, types_of
from text2sql.pipeline.schema import Schema, Table

NOT_WORD = re.compile(r"[^a-z0-9]")
MOST_CATALOGS = 64


@dataclass(frozen=True)
class Relation:
    """A table with names as they are compared."""

    name: str
    columns: dict[str, Type]
    spelled: dict[str, str]
    """Compared name to the catalog's own."""
    key: frozenset[str]

    @property
    def is_known(self) -> bool:
        """False for a table whose columns nobody listed."""
        return bool(self.columns)


class Catalog:
    """Tables are looked at when a statement first names them: a schema may have thousands."""

    def __init__(self, schema: Schema, rules: Rules) -> None:
        self.rules = rules
        self.types: Types | None = types_of(rules.dialect)
        self.functions: Functions = functions_of(rules.dialect)
        self.default_schema = "main" if rules.dialect == "sqlite" else schema.default_schema
        self.by_name: dict[str, list[Table]] = {}
        self._tables: dict[tuple[str | None, str], Table] = {}
        self._relations: dict[tuple[str | None, str], Relation] = {}
        for table in schema.tables:
            name = self._folded(table.name)
            self._tables[self._folded(table.schema) if table.schema else None, name] = table
            self.by_name.setdefault(name, []).append(table)

    @cached_property
    def by_plain_column(self) -> Mapping[str, list[tuple[str, str]]]:
        """Letters and digits of a column's name to (table, column) as they are written."""
        found: dict[str, list[tuple[str, str]]] = {}
        for table in self._tables.values():
            for column in table.columns:
                plain = NOT_WORD.sub("", column.name.lower())
                found.setdefault(plain, []).append((table.qualified_name, column.name))
        return found

    def fold(self, identifier: exp.Identifier) -> str:
        """The name that the database compares by."""
        name: str = identifier.this
        return name if identifier.args.get("quoted") and not self.rules.folds_all else name.lower()

    def relation(self, table: exp.Table) -> Relation | None:
        place, name = table.args.get("db"), self.fold(table.this)
        if isinstance(place, exp.Identifier):
            folded = self.fold(place)
            keys = [(folded, name), *([(None, name)] if self.default_schema in {None, folded} else [])]
        else:
            keys = [(None, name), (self.default_schema, name)]
            if self.default_schema is None and name in self.by_name:
                only = self.by_name[name][0]
                keys.append((self._folded(only.schema) if only.schema else None, name))
        return next((self._relation(key) for key in keys if key in self._tables), None)

    def _folded(self, name: str) -> str:
        return name.lower() if self.rules.folds_all else name

    def _relation(self, key: tuple[str | None, str]) -> Relation:
        if key not in self._relations:
            table = self._tables[key]
            types = self.types
            self._relations[key] = Relation(
                table.qualified_name,
                {self._folded(column.name): types.named(column.type) if types else None for column in table.columns},
                {self._folded(column.name): column.name for column in table.columns},
                frozenset(map(self._folded, table.primary_key)),
            )
        return self._relations[key]


_catalogs: dict[int, tuple["ref[Schema]", Catalog]] = {}


def catalog_of(schema: Schema) -> Catalog | None:
    """The look-up tables of this very object; None for a dialect without rules."""
    known = _catalogs.get(id(schema))
    if known is not None and known[0]() is schema:
        return known[1]
    rules = RULES.get(schema.dialect)
    if rules is None:
        return None
    catalog = Catalog(schema, rules)
    # Two threads may both make one: the later one stays.
    if len(_catalogs) >= MOST_CATALOGS:
        _catalogs.clear()
    _catalogs[id(schema)] = (ref(schema), catalog)
    return catalog
