"""FROM: what its items are called and which columns they give."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.closest import close_tables
from text2sql.pipeline.check.scope import Output, Outputs, Scope, Source
from text2sql.pipeline.check.types import UNKNOWN, Type

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

CATALOGS = ("information_schema", "pg_catalog", "sqlite_master", "sqlite_schema", "sys", "mysql", "dual")


class Sources:
    def __init__(self, statement: "Statement") -> None:
        self.statement = statement
        self.rules = statement.rules
        self.fold = statement.catalog.fold

    def read(self, select: exp.Select, scope: Scope) -> None:
        from_ = select.args.get("from_")
        tree: list[Source] = []
        conditions: list[exp.Expr] = []
        if from_ is not None:
            tree = self._item(from_.this, scope, conditions)
        for join in select.args.get("joins") or ():
            tree = self._join(join, scope, tree, conditions)
        for lateral in select.args.get("laterals") or ():
            self._item(lateral, scope, conditions)
        scope.clause = "on"
        for condition in conditions:
            self._condition(condition, scope)
        scope.clause = "select"
        self._check_names(scope)

    def _check_names(self, scope: Scope) -> None:
        names: set[tuple[str | None, str]] = set()
        for source in scope.sources:
            key = (source.place, source.name)
            if source.name and key in names and not self.rules.reads_quotes_as_text:
                self.statement.report(
                    "alias_double", f'The table name "{source.name}" is used twice. Give each its own alias.'
                )
            names.add(key)

    def _join(self, join: exp.Join, scope: Scope, tree: list[Source], conditions: list[exp.Expr]) -> list[Source]:
        """The sources of the join tree that this one belongs to; a comma begins a new one."""
        args = join.args
        is_comma = not any(args.get(key) for key in ("on", "using", "kind", "side", "method"))
        self.statement.joins += not is_comma
        right = self._item(join.this, scope, conditions)
        left, tree = tree, right if is_comma else tree + right
        if args.get("using"):
            for column in args["using"]:
                if isinstance(column, exp.Identifier | exp.Column):
                    self._merge(
                        self.fold(column if isinstance(column, exp.Identifier) else column.this), left, right, scope
                    )
        elif (args.get("method") or "").upper() == "NATURAL":
            for name in [n for source in right for n in source.columns if any(n in each.columns for each in left)]:
                self._merge(name, left, right, scope, is_natural=True)
        condition = args.get("on")
        if condition is None:
            return tree
        if self.rules.on_sees_all:
            conditions.append(condition)
            return tree
        scope.clause, scope.visible = "on", tree
        self._condition(condition, scope)
        scope.clause, scope.visible = "select", None
        return tree

    def _condition(self, condition: exp.Expr, scope: Scope) -> None:
        self.statement.expressions.truth(condition, scope, "JOIN/ON")

    def _merge(
        self, name: str, left: list[Source], right: list[Source], scope: Scope, *, is_natural: bool = False
    ) -> None:
        both = []
        for side in (left, right):
            holders = [source for source in side if name in source.columns]
            is_open = any(not source.is_exact or (source.relation and not source.relation.is_known) for source in side)
            if not holders and not is_open and not is_natural:
                self.statement.report(
                    "column_unknown", f'The column "{name}" of USING is not on both sides of the join.'
                )
                return
            both += holders
        types = self.statement.types
        if types is not None and len(both) > 1:
            one, other = both[0].columns[name], both[-1].columns[name]
            if types.operator("=", (one, other)) is None:
                shown = f"{types.spell(one)} and {types.spell(other)}"
                self.statement.report("type_mismatch", f'The column "{name}" of USING is {shown}.')
        if both:
            known = scope.merged.get(name, (None, []))[1]
            scope.merged[name] = (both[0].columns[name], [*known, *(one for one in both if one not in known)])

    def _item(self, node: exp.Expr, scope: Scope, conditions: list[exp.Expr]) -> list[Source]:
        alias = node.args.get("alias")
        if isinstance(node, self.rules.missing):
            self.statement.report("syntax", f"{self.rules.dialect} has no {node.key.upper()}.")
        if not self.rules.has_column_names and isinstance(alias, exp.TableAlias) and alias.args.get("columns"):
            self.statement.report("syntax", "An alias in FROM cannot name columns here: use WITH.")
        if isinstance(node, exp.Table):
            added = [self._table(node, scope)]
        elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table | exp.Subquery):
            is_named = node.args.get("alias") is not None
            inner: list[exp.Expr] = [] if is_named else conditions
            added = self._item(node.this, scope, inner)
            if is_named:
                scope.clause, scope.visible = "on", added
                for condition in inner:
                    self._condition(condition, scope)
                scope.clause, scope.visible = "select", None
                columns = [pair for source in added for pair in source.columns.items()]
                scope.sources = [source for source in scope.sources if all(source is not each for each in added)]
                added = [
                    self._aliased(
                        node,
                        Outputs([Output(*pair) for pair in columns]),
                        is_exact=all(source.is_exact for source in added)
                        and not any(s.relation and not s.relation.is_known for s in added),
                    )
                ]
                scope.sources += added
        elif isinstance(node, exp.Subquery | exp.Values | exp.Query):
            added = [self._derived(node, scope)]
        elif isinstance(node, exp.Lateral):
            added = [self._lateral(node, scope)]
        else:
            added = [self._function(node, scope)]
        scope.sources += [each for each in added if all(each is not known for known in scope.sources)]
        tree = added
        for join in node.args.get("joins") or ():
            tree = self._join(join, scope, tree, conditions)
        return tree

    def _table(self, node: exp.Table, scope: Scope) -> Source:
        if not isinstance(node.this, exp.Identifier):
            return self._function(node, scope)
        name = self.fold(node.this)
        alias = node.args.get("alias")
        for word in (node.this, alias.this if alias is not None else None):
            if (
                isinstance(word, exp.Identifier)
                and not word.args.get("quoted")
                and word.name.lower() in self.rules.reserved
            ):
                self.statement.report("syntax", f'"{word.name}" is a reserved word: write it in double quotes.')
        place = node.args["db"] if isinstance(node.args.get("db"), exp.Identifier) else None
        called = self.fold(alias.this) if alias is not None and alias.this is not None else name
        is_pivoted = bool(node.args.get("pivots"))
        if place is None and name in scope.ctes:
            return self._renamed(scope.ctes[name], called, alias, is_exact=not is_pivoted)
        relation = self.statement.catalog.relation(node)
        if relation is None:
            is_elsewhere = node.args.get("catalog") is not None or (
                place is not None and place.name.lower() in CATALOGS
            )
            if name not in CATALOGS and not is_elsewhere:
                closest = close_tables(self.statement.catalog, node.name)
                self.statement.report("table_unknown", f'There is no table "{node.name}".', closest)
            return Source(called, {}, is_exact=False)
        columns: Mapping[str, Type] = relation.columns
        if alias is not None and alias.args.get("columns"):
            outputs = Outputs([Output(each, kind) for each, kind in columns.items()])
            return self._renamed(outputs, called, alias, is_exact=relation.is_known and not is_pivoted)
        shown = self.fold(place) if place is not None and alias is None else None
        return Source(called, columns, is_exact=not is_pivoted, relation=relation, place=shown)

    def _derived(self, node: exp.Expr, scope: Scope, *, is_lateral: bool = False) -> Source:
        sees = is_lateral or self.rules.has_lateral_subqueries
        outputs = self.statement.queries.read(node, scope if sees else scope.parent, scope.ctes)
        return self._aliased(node, outputs, is_exact=not node.args.get("pivots"))

    def _lateral(self, node: exp.Lateral, scope: Scope) -> Source:
        if isinstance(node.this, exp.Subquery):
            outputs = self.statement.queries.read(node.this, scope, scope.ctes)
            return self._aliased(node, outputs)
        return self._function(node, scope)

    def _function(self, node: exp.Expr, scope: Scope) -> Source:
        """A function in FROM: its columns are mostly not known."""
        alias = node.args.get("alias")
        called = self.fold(alias.this) if alias is not None and isinstance(alias.this, exp.Identifier) else ""
        call = node.this if isinstance(node, exp.Table | exp.Lateral) else node
        scope.clause = "from"
        for child in [call] if call is not node else node.iter_expressions():
            if isinstance(child, exp.Expr) and not isinstance(child, exp.TableAlias):
                self.statement.expressions.value(child, scope)
        scope.clause = "select"
        return Source(called, {}, is_exact=False)

    def _aliased(self, node: exp.Expr, outputs: Outputs, *, is_exact: bool = True) -> Source:
        alias = node.args.get("alias")
        called = self.fold(alias.this) if isinstance(alias, exp.TableAlias) and alias.this is not None else ""
        return self._renamed(outputs, called, alias if isinstance(alias, exp.TableAlias) else None, is_exact=is_exact)

    def _renamed(self, outputs: Outputs, name: str, alias: exp.TableAlias | None, *, is_exact: bool) -> Source:
        given = self._column_names(alias)
        if given and outputs.is_complete and len(given) > len(outputs.items):
            self.statement.report("column_count", f'"{name}" has {len(outputs.items)} columns, but {len(given)} names.')
        items = [
            Output(given[place] if place < len(given) else item.name, item.type)
            for place, item in enumerate(outputs.items)
        ]
        columns: dict[str, Type] = {}
        doubles: set[str] = set()
        for item in items:
            if item.name is None:
                continue
            if item.name in columns:
                doubles.add(item.name)
            columns[item.name] = "text" if item.type == UNKNOWN else item.type
        named = outputs.is_named or len(given) >= len(outputs.items)
        listed = Outputs(items, is_complete=outputs.is_complete and is_exact, is_named=named)
        is_exact = listed.is_complete and named
        return Source(
            name,
            columns,
            is_exact=is_exact,
            doubles=frozenset(doubles) if self.statement.types else frozenset(),
            outputs=listed,
        )

    def _column_names(self, alias: exp.TableAlias | None) -> list[str]:
        columns = (alias.args.get("columns") or []) if alias is not None else []
        named = [column.this if isinstance(column, exp.ColumnDef) else column for column in columns]
        return [self.fold(column) for column in named if isinstance(column, exp.Identifier)]
