"""How the columns of a result are called where no alias says it."""

from collections.abc import Callable

from sqlglot import exp

from text2sql.pipeline.check.calls import call_name
from text2sql.pipeline.check.wording import Text

Fold = Callable[[exp.Identifier], str]


def output_name(item: exp.Expr, dialect: str, fold: Fold, text: Text | None) -> tuple[str | None, bool]:
    """The name, None where there is none that is a plain word; and whether that is sure."""
    if isinstance(item, exp.Alias):
        alias = item.args["alias"]
        return (fold(alias), True) if isinstance(alias, exp.Identifier) else (None, False)
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Identifier):
        return fold(item.this), True
    if dialect == "sqlite":
        return None, True
    if dialect == "postgres":
        return _postgres(item, fold, text)
    return None, False


def _postgres(item: exp.Expr, fold: Fold, text: Text | None) -> tuple[str | None, bool]:
    """PostgreSQL takes the name of the function, of the column inside a cast, "case" and the like."""
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Identifier):
        return fold(item.this), True
    if isinstance(item, exp.Window | exp.Filter | exp.WithinGroup | exp.Paren | exp.Bracket | exp.Collate):
        return _postgres(item.this, fold, text)
    if isinstance(item, exp.Cast):
        name, is_sure = _postgres(item.this, fold, text)
        return (name, is_sure) if name else (None, False)
    if isinstance(item, exp.Case):
        default = item.args.get("default")
        name, is_sure = _postgres(default, fold, text) if isinstance(default, exp.Expr) else (None, True)
        return (name, is_sure) if name else ("case", is_sure)
    if isinstance(item, exp.Subquery):
        inner = item.this
        return (
            output_name(inner.expressions[0], "postgres", fold, text)
            if isinstance(inner, exp.Select) and inner.expressions
            else (None, False)
        )
    if isinstance(item, exp.Exists):
        return "exists", True
    if isinstance(item, exp.Binary | exp.Unary | exp.Literal | exp.Null | exp.Boolean | exp.Between | exp.In):
        return None, True
    if isinstance(item, exp.Func):
        name = {
            exp.Coalesce: "coalesce",
            exp.Nullif: "nullif",
            exp.Count: "count",
            exp.Sum: "sum",
            exp.Avg: "avg",
            exp.Max: "max",
            exp.Min: "min",
        }.get(type(item)) or call_name(item, text, "postgres")
        return name, name is not None
    return None, False
