"""How a function was called: the parser keeps classes of its own, the database knows names."""

import re
from collections.abc import Callable, Mapping
from functools import cache

from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import SqlglotError

from text2sql.pipeline.check.wording import Text

WORD = re.compile(r"[a-z_][a-z0-9_$]*")

SPECIAL: Mapping[type[exp.Expr], tuple[str, ...]] = {
    exp.Ceil: ("ceil",),
    exp.Floor: ("floor",),
    exp.Substring: ("substring",),
    exp.Trim: ("trim",),
    exp.Extract: ("extract", "date_part"),
    exp.StrPosition: ("position",),
    exp.GroupConcat: ("group_concat", "string_agg"),
    exp.Chr: ("chr", "char"),
    exp.If: ("if",),
    exp.Initcap: ("initcap",),
    exp.Overlay: ("overlay",),
    exp.JSONArrayAgg: ("json_agg",),
}
"""Names with a syntax of their own, which are not among the parser's functions."""

IN_ORDER = frozenset(
    {
        exp.Abs, exp.Ceil, exp.Floor, exp.Round, exp.Sqrt, exp.Exp, exp.Ln, exp.Sign, exp.Trunc, exp.Upper, exp.Lower,
        exp.Length, exp.Substring, exp.Left, exp.Right, exp.Replace, exp.Initcap, exp.Reverse, exp.Repeat,
        exp.StrPosition, exp.SplitPart, exp.Concat, exp.ConcatWs, exp.Sum, exp.Avg, exp.Min, exp.Max, exp.Stddev,
        exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.Corr, exp.ArrayAgg, exp.GroupConcat,
        exp.LogicalAnd, exp.LogicalOr, exp.Pow, exp.Mod, exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue,
        exp.NthValue, exp.Ntile, exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Date,
        exp.PercentileCont, exp.PercentileDisc, exp.Mode, exp.Rand, exp.UnixToTime, exp.Chr, exp.Ascii, exp.Degrees,
        exp.Radians, exp.Sin, exp.Cos, exp.Tan, exp.Pi, exp.MD5, exp.StartsWith, exp.Translate, exp.DateAdd,
        exp.ArraySize, exp.Trim, exp.BitwiseAndAgg, exp.BitwiseOrAgg, exp.CovarPop, exp.CovarSamp,
    }
)  # fmt: skip
"""Classes whose arguments stand in the tree as they were written."""


def call_name(node: exp.Expr, text: Text | None, dialect: str) -> str | None:
    """The function's name as it was written, in lower case; None where it cannot be told."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        name = node.this
        return (name.name if isinstance(name, exp.Expr) else str(name)).lower()
    if text is None:
        return None
    start = node.meta.get("start")
    if start is not None:
        word = text.sql[start : node.meta["end"] + 1].lower()
        if WORD.fullmatch(word):
            return word
    candidates = names_by_class(dialect).get(type(node), frozenset()) & text.calls
    return min(candidates) if len(candidates) == 1 or (candidates and isinstance(node, exp.Extract)) else None


@cache
def names_by_class(dialect: str) -> Mapping[type[exp.Expr], frozenset[str]]:
    """Which names the parser turns into a class: each of its builders is tried."""
    names = {kind: set(special) for kind, special in SPECIAL.items()}
    for name, build in Dialect.get_or_raise(dialect).parser_class.FUNCTIONS.items():
        for width in (1, 2, 3, 0):
            built = _try(build, [exp.column(letter) for letter in "abc"[:width]], dialect)
            if built is not None:
                names.setdefault(type(built), set()).add(name.lower())
    return {kind: frozenset(each) for kind, each in names.items()}


def _try(build: Callable[..., object], arguments: list[exp.Expr], dialect: str) -> exp.Expr | None:
    for given in ({}, {"dialect": Dialect.get_or_raise(dialect)}):
        try:
            built = build(list(arguments), **given)
        except (TypeError, AttributeError, IndexError, ValueError, SqlglotError):
            continue
        return built if isinstance(built, exp.Expr) else None
    return None


def call_arguments(node: exp.Expr, name: str | None, dialect: str) -> list[exp.Expr] | None:
    """The arguments in the order of writing; None where the class does not keep it. A constant that the class
    holds as a word, such as a unit, is a string again."""
    kind = type(node)
    if kind in {exp.TimestampTrunc, exp.DateTrunc}:
        zone = node.args.get("zone")
        return [_word(node.args.get("unit")), node.this, *([zone] if zone is not None else [])]
    if kind is exp.Extract:
        return [_word(node.this), node.expression]
    if kind in {exp.TimeToStr, exp.StrToDate, exp.StrToTime}:
        return [node.this, node.args["format"]] if isinstance(node.args.get("format"), exp.Expr) else None
    if kind is exp.Count:
        return [] if isinstance(node.this, exp.Star) else [node.this, *node.expressions]
    if kind is exp.Pad:
        return [each for each in (node.this, node.expression, node.args.get("fill_pattern")) if each is not None]
    if kind is exp.Anonymous or kind in IN_ORDER or (kind, name) in _plain(dialect):
        return [each for key in node.arg_types for each in _listed(node.args.get(key)) if isinstance(each, exp.Expr)]
    return None


@cache
def _plain(dialect: str) -> frozenset[tuple[object, str]]:
    """Classes and names where the parser puts the arguments into the class as they come."""
    functions = Dialect.get_or_raise(dialect).parser_class.FUNCTIONS
    owners = ((getattr(build, "__self__", None), name, build) for name, build in functions.items())
    return frozenset(
        (owner, name.lower())
        for owner, name, build in owners
        if isinstance(owner, type) and issubclass(owner, exp.Func) and build == owner.from_arg_list
    )


def _word(unit: exp.Expr | str | None) -> exp.Expr:
    return exp.Literal.string(unit.name if isinstance(unit, exp.Expr) else str(unit))


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
