"""Reads FROM and the joins of a SELECT into its scope."""

from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.guard.marks import mark_checked, mark_table, marked_table
from text2sql.pipeline.guard.policy import Columns
from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.scope import Outputs, Scope, Source
from text2sql.pipeline.guard.view import function_name, table_parts

if TYPE_CHECKING:
    from text2sql.pipeline.guard.names import NameResolver

CARTESIAN_TABLES = 4
"""So many tables joined without any condition are a mistake or an attack."""


def derive(table: exp.Table, columns: list[exp.Identifier], where: exp.Expr | None = None) -> exp.Subquery:
    """Puts a query over these columns in the place of a table; no columns mean all of them."""
    alias = table.args.get("alias") or exp.TableAlias(this=table_parts(table)[-1].copy())
    joins = table.args.pop("joins", None)  # they are behind the alias, and must be the same nodes afterwards
    inner = table.copy()
    inner.set("alias", None)
    outputs: list[exp.Expr] = [exp.Column(this=column.copy()) for column in columns] or [exp.Star()]
    select = exp.Select(expressions=outputs, from_=exp.From(this=inner))
    if where is not None:
        select.set("where", exp.Where(this=where))
    derived = exp.Subquery(this=select, alias=alias.copy(), joins=joins)
    table.replace(derived)
    return derived


def _mark_pivot(pivot: exp.Expr) -> None:
    """Its source has only visible columns; a query inside of it stays unchecked, and is refused."""
    for key in ("expressions", "fields", "using", "group", "into"):
        part = pivot.args.get(key)
        for item in part if isinstance(part, list) else [part]:
            if isinstance(item, exp.Expr):
                for column in item.find_all(exp.Column):
                    mark_checked(column)


class SourceReader:
    def __init__(self, names: "NameResolver") -> None:
        self._names = names
        self._view = names.view

    def read_all(self, select: exp.Select, scope: Scope) -> None:
        if (from_ := select.args.get("from_")) is None:
            return
        self._read(from_.this, scope)
        self._join(select.args.get("joins") or [], scope)
        self._refuse_duplicates(scope)
        is_joined = select.args.get("where") or any(
            join.args.get("on") or join.args.get("using") for join in select.args.get("joins") or []
        )
        if not is_joined and sum(source.is_table for source in scope.sources) >= CARTESIAN_TABLES:
            raise GuardRefusal(
                "too_large", "Tables are joined without any condition. Say how their rows belong together."
            )

    def _join(self, joins: list[exp.Join], scope: Scope) -> None:
        for join in joins:
            left = len(scope.sources)
            self._read(join.this, scope)
            if str(join.args.get("method") or "").upper() == "NATURAL":
                self._write_out_natural(join, scope, left)
            if using := join.args.get("using"):
                self._check_using(using, scope, left)
            self._names.clause(join, "on", scope)
            self._names.clause(join, "match_condition", scope)

    def _read(self, node: exp.Expr, scope: Scope) -> None:
        if isinstance(node, exp.Table | exp.Subquery):
            mark_checked(node)
            if node.args.get("pivots"):
                self._add_pivoted(node, scope)
                return
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
            if node.args.get("alias") is not None:
                raise GuardRefusal("not_allowed", "Give the tables aliases, not the join in parentheses.")
            self._read(node.this, scope)
            return
        if isinstance(node, exp.Lateral):
            self._read_lateral(node, scope)
        elif isinstance(node, exp.Unnest):
            self._read_unnest(node, scope)
        elif isinstance(node, exp.Table | exp.TableFromRows) and isinstance(node.this, exp.Func):
            self._read_function(node, scope)
        elif isinstance(node, exp.Table):
            self._add_table(node, scope)
        elif isinstance(node, exp.Subquery | exp.Values):
            self._add_derived(node, self._names.query(node, scope.parent or Scope(ctes=scope.ctes)), scope)
        else:
            raise GuardRefusal("not_allowed", "Only tables, subqueries and a few functions can stand in FROM.")
        self._join(node.args.get("joins") or [], scope)

    def _read_function(self, node: exp.Expr, scope: Scope) -> None:
        if node.args.get("db") is not None:
            raise GuardRefusal("source_not_allowed", "A function with a schema is not allowed in FROM.")
        self._names.expressions(node.this, scope)
        self._add_function(node, self._view.source_function(node.this), scope)

    def _read_lateral(self, node: exp.Lateral, scope: Scope) -> None:
        inner = node.this
        if node.args.get("view") or node.args.get("outer"):
            raise GuardRefusal("not_allowed", "LATERAL VIEW is not allowed.")
        if isinstance(inner, exp.Subquery):
            self._add_derived(node, self._names.query(inner, scope), scope)
        elif isinstance(inner, exp.Unnest):
            self._names.expressions(inner, scope)
            self._add_function(node, (), scope, is_exact=len(inner.expressions) == 1)
        else:
            self._names.expressions(inner, scope)
            self._add_function(node, self._view.source_function(inner), scope)

    def _read_unnest(self, node: exp.Unnest, scope: Scope) -> None:
        self._names.expressions(node, scope)
        alias = node.args.get("alias")
        if not self._view.policy.unnest_alias_is_column:
            self._add_function(node, (), scope, is_exact=len(node.expressions) == 1)
            return
        given = (alias.args.get("columns") or [alias.args.get("this")])[0] if alias is not None else None
        if given is None and not self._view.is_open:
            # Without a name its fields could mean hidden columns of the tables around it.
            given = self._new_name(scope)
            node.set("alias", exp.TableAlias(columns=[given]))
        offset = node.args.get("offset")
        counted = [self._view.fold(offset) if isinstance(offset, exp.Identifier) else "offset"] if offset else []
        folded = self._view.fold(given) if isinstance(given, exp.Identifier) else ""
        names = tuple(filter(None, [folded, *counted]))
        alias_name = given if isinstance(given, exp.Identifier) else None
        scope.sources.append(Source(folded, alias_name, names, exact=False, is_function=True))

    def _new_name(self, scope: Scope) -> exp.Identifier:
        taken = {source.name for level in scope.levels() for source in level.sources}
        number = next(number for number in range(1, len(taken) + 2) if f"element_{number}" not in taken)
        return exp.to_identifier(f"element_{number}")

    def read_pivot(self, node: exp.Pivot, scope: Scope) -> None:
        """DuckDB's PIVOT as a statement."""
        inner = scope.inner()
        mark_checked(node)
        source = node.this
        if not isinstance(source, exp.Table | exp.Subquery):
            raise GuardRefusal("not_allowed", "PIVOT needs a table or a query.")
        self._read(source, inner)
        self._narrow(source)
        _mark_pivot(node)

    def _add_pivoted(self, node: exp.Table | exp.Subquery, scope: Scope) -> None:
        """PIVOT sees only the visible columns; what it makes of them is not modelled."""
        pivots: list[exp.Expr] = node.args["pivots"]
        node.set("pivots", None)
        joins = node.args.pop("joins", None)
        alias = node.args.get("alias")
        self._read(node, Scope(scope.parent, scope.ctes))
        replaced = self._narrow(node)
        replaced.set("pivots", pivots)
        for pivot in pivots:
            mark_checked(pivot)
            _mark_pivot(pivot)
            alias = pivot.args.get("alias") or alias
        name = alias.this if alias is not None and isinstance(alias.this, exp.Identifier) else None
        folded = self._view.fold(name) if name is not None else ""
        scope.sources.append(Source(folded, name, (), exact=False))
        if joins:
            replaced.set("joins", joins)
            self._join(joins, scope)

    def _narrow(self, node: exp.Expr) -> exp.Expr:
        """Puts a query over the visible columns in the place of a table."""
        found = self._names.tables.get(marked_table(node) or "")
        if found is None or not found.columns or not isinstance(node, exp.Table):
            return node
        return derive(node, [self._view.identifier(column.name) for column in found.columns])

    def _add_table(self, node: exp.Table, scope: Scope) -> None:
        alias = node.args.get("alias")
        renamed = alias.args.get("columns") if alias is not None else None
        parts = table_parts(node)
        name: exp.Identifier = alias.this if alias is not None and alias.this else parts[-1]
        outputs = scope.ctes.get(self._view.fold(parts[0])) if len(parts) == 1 else None
        if outputs is not None:
            self._add_named(name, outputs, renamed or [], scope)
            return
        if self._view.is_empty_table(node):
            scope.sources.append(Source(self._view.fold(name), name, ()))
            return
        table = self._view.table(node)
        if name is parts[-1]:
            name = node.this if isinstance(node.this, exp.Identifier) else name  # it may have been respelled
        if renamed:
            # The list counts all columns of the table, hidden ones included.
            raise GuardRefusal(
                "not_allowed", "Columns of a table cannot be renamed in FROM. Use AS in the SELECT list."
            )
        self._names.tables[table.qualified_name] = table
        mark_table(node, table.qualified_name)
        scope.sources.append(
            Source(
                name=self._view.fold(name),
                alias=name,
                names=tuple(self._view.fold_name(column.name) for column in table.columns),
                is_table=True,
                spelled=tuple(self._view.identifier(column.name) for column in table.columns),
                path=None if alias is not None else self._view.path_of(parts),
            )
        )

    def _add_derived(self, node: exp.Expr, outputs: Outputs, scope: Scope) -> None:
        alias = node.args.get("alias")
        if alias is None or alias.this is None:
            scope.sources.append(Source("", None, tuple(filter(None, outputs.names)), exact=outputs.exact))
        else:
            self._add_named(alias.this, outputs, alias.args.get("columns") or [], scope)

    def _add_named(self, name: exp.Identifier, outputs: Outputs, renamed: list[exp.Expr], scope: Scope) -> None:
        outputs = self._view.rename(outputs, renamed)
        names = tuple(filter(None, outputs.names))
        scope.sources.append(Source(self._view.fold(name), name, names, exact=outputs.exact))

    def _add_function(self, node: exp.Expr, columns: Columns, scope: Scope, *, is_exact: bool = True) -> None:
        alias = node.args.get("alias")
        default = "unnest" if isinstance(node, exp.Unnest) else function_name(node.this)
        name = alias.this if alias is not None and alias.this else exp.to_identifier(default)
        folded = self._view.fold(name)
        columns_given = alias.args.get("columns") or [] if alias is not None else []
        defined = [self._view.fold_column(column) for column in columns_given]
        ordinality = node.args.get("offset") if isinstance(node, exp.Unnest) else node.args.get("ordinality")
        if isinstance(ordinality, exp.Identifier):
            defined.append(self._view.fold(ordinality))
        elif ordinality and not defined:
            columns = (*(columns or (folded,)), "ordinality")
        described = [self._view.fold_column(part) for part in node.find_all(exp.JSONColumnDef, exp.OpenJSONColumnDef)]
        given = tuple(map(self._view.fold_name, columns or ()))
        names = tuple(defined or described) or given or (() if columns is None else (folded,))
        is_known = is_exact and (columns is not None or bool(defined))
        scope.sources.append(Source(folded, name, names, exact=is_known, is_function=True))

    def _write_out_natural(self, join: exp.Join, scope: Scope, left: int) -> None:
        """NATURAL would also compare hidden columns; USING over the visible ones cannot."""
        sides = scope.sources[:left], scope.sources[left:]
        if not any(source.is_table and not source.is_unchecked for source in scope.sources):
            return
        if any(source.is_unchecked or not source.exact for source in scope.sources):
            raise GuardRefusal("natural_join", "Say which columns to join on: write USING or ON instead of NATURAL.")
        ours = [name for source in sides[0] for name in source.names]
        theirs = {name for source in sides[1] for name in source.names}
        common = [name for name in dict.fromkeys(ours) if name in theirs]
        if not common:
            raise GuardRefusal("natural_join", "The tables share no visible column. Write the condition with ON.")
        join.set("method", None)
        join.set("using", [self._view.identifier(name) for name in common])

    def _check_using(self, using: list[exp.Expr], scope: Scope, left: int) -> None:
        for column in using:
            mark_checked(column)
            identifier = column.this if isinstance(column, exp.Column) else column
            name = self._view.fold_column(identifier)
            for side in (scope.sources[:left], scope.sources[left:]):
                if not any(name in s.names or s.is_unchecked or (not s.exact and not s.is_table) for s in side):
                    raise GuardRefusal(
                        "column_not_visible", f'The column "{identifier.name}" of USING is not in both tables.'
                    )
            scope.merged[name] = exp.to_identifier(identifier.name, quoted=identifier.args.get("quoted"))

    @staticmethod
    def _refuse_duplicates(scope: Scope) -> None:
        seen: set[str] = set()
        for source in scope.sources:
            if source.name and source.name in seen:
                raise GuardRefusal(
                    "alias_ambiguous", f'"{source.name}" stands twice in FROM. Give each an alias of its own.'
                )
            seen.add(source.name)
