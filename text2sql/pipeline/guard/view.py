"""The team's view of a database: which table a name means, and how names are compared and written."""

import re
from difflib import get_close_matches
from functools import cached_property
from string import ascii_lowercase, ascii_uppercase

from sqlglot import exp

from text2sql.pipeline.guard.policy import STATEMENT_WORDS, Columns, Policy
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs
from text2sql.pipeline.schema import Schema, Table

# Databases fold only ASCII letters; str.lower() would also turn the Kelvin sign into a k.
LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)
UPPER = str.maketrans(ascii_lowercase, ascii_uppercase)
NAMED = (exp.ColumnDef, exp.Column, exp.JSONColumnDef, exp.OpenJSONColumnDef)
STRANGER = 'The table "{}" is not in this team\'s view.'

Path = tuple[str, ...]
"""Folded names of a table, from the outermost place that is given to its own name."""


class View:
    """Without a schema every table passes that is no catalog table and no path, and no column is looked up."""

    def __init__(self, policy: Policy, schema: Schema | None) -> None:
        self.policy = policy
        self.dialect = policy.dialect
        self.schema = schema
        default = (schema.default_schema if schema else None) or policy.default_schema
        if policy.dialect == "sqlite":
            default = "main"
        self.default: Path = tuple(self.fold_name(part) for part in default.split(".")) if default else ()
        self._tables = {self._path_of(table): table for table in schema.tables} if schema else {}
        self._exact: dict[tuple[Path, str], Table] = {}
        if schema and policy.respells_tables and len(self._tables) < len(schema.tables):
            self._exact = {(self._path_of(table), table.name): table for table in schema.tables}

    @property
    def is_open(self) -> bool:
        return self.schema is None

    @cached_property
    def column_types(self) -> frozenset[str]:
        tables = self.schema.tables if self.schema else ()
        return frozenset(
            re.sub(r"[(\[].*$", "", column.type).strip().strip('"').lower()
            for table in tables
            for column in table.columns
        )

    def fold(self, identifier: exp.Identifier) -> str:
        """The name that the database compares by."""
        name: str = identifier.this
        folding = self.policy.folding
        if folding == "ignore":
            return name.translate(LOWER)
        if not identifier.args.get("quoted"):
            return name.translate(LOWER if folding == "lower" else UPPER)
        return name if folding == "lower" else self.fold_name(name)

    def fold_name(self, name: str) -> str:
        """The same for a name as the catalog holds it. Drivers show Snowflake's upper-case names in lower case."""
        folding = self.policy.folding
        if folding == "ignore":
            return name.translate(LOWER)
        return name.translate(UPPER) if folding == "upper" and name == name.translate(LOWER) else name

    def identifier(self, name: str) -> exp.Identifier:
        """A name of the catalog, quoted only where the database would read it differently."""
        plain = self.fold_name(name) if self.policy.folding == "upper" else name
        is_plain = self.policy.plain_name.fullmatch(plain) and name.lower() not in self.policy.reserved
        return exp.to_identifier(name, quoted=not is_plain)

    def spell(self, name: str) -> str:
        """A name of the catalog as it must be written in a statement."""
        return self.identifier(name).sql(dialect=self.dialect)

    def table(self, node: exp.Table) -> Table:
        """The visible table that `node` names; raises GuardRefusal, in the same words whether it exists or not."""
        parts = table_parts(node)
        path = tuple(map(self.fold, parts))
        if self._is_catalog(path):
            raise GuardRefusal("catalog_not_allowed", "The database's own catalog is not allowed as a source.")
        name = parts[-1]
        if self.is_open:
            found = self._open_table(parts)
        else:
            full = self.default[: max(0, len(self.default) + 1 - len(path))] + path
            found = self._exact.get((full, name.name)) or self._tables.get(full)
        if found is None:
            if self.policy.path.search(name.name):
                raise GuardRefusal("path_as_table", "A table name that looks like a path or an address is not allowed.")
            raise GuardRefusal("table_not_visible", STRANGER.format(name.name) + self._nearest_table(path[-1]))
        if self.policy.respells_tables and not self.is_open and found.name != name.name:
            node.set("this", self.identifier(found.name))
        return found

    def is_empty_table(self, node: exp.Table) -> bool:
        """DUAL, where the dialect has it and the view has no table of that name."""
        is_bare = node.args.get("db") is None and node.name.lower() in self.policy.empty_tables
        return is_bare and (*self.default, self.fold(node.this)) not in self._tables

    def source_function(self, node: exp.Expr) -> Columns:
        """The columns of a function in FROM; raises GuardRefusal for one that may not stand there."""
        sources = self.policy.sources
        name = function_name(node)
        if type(node) in sources:
            return sources[type(node)]
        if name not in sources:
            raise GuardRefusal("source_not_allowed", f'The function "{name}" is not allowed in FROM.')
        return sources[name]

    def rename(self, outputs: Outputs, columns: list[exp.Expr]) -> Outputs:
        """Applies the column list of an alias, as in `AS t(a, b)`."""
        names = tuple(self.fold_column(column) for column in columns)
        is_complete = len(names) >= len(outputs.names) > 0
        return Outputs(names + outputs.names[len(names) :], exact=outputs.exact or is_complete)

    def fold_column(self, column: exp.Expr) -> str:
        named = column.this if isinstance(column, NAMED) else column
        if not isinstance(named, exp.Identifier):
            raise GuardRefusal("not_parseable", "A column list may hold names only.")
        return self.fold(named)

    def path_of(self, parts: list[exp.Identifier]) -> Path:
        """The whole path of a table that a column is qualified with."""
        path = tuple(map(self.fold, parts))
        return self.default[: max(0, len(self.default) + 1 - len(path))] + path

    def _path_of(self, table: Table) -> Path:
        path = tuple(self.fold_name(part) for part in table.schema.split(".")) if table.schema else ()
        return self.default[: max(0, len(self.default) - len(path))] + path + (self.fold_name(table.name),)

    def _open_table(self, parts: list[exp.Identifier]) -> Table | None:
        policy = self.policy
        name = parts[-1]
        is_statement = not name.args.get("quoted") and name.name.lower() in STATEMENT_WORDS
        if is_statement or len(parts) > 3 or any(not part.name or policy.path.search(part.name) for part in parts):
            return None
        return Table(name.name, (), schema=".".join(part.name for part in parts[:-1]) or None)

    def _is_catalog(self, path: Path) -> bool:
        policy = self.policy
        lower = [part.lower() for part in path]
        return (
            any(part in policy.catalog_schemas or part.startswith(policy.catalog_prefixes) for part in lower[:-1])
            or lower[-1].startswith(policy.catalog_prefixes)
            or lower[-1] in policy.catalog_tables
            or (len(lower) > 2 and lower[-3] in policy.catalog_databases)
        )

    def _nearest_table(self, name: str) -> str:
        tables = {key[-1]: table for key, table in self._tables.items()}
        close = get_close_matches(name, tables, n=1)
        if not close:
            return ""
        nearest = tables[close[0]]
        parts = [*(nearest.schema or "").split("."), nearest.name]
        return f" Did you mean {'.'.join(self.spell(part) for part in parts if part)}?"


def table_parts(node: exp.Table) -> list[exp.Identifier]:
    """The identifiers of a table's name, outermost first; raises GuardRefusal for anything else."""
    parts: list[exp.Expr] = []
    for part in (node.args.get("catalog"), node.args.get("db"), node.this):
        if isinstance(part, exp.Dot):
            parts += part.flatten()
        elif part is not None:
            parts.append(part if isinstance(part, exp.Expr) else exp.to_identifier(str(part)))
    named = [part for part in parts if isinstance(part, exp.Identifier)]
    if len(named) != len(parts) or not named:
        raise GuardRefusal("path_as_table", "A table needs a plain name.")
    return named


def function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    is_series = isinstance(node, exp.ExplodingGenerateSeries | exp.GenerateSeries)
    return "generate_series" if is_series else node.key
