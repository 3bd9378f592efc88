"""One reader for each kind of expression."""

from sqlglot import exp

from text2sql.pipeline.check.conditions import (
    read_any,
    read_between,
    read_connector,
    read_exists,
    read_in,
    read_is,
    read_not,
    read_operator,
)
from text2sql.pipeline.check.expressions import NO_WINDOW, OPERATORS, Expressions, Reader
from text2sql.pipeline.check.scope import Scope
from text2sql.pipeline.check.type_names import type_of
from text2sql.pipeline.check.types import UNKNOWN, Type

ROW_PLACES = (exp.Predicate, exp.In, exp.Between, exp.Tuple, exp.Values, exp.Paren, exp.Case, exp.If)
INT4, INT8 = 2**31 - 1, 2**63 - 1

_readers: dict[type[exp.Expr], Reader] = {}


def reader_of(kind: type[exp.Expr]) -> Reader:
    reader = _readers.get(kind)
    if reader is None:
        reader = _readers[kind] = _find_reader(kind)
    return reader


def _find_reader(kind: type[exp.Expr]) -> Reader:
    if kind in OPERATORS:
        return read_operator
    for known, reader in BY_CLASS:
        if issubclass(kind, known):
            return reader
    return Expressions.values


def read_column(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    return reader.statement.columns.resolve(node, scope) if isinstance(node, exp.Column) else None


def read_literal(reader: Expressions, node: exp.Expr, _: Scope) -> Type:
    if reader.types is None:
        return None
    if node.args.get("is_string"):
        return UNKNOWN
    text = node.this
    if not text.isdigit():
        return "numeric"
    return "int4" if int(text) <= INT4 else "int8" if int(text) <= INT8 else "numeric"


def read_constant(reader: Expressions, node: exp.Expr, _: Scope) -> Type:
    if reader.types is None:
        return None
    return "bool" if isinstance(node, exp.Boolean) else UNKNOWN


def read_paren(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    return reader.value(node.this, scope)


def read_nothing(_reader: Expressions, _node: exp.Expr, _scope: Scope) -> Type:
    return None


def read_negative(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    if reader.types is None or kind is None:
        return None
    choice = reader.types.operator("-", (kind,))
    if choice is None:
        reader.mismatch(f"There is no operator - {reader.spell(kind)}.")
        return None
    return choice.result


def read_case(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    operand = node.args.get("this")
    value = (operand, reader.value(operand, scope)) if operand is not None else None
    results: list[tuple[exp.Expr, Type]] = []
    for branch in node.args.get("ifs") or ():
        if value is None:
            reader.truth(branch.this, scope, "CASE/WHEN")
        else:
            reader.operate("=", value, (branch.this, reader.value(branch.this, scope)))
        result = branch.args.get("true")
        if result is not None:
            results.append((result, reader.value(result, scope)))
    default = node.args.get("default")
    if default is not None:
        # The database looks at ELSE first when it decides on the type.
        results.insert(0, (default, reader.value(default, scope)))
    return reader.common("CASE", results)


def read_coalesce(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    name = reader.name(node)
    if name is not None and reader.is_missing(name):
        return reader.call(node, scope)
    arguments = [node.this, *node.expressions]
    return reader.common(node.key.upper(), [(each, reader.value(each, scope)) for each in arguments])


def read_nullif(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    left = node.this, reader.value(node.this, scope)
    reader.operate("=", left, (node.expression, reader.value(node.expression, scope)))
    return left[1] if left[1] != UNKNOWN else "text"


def read_cast(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    target = node.args.get("to")
    if reader.rules.dialect == "sqlite" and isinstance(target, exp.DataType):
        _check_typed_literal(reader, node, target, scope)
    if reader.types is None or not isinstance(target, exp.DataType):
        return None
    wanted = type_of(target, reader.types)
    if not reader.types.is_castable(kind, wanted):
        reader.mismatch(f"{reader.spell(kind)} cannot be cast to {reader.spell(wanted)}.")
    reader.check_literal(node.this, kind, wanted)
    meaning = reader.statement.meanings.get(id(node.this))
    if kind is not None and kind == wanted and meaning is not None and not target.expressions:
        reader.statement.meanings[id(node)] = meaning  # the cast does nothing
    return wanted


def read_arrow(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    if isinstance(node.expression, exp.Expr):
        reader.value(node.expression, scope)
    if reader.types is None:
        return None
    if kind not in {None, UNKNOWN, "json", "jsonb"}:
        reader.mismatch(f"-> and ->> take json, not {reader.spell(kind)}.")
    return "text" if isinstance(node, exp.JSONExtractScalar) else kind


def _check_typed_literal(reader: Expressions, node: exp.Expr, target: exp.DataType, scope: Scope) -> None:
    """DATE '2026-01-01' is read as a cast; SQLite takes it for a column with an alias, if there is such a column."""
    text = reader.statement.text
    is_written = text is None or "cast" in text.calls or "::" in text.bare
    word = target.this.value.lower() if isinstance(target.this, exp.DType) else ""
    is_column = any(word in source.columns for level in scope.levels() for source in level.sources)
    if isinstance(node.this, exp.Literal) and node.this.is_string and not is_written and not is_column:
        reader.statement.report("syntax", "SQLite has no typed literals. Write the string alone, or date('…').")


def read_scalar(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    outputs = reader.query(node, scope)
    if not outputs.is_complete:
        return None
    is_row = isinstance(node.parent, exp.EQ | exp.NEQ | exp.GT | exp.LT | exp.GTE | exp.LTE) and isinstance(
        node.parent.this, exp.Tuple
    )
    if len(outputs.items) != 1:
        if not is_row:
            reader.statement.report(
                "subquery_columns", f"A subquery here must give one column, not {len(outputs.items)}."
            )
        return None
    kind = outputs.items[0].type
    return "text" if kind == UNKNOWN else kind


def read_window(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    if scope.clause in NO_WINDOW:
        reader.statement.report(
            "window_misplaced", f"Window functions cannot stand in {scope.clause.upper()}. Use a subquery."
        )
    if scope.aggregate:
        reader.statement.report("aggregate_nested", "A window function cannot stand inside an aggregate function.")
    named = node.args.get("alias")
    if isinstance(named, exp.Identifier) and reader.statement.catalog.fold(named) not in scope.windows:
        reader.statement.report("window_unknown", f'There is no window "{named.name}".')
    called = node.this
    while isinstance(called, exp.IgnoreNulls | exp.RespectNulls):
        called = called.this
    if isinstance(called, exp.Filter):
        reader.value(called.expression.this, scope)
        called = called.this
    within = called.expression if isinstance(called, exp.WithinGroup) else None
    if within is not None:
        called = called.this
    is_call = isinstance(called, exp.Func) and not isinstance(called, exp.Cast)
    kind = reader.call(called, scope, is_window=True, within=within) if is_call else reader.value(called, scope)
    for part in (*(node.args.get("partition_by") or ()), node.args.get("order")):
        if isinstance(part, exp.Expr):
            reader.value(part, scope)
    return kind


def read_filter(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    condition = node.expression
    before, scope.aggregate = scope.aggregate, True
    reader.truth(condition.this if isinstance(condition, exp.Where) else condition, scope, "FILTER")
    scope.aggregate = before
    return kind


def read_within_group(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    called = node.this
    return (
        reader.call(called, scope, within=node.expression)
        if isinstance(called, exp.Func)
        else reader.values(node, scope)
    )


def read_tuple(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    if reader.rules.dialect == "sqlite" and not isinstance(node.parent, ROW_PLACES):
        reader.statement.report("syntax", "A row of several values can only be compared.")
    reader.values(node, scope)
    return None


def read_interval(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    amount = node.args.get("this")
    if isinstance(amount, exp.Expr) and not isinstance(amount, exp.Literal):
        reader.value(amount, scope)
        if reader.types is not None:
            reader.statement.report("syntax", "INTERVAL takes a string: INTERVAL '1 day', or multiply an interval.")
    return "interval" if reader.types is not None else None


def read_zone(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    value, zone = reader.value(node.this, scope), reader.value(node.args["zone"], scope)
    if reader.types is None:
        return None
    choice = reader.types.function("timezone", (zone, value))
    if choice is None:
        reader.mismatch(f"AT TIME ZONE does not take {reader.spell(value)}.")
        return None
    return choice.result


def read_collation(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    if reader.types is not None and kind not in {None, UNKNOWN} and reader.types.category(kind) not in {"S", "A"}:
        reader.mismatch(f"COLLATE does not go with {reader.spell(kind)}.")
    if reader.types is not None and node.expression.name.lower() in {"nocase", "binary", "rtrim"}:
        reader.statement.report("collation_unknown", f"There is no collation {node.expression.name}.")
    return kind


def read_array(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    items = node.expressions
    if len(items) == 1 and isinstance(items[0], exp.Query):
        outputs = reader.query(items[0], scope)
        kind = outputs.items[0].type if outputs.is_complete and len(outputs.items) == 1 else None
    else:
        kind = reader.common("ARRAY", [(each, reader.value(each, scope)) for each in items])
    return reader.types.array(kind) if reader.types is not None else None


def read_bracket(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    for index in node.expressions:
        reader.value(index, scope)
    is_slice = any(isinstance(index, exp.Slice) for index in node.expressions)
    if reader.types is None or is_slice:
        return kind
    return reader.types.element(kind)


def read_call(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    return reader.call(node, scope)


BY_CLASS: tuple[tuple[type[exp.Expr], Reader], ...] = (
    (exp.Column, read_column),
    (exp.Literal, read_literal),
    (exp.Boolean, read_constant),
    (exp.Null, read_constant),
    (exp.Paren, read_paren),
    (exp.Identifier, read_nothing),
    (exp.Var, read_nothing),
    (exp.DataType, read_nothing),
    (exp.Star, read_nothing),
    (exp.JSONPath, read_nothing),
    (exp.Connector, read_connector),
    (exp.Not, read_not),
    (exp.Neg, read_negative),
    (exp.Is, read_is),
    (exp.Between, read_between),
    (exp.In, read_in),
    (exp.Case, read_case),
    (exp.If, read_call),
    (exp.Coalesce, read_coalesce),
    (exp.Greatest, read_coalesce),
    (exp.Least, read_coalesce),
    (exp.Nullif, read_nullif),
    (exp.Cast, read_cast),
    (exp.Exists, read_exists),
    (exp.Any, read_any),
    (exp.All, read_any),
    (exp.Window, read_window),
    (exp.Filter, read_filter),
    (exp.WithinGroup, read_within_group),
    (exp.Tuple, read_tuple),
    (exp.Interval, read_interval),
    (exp.AtTimeZone, read_zone),
    (exp.Array, read_array),
    (exp.Bracket, read_bracket),
    (exp.Collate, read_collation),
    (exp.Subquery, read_scalar),
    (exp.Select, read_scalar),
    (exp.SetOperation, read_scalar),
    (exp.Values, read_scalar),
    (exp.JSONExtract, read_arrow),
    (exp.JSONExtractScalar, read_arrow),
    (exp.Func, read_call),
)
