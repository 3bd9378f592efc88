"""What a column's name means where it stands."""

from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.closest import close_columns
from text2sql.pipeline.check.scope import Scope, Source
from text2sql.pipeline.check.types import Type

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

BEFORE_AGGREGATES = frozenset({"where", "group", "on"})


class Columns:
    def __init__(self, statement: "Statement") -> None:
        self.statement = statement
        self.rules = statement.rules
        self.fold = statement.catalog.fold

    def resolve(self, column: exp.Column, scope: Scope) -> Type:
        if not isinstance(column.this, exp.Identifier):
            return None
        if column.args.get("table") is not None:
            return self._qualified(column, scope)
        return self._bare(column, self.fold(column.this), scope)

    def holders(self, name: str, level: Scope) -> list[Source]:
        """The sources that a bare name may mean; of those that USING joined only the first."""
        found = [source for source in level.seen() if name in source.columns]
        if len(found) > 1 and name in level.merged:
            joined = level.merged[name][1]
            found = [source for source in found if source is joined[0] or all(source is not each for each in joined)]
        return found

    def find_source(self, column: exp.Column, scope: Scope) -> tuple[Scope, Source] | None:
        name = self.fold(column.args["table"])
        place = column.args.get("db")
        schema = self.fold(place) if isinstance(place, exp.Identifier) else None
        for level in scope.levels():
            for source in level.seen():
                if source.name == name and (schema is None or self._lies_in(source, schema)):
                    return level, source
        return None

    def _lies_in(self, source: Source, schema: str) -> bool:
        default = self.statement.catalog.default_schema
        return source.relation is not None and (source.place or default or schema) == schema

    def _qualified(self, column: exp.Column, scope: Scope) -> Type:
        found = self.find_source(column, scope)
        if found is None:
            self._report_alias(column, scope)
            return None
        level, source = found
        name = self.fold(column.this)
        self.statement.touched.add(id(level))
        self.statement.meanings[id(column)] = (level, source, name)
        twins = [each for each in level.seen() if each.name == source.name and name in each.columns]
        if name in source.doubles or (len(twins) > 1 and self.rules.reads_quotes_as_text):
            self._report_ambiguous(name, [source])
        elif twins and self.rules.reads_quotes_as_text:
            return None
        elif name in source.columns:
            return source.columns[name]
        elif self._is_sure(source) and not (source.relation and name in self.rules.row_names):
            closest = close_columns(self.statement.catalog, name, scope, source)
            self.statement.report("column_unknown", f'"{source.name}" has no column "{column.name}".', closest)
        return None

    @staticmethod
    def _is_sure(source: Source) -> bool:
        return source.is_exact and (source.relation is None or source.relation.is_known)

    def _bare(self, column: exp.Column, name: str, scope: Scope) -> Type:
        for level in scope.levels():
            holders = self.holders(name, level)
            if holders:
                return self._held(column, name, level, holders)
            if any(not self._is_sure(source) for source in level.seen()):
                self.statement.touched.add(id(level))
                self.statement.meanings[id(column)] = (level, None, name)
                return None
            if level.clause in self.rules.aliases and name in level.aliases:
                return self._alias(name, level)
        return self._unheld(column, name, scope)

    def _held(self, column: exp.Column, name: str, level: Scope, holders: list[Source]) -> Type:
        self.statement.touched.add(id(level))
        self.statement.meanings[id(column)] = (level, holders[0], name)
        if len(holders) > 1 or name in holders[0].doubles:
            self._report_ambiguous(name, holders)
            return None
        merged = level.merged.get(name)
        return merged[0] if merged else holders[0].columns[name]

    def _alias(self, name: str, level: Scope) -> Type:
        self.statement.touched.add(id(level))
        meaning = level.aliases[name]
        expressions = self.statement.expressions
        if expressions.has_window(meaning) and (level.clause in BEFORE_AGGREGATES or level.clause == "having"):
            self.statement.report(
                "window_misplaced", f'"{name}" is a window function and cannot stand in {level.clause.upper()}.'
            )
        if level.clause in BEFORE_AGGREGATES and not level.aggregate and expressions.has_aggregate(meaning):
            self.statement.report(
                "aggregate_misplaced",
                f'"{name}" is an aggregate and cannot stand in {level.clause.upper()}. Use HAVING.',
            )
        elif level.aggregate and expressions.has_aggregate(meaning):
            self.statement.report(
                "aggregate_nested", f'"{name}" is an aggregate itself and cannot be aggregated again.'
            )
        return level.alias_types.get(name)

    def _unheld(self, column: exp.Column, name: str, scope: Scope) -> Type:
        levels = list(scope.levels())
        sources = [source for level in levels for source in level.seen()]
        if name in self.rules.row_names and any(source.relation for source in sources):
            return None
        if any(source.name == name for source in sources) and not self.rules.reads_quotes_as_text:
            return "record" if self.statement.types is not None else None  # the whole row
        if self.rules.reads_quotes_as_text and column.this.args.get("quoted") and self._is_text(column.this):
            return None
        is_quoted = self.rules.reads_quotes_as_text and bool(column.this.args.get("quoted"))
        closest = close_columns(self.statement.catalog, column.name, scope)
        if not sources:
            closest = closest or close_columns(self.statement.catalog, column.name, None)
        is_sure = not self.rules.has_fields and (self.statement.sql is not None or not is_quoted)
        message = f'There is no column "{column.name}" here.'
        if any(name in level.aliases for level in levels[:1]):
            message = f'"{column.name}" is an output of this SELECT and cannot be named in {scope.clause.upper()}.'
        self.statement.report("column_unknown", message, closest, is_sure=is_sure)
        return None

    def _is_text(self, identifier: exp.Identifier) -> bool:
        """Whether it stands in double quotes, which SQLite then takes for a string."""
        start = identifier.meta.get("start")
        sql = self.statement.sql
        return sql is not None and start is not None and sql[start : start + 1] == '"'

    def _report_alias(self, column: exp.Column, scope: Scope) -> None:
        name = self.fold(column.args["table"])
        if self.rules.has_fields and any(self.holders(name, level) for level in scope.levels()):
            return
        if self.rules.has_fields and any(not self._is_sure(s) for level in scope.levels() for s in level.seen()):
            return
        sources = [source for level in scope.levels() for source in level.sources]
        same = [
            s.name
            for s in sources
            if s.relation is not None and s.relation.name.rpartition(".")[2].lower() == name.lower()
        ]
        closest = tuple(same) or tuple(
            s.name for s in sources if s.name and column.name.lower() in map(str.lower, s.columns)
        )
        self.statement.report(
            "alias_unknown",
            f'There is no table or alias "{column.args["table"].name}" here to take a column from.',
            closest or close_columns(self.statement.catalog, column.name, scope),
        )

    def _report_ambiguous(self, name: str, holders: list[Source]) -> None:
        closest = tuple(f"{source.name}.{name}" for source in holders if source.name)
        self.statement.report("column_ambiguous", f'The column "{name}" is ambiguous: say of which table.', closest)
