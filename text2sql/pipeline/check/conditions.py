"""Readers of operators and conditions."""

from sqlglot import exp

from text2sql.pipeline.check.expressions import COMPARISONS, OPERATORS, Expressions
from text2sql.pipeline.check.scope import Scope
from text2sql.pipeline.check.types import UNKNOWN, Type

CHAINLESS = frozenset({exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE})


def read_operator(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    if node.meta.get("start") is not None and reader.statement.sql is not None and isinstance(node, exp.Func):
        return reader.call(node, scope)
    left, right = node.this, node.expression
    if type(node) in CHAINLESS and reader.rules.dialect == "postgres" and {type(left), type(right)} & CHAINLESS:
        reader.statement.report("syntax", "Comparisons cannot be chained. Write them with AND, or in parentheses.")
    pair = (left, reader.value(left, scope)), (right, reader.value(right, scope))
    _check_rows(reader, left, right)
    result = reader.operate(OPERATORS[type(node)], *pair)
    return "bool" if reader.types is not None and type(node) in COMPARISONS else result


def _check_rows(reader: Expressions, left: exp.Expr, right: exp.Expr) -> None:
    one, other = (each.expressions if isinstance(each, exp.Tuple) else None for each in (left, right))
    if one is not None and other is not None and len(one) != len(other):
        reader.statement.report("column_count", f"A row of {len(one)} is compared with one of {len(other)}.")


def read_connector(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    parts: list[exp.Expr] = []
    left: exp.Expr = node
    while isinstance(left, exp.Connector):
        parts.append(left.expression)
        left = left.this
    parts.append(left)
    for part in reversed(parts):
        reader.truth(part, scope, node.key.upper())
    return "bool" if reader.types is not None else None


def read_not(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    reader.truth(node.this, scope, "NOT")
    return "bool" if reader.types is not None else None


def read_is(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    kind = reader.value(node.this, scope)
    if isinstance(node.expression, exp.Boolean):
        if kind not in {None, "bool", UNKNOWN}:
            reader.mismatch(f"The argument of IS TRUE must be boolean, not {reader.spell(kind)}.")
    else:
        reader.value(node.expression, scope)
        if reader.types is not None and isinstance(node.expression, exp.Literal | exp.Column):
            reader.statement.report("syntax", "IS takes NULL, TRUE, FALSE or DISTINCT FROM. Compare with =.")
    return "bool" if reader.types is not None else None


def read_between(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    value = node.this, reader.value(node.this, scope)
    for name, key in ((">=", "low"), ("<=", "high")):
        bound = node.args[key]
        reader.operate(name, value, (bound, reader.value(bound, scope)))
    return "bool" if reader.types is not None else None


def read_in(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    value = node.this, reader.value(node.this, scope)
    width = len(node.this.expressions) if isinstance(node.this, exp.Tuple) else 1
    query = node.args.get("query")
    if query is not None:
        outputs = reader.query(query, scope)
        if outputs.is_complete and len(outputs.items) != width:
            reader.statement.report(
                "subquery_columns", f"The subquery of IN gives {len(outputs.items)} columns instead of {width}."
            )
        elif outputs.is_complete and width == 1:
            _compare(reader, value, query, outputs.items[0].type)
        elif outputs.is_complete and reader.types is not None:
            for part, output in zip(node.this.expressions, outputs.items, strict=True):
                _compare(reader, (part, reader.value(part, scope)), query, output.type)
    for item in node.expressions:
        if isinstance(item, exp.Tuple) and len(item.expressions) != width:
            reader.statement.report(
                "column_count", f"A row of {width} is compared with one of {len(item.expressions)}."
            )
        reader.operate("=", value, (item, reader.value(item, scope)))
    for key in ("unnest", "field"):
        other = node.args.get(key)
        if isinstance(other, exp.Expr):
            reader.value(other, scope)
    return "bool" if reader.types is not None else None


def _compare(reader: Expressions, value: tuple[exp.Expr, Type], query: exp.Expr, kind: Type) -> None:
    reader.operate("=", value, (query, "text" if kind == UNKNOWN else kind))


def read_exists(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    reader.query(node.this, scope)
    return "bool" if reader.types is not None else None


def read_any(reader: Expressions, node: exp.Expr, scope: Scope) -> Type:
    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    kind = reader.value(inner, scope)
    if isinstance(inner, exp.Query):
        return kind
    return reader.types.element(kind) if reader.types is not None else None
