"""Puts a bound on the rows of a whole statement, where it has none or a larger one."""

from sqlglot import exp


def limit_rows(root: exp.Expr, rows: int, dialect: str) -> None:
    """What cannot take a LIMIT as it stands is left alone; whoever runs it counts the rows as well."""
    if not isinstance(root, exp.Select | exp.SetOperation | exp.Subquery):
        return
    if dialect == "tsql" and (not isinstance(root, exp.Select) or root.args.get("offset") or root.args.get("for_")):
        return  # TOP belongs to one SELECT, and FETCH needs ORDER BY
    given = root.args.get("limit")
    if given is None:
        root.set("limit", exp.Limit(expression=exp.Literal.number(rows)))
    elif isinstance(given, exp.Limit) and not given.args.get("limit_options"):
        bound = given.expression
        if isinstance(bound, exp.Literal) and not bound.is_string and bound.name.isdigit() and int(bound.name) > rows:
            given.set("expression", exp.Literal.number(rows))
