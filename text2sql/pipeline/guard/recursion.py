"""A recursive CTE must say when it stops."""

from sqlglot import exp

from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.view import View


def mentions(view: View, body: exp.Expr, name: str) -> bool:
    return any(
        isinstance(table.this, exp.Identifier) and table.args.get("db") is None and view.fold(table.this) == name
        for table in body.find_all(exp.Table)
    )


def check_recursion(view: View, body: exp.Expr, name: str) -> None:
    """Every branch that reads the CTE itself needs a WHERE or a join condition over columns, or the body a LIMIT."""
    if body.args.get("limit") is not None:
        return
    for select in body.find_all(exp.Select):
        if _reads_directly(view, select, name) and not _has_condition(select):
            raise GuardRefusal(
                "unbounded_recursion", f'The recursive query "{name}" needs a WHERE that ends it, or a LIMIT.'
            )


def _reads_directly(view: View, select: exp.Select, name: str) -> bool:
    sources = [select.args["from_"].this] if select.args.get("from_") else []
    sources += [join.this for join in select.args.get("joins") or []]
    return any(isinstance(source, exp.Table) and mentions(view, source, name) for source in sources)


def _has_condition(select: exp.Select) -> bool:
    conditions = [select.args.get("where")]
    for join in select.args.get("joins") or []:
        conditions.append(join.args.get("on"))
        if join.args.get("using"):
            return True
    return any(condition is not None and condition.find(exp.Column) is not None for condition in conditions)
