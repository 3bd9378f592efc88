"""The team's view of a database: which table a name means, and how names are compared and written."""

import re
from difflib import get_close_matches
from string import ascii_lowercase, ascii_uppercase

from sqlglot import exp

from text2sql.pipeline.guard import policy
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs
from text2sql.pipeline.schema import Schema, Table

# Both databases fold only ASCII letters; str.lower() would also turn the Kelvin sign into a k.
FOLD = str.maketrans(ascii_uppercase, ascii_lowercase)
CATALOG_SCHEMAS = frozenset({"information_schema", "sqlite_master", "sqlite_schema", "sqlite_temp_master", "temp"})
LIKE_A_PATH = re.compile(r"[/\\:*?]|\.[a-z0-9]+$", re.IGNORECASE)
PLAIN_NAME = {"postgres": re.compile(r"[a-z_][a-z0-9_]*"), "sqlite": re.compile(r"[A-Za-z_][A-Za-z0-9_]*")}
RESERVED = """
    all analyse analyze and any array as asc asymmetric authorization between binary both by case cast check collate
    collation column concurrently constraint create cross current_catalog current_date current_role current_schema
    current_time current_timestamp current_user default deferrable desc distinct do drop else end escape except exists
    false fetch filter for foreign freeze from full glob grant group groups having ilike in index indexed initially
    inner insert intersect into is isnull join key lateral leading left like limit localtime localtimestamp match
    natural not notnull null nulls of offset on only or order outer over overlaps partition placing primary range
    references regexp returning right rows select session_user set similar some symmetric system_user table
    tablesample then to trailing transaction true union unique unnest update user using values variadic verbose view
    when where window with without interval date time timestamp row
"""
KEYWORDS = frozenset(RESERVED.split())
STRANGER = 'The table "{}" is not in this team\'s view.'


class View:
    def __init__(self, schema: Schema) -> None:
        self.dialect = schema.dialect
        self.default_schema = "main" if schema.dialect == "sqlite" else schema.default_schema
        self._tables = {self._key(table): table for table in schema.tables}
        self.column_types = frozenset(
            re.sub(r"[(\[].*$", "", column.type).strip().strip('"').lower()
            for table in schema.tables
            for column in table.columns
        )

    def fold(self, identifier: exp.Identifier) -> str:
        """The name that the database compares by."""
        keep = identifier.args.get("quoted") and self.dialect == "postgres"
        return identifier.name if keep else identifier.name.translate(FOLD)

    def fold_name(self, name: str) -> str:
        """The same for a name as the catalog holds it."""
        return name if self.dialect == "postgres" else name.translate(FOLD)

    def identifier(self, name: str) -> exp.Identifier:
        """A name of the catalog, quoted only where the database would read it differently."""
        is_plain = PLAIN_NAME[self.dialect].fullmatch(name) and name.lower() not in KEYWORDS
        return exp.to_identifier(name, quoted=not is_plain)

    def spell(self, name: str) -> str:
        """A name of the catalog as it must be written in a statement."""
        return self.identifier(name).sql(dialect=self.dialect)

    def table(self, node: exp.Table) -> Table:
        """The visible table that `node` names; raises GuardRefusal, in the same words whether it exists or not."""
        name, schema = node.this, node.args.get("db")
        folded = self.fold(name)
        place = self.fold(schema) if schema else None
        if self._is_catalog(folded, place):
            raise GuardRefusal("catalog_not_allowed", "The database's own catalog is not allowed as a source.")
        if LIKE_A_PATH.search(name.name):
            raise GuardRefusal("path_as_table", "A table name that looks like a path or an address is not allowed.")
        found = self._tables.get((None if place == self.default_schema else place, folded))
        if node.args.get("catalog") is not None or found is None:
            raise GuardRefusal("table_not_visible", STRANGER.format(name.name) + self._nearest_table(folded))
        return found

    def source_function(self, node: exp.Expr) -> tuple[str, ...]:
        """The columns of a function in FROM; raises GuardRefusal for one that may not stand there."""
        name = function_name(node)
        columns = policy.DIALECTS[self.dialect].sources.get(name)
        if columns is None:
            raise GuardRefusal("source_not_allowed", f'The function "{name}" is not allowed in FROM.')
        return columns

    def rename(self, outputs: Outputs, columns: list[exp.Expr]) -> Outputs:
        """Applies the column list of an alias, as in `AS t(a, b)`."""
        names = tuple(self.fold_column(column) for column in columns)
        is_complete = len(names) >= len(outputs.names) > 0
        return Outputs(names + outputs.names[len(names) :], exact=outputs.exact or is_complete)

    def fold_column(self, column: exp.Expr) -> str:
        named = column.this if isinstance(column, exp.ColumnDef) else column
        if not isinstance(named, exp.Identifier):
            raise GuardRefusal("not_parseable", "A column list may hold names only.")
        return self.fold(named)

    def _key(self, table: Table) -> tuple[str | None, str]:
        return (self.fold_name(table.schema) if table.schema else None, self.fold_name(table.name))

    def _is_catalog(self, name: str, schema: str | None) -> bool:
        if schema in CATALOG_SCHEMAS or (schema or "").startswith("pg_"):
            return True
        prefixes = ("sqlite_", "pragma_") if self.dialect == "sqlite" else ("pg_",)
        return name.startswith(prefixes)

    def _nearest_table(self, name: str) -> str:
        tables = {key[1]: table for key, table in self._tables.items()}
        close = get_close_matches(name, tables, n=1)
        if not close:
            return ""
        nearest = tables[close[0]]
        parts = filter(None, (nearest.schema, nearest.name))
        return f" Did you mean {'.'.join(self.spell(part) for part in parts)}?"


def function_name(node: exp.Expr) -> str:
    if isinstance(node, exp.Anonymous):
        return node.name.lower()
    is_series = isinstance(node, exp.ExplodingGenerateSeries | exp.GenerateSeries)
    return "generate_series" if is_series else node.key
