"""Whether two expressions mean the same, by what their columns were found to mean."""

from collections.abc import Mapping

from sqlglot import exp

Meanings = Mapping[int, tuple[object, object, str]]


def is_same(left: exp.Expr, right: exp.Expr, meanings: Meanings) -> bool:
    while isinstance(left, exp.Paren):
        left = left.this
    while isinstance(right, exp.Paren):
        right = right.this
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, exp.Column):
        one, other = meanings.get(id(left)), meanings.get(id(right))
        if one is None or other is None:
            return left.name.lower() == right.name.lower()
        return one[2] == other[2] and (one[1] is other[1] or one[1] is None or other[1] is None)
    if isinstance(left, exp.Identifier):
        return bool(left.name.lower() == right.name.lower())
    keys = {key for each in (left, right) for key, value in each.args.items() if value not in (None, False, [])}
    return all(_is_same_value(left.args.get(key), right.args.get(key), meanings) for key in keys)


def _is_same_value(left: object, right: object, meanings: Meanings) -> bool:
    if isinstance(left, exp.Expr) and isinstance(right, exp.Expr):
        return is_same(left, right, meanings)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_is_same_value(a, b, meanings) for a, b in zip(left, right, strict=True))
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return left == right
