"""Expressions: every node is read once, from the leaves up; what comes back is its type, where types are known."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sqlglot import exp

from text2sql.pipeline.check.calls import call_arguments, call_name
from text2sql.pipeline.check.closest import close_functions
from text2sql.pipeline.check.functions import AGGREGATE, WINDOW, words
from text2sql.pipeline.check.literals import is_readable
from text2sql.pipeline.check.scope import Outputs, Scope
from text2sql.pipeline.check.types import UNKNOWN, Type

if TYPE_CHECKING:
    from text2sql.pipeline.check.statement import Statement

OPERATORS: Mapping[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.NullSafeEQ: "=",
    exp.NullSafeNEQ: "=", exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||",
    exp.Like: "~~", exp.ILike: "~~*", exp.RegexpLike: "~", exp.RegexpILike: "~*", exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|", exp.BitwiseXor: "#", exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>", exp.Pow: "^",
}  # fmt: skip
COMPARISONS = frozenset(
    {
        exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Like, exp.ILike,
        exp.RegexpLike, exp.RegexpILike,
    }
)  # fmt: skip
NO_AGGREGATE = frozenset({"where", "group", "on", "from"})
NO_WINDOW = frozenset({"where", "group", "having", "on", "from"})
WINDOW_ONLY = (
    exp.RowNumber, exp.Rank, exp.DenseRank, exp.PercentRank, exp.CumeDist, exp.Ntile, exp.Lag, exp.Lead,
    exp.FirstValue, exp.LastValue, exp.NthValue,
)  # fmt: skip
KEYWORD_TYPES: Mapping[type[exp.Expr], str] = {
    exp.CurrentDate: "date", exp.CurrentTimestamp: "timestamptz", exp.CurrentTime: "timetz",
    exp.Localtimestamp: "timestamp", exp.Localtime: "time",
}  # fmt: skip
Reader = Callable[["Expressions", exp.Expr, Scope], Type]


class Expressions:
    def __init__(self, statement: "Statement", reader_of: Callable[[type[exp.Expr]], "Reader"]) -> None:
        self._reader_of = reader_of
        self.statement = statement
        self.rules = statement.rules
        self.types = statement.types
        self.functions = statement.catalog.functions

    def value(self, node: exp.Expr, scope: Scope) -> Type:
        """Reads `node` and everything below it."""
        reader = self._reader_of(type(node))
        if isinstance(node, self.rules.missing):
            self._report_missing(node)
        return reader(self, node, scope)

    def values(self, node: exp.Expr, scope: Scope) -> Type:
        for child in node.iter_expressions():
            self.value(child, scope)
        return None

    def truth(self, node: exp.Expr, scope: Scope, where: str) -> None:
        """Reads a condition."""
        kind = self.value(node, scope)
        if kind not in {None, "bool", UNKNOWN}:
            self.mismatch(f"The argument of {where} must be boolean, not {self.spell(kind)}.")

    def mismatch(self, message: str) -> None:
        self.statement.report("type_mismatch", message)

    def spell(self, kind: Type) -> str:
        return self.types.spell(kind) if self.types is not None else "?"

    def check_literal(self, node: exp.Expr | None, given: Type, wanted: Type) -> None:
        """A string that takes the type `wanted` must be readable as such."""
        while isinstance(node, exp.Paren):
            node = node.this
        if (
            given == UNKNOWN
            and wanted is not None
            and isinstance(node, exp.Literal)
            and not is_readable(node.this, wanted)
        ):
            shown = node.this if len(node.this) <= 40 else node.this[:40] + "…"
            self.mismatch(f'The string "{shown}" cannot be read as {self.spell(wanted)}.')

    def operate(self, name: str, left: tuple[exp.Expr, Type], right: tuple[exp.Expr, Type]) -> Type:
        """The type of `left name right`."""
        if self.types is None or (left[1] is None and right[1] is None):
            return None
        choice = self.types.operator(name, (left[1], right[1]))
        if choice is None:
            shown = f"{self.spell(left[1])} {name} {self.spell(right[1])}"
            self.mismatch(f"There is no operator {shown}. Cast one side.")
            return None
        for (node, kind), wanted in zip((left, right), choice.arguments, strict=True):
            self.check_literal(node, kind, wanted)
        return choice.result

    def common(self, what: str, parts: list[tuple[exp.Expr, Type]]) -> Type:
        """The type that CASE, COALESCE and the like give."""
        if self.types is None:
            return None
        kind, stranger = self.types.common([each for _, each in parts])
        if stranger is not None:
            known = next(each for _, each in parts if each not in {None, UNKNOWN})
            self.mismatch(f"{what} types {self.spell(known)} and {self.spell(stranger)} cannot be matched.")
            return None
        for node, given in parts:
            self.check_literal(node, given, kind)
        return kind

    def query(self, node: exp.Expr, scope: Scope) -> Outputs:
        return self.statement.queries.read(node, scope, scope.ctes)

    def call(self, node: exp.Expr, scope: Scope, *, is_window: bool = False, within: exp.Expr | None = None) -> Type:
        """A function; `is_window` with OVER, `within` the ORDER BY of WITHIN GROUP."""
        name = self.name(node)
        known = type(node) in KEYWORD_TYPES and name in {None, "now"}
        is_missing = name is not None and not known and not node.args.get("is_operator") and self.is_missing(name)
        if is_missing and name is not None:
            closest = close_functions(self.statement.catalog, name)
            self.statement.report("function_unknown", f"There is no function {name}().", closest)
        arguments = call_arguments(node, name, self.rules.dialect)
        is_aggregate = not is_window and self.is_aggregate(node, name)
        if is_aggregate:
            kinds = self._aggregate(node, arguments, scope, within)
        else:
            if self._is_window_only(node, name) and not is_window and within is None:
                self.statement.report("window_misplaced", f"{name or node.key}() needs OVER (…).")
            kinds = self._arguments(node, arguments, scope, within)
        if self.types is not None and (is_missing or name is None or kinds is None):
            return KEYWORD_TYPES.get(type(node)) or (None if name is None else self.types.result(name))
        if is_missing or name is None or kinds is None:
            return None
        return self._result(name, node, kinds, is_aggregate=is_aggregate)

    def name(self, node: exp.Expr) -> str | None:
        return call_name(node, self.statement.text, self.rules.dialect)

    def is_aggregate(self, node: exp.Expr, name: str | None = None) -> bool:
        if not isinstance(node, exp.Func) or isinstance(node, WINDOW_ONLY):
            return False
        if isinstance(node, exp.AggFunc):
            return True
        if not isinstance(node, exp.Anonymous):
            return False
        name = name or self.name(node) or ""
        kind = self.functions.kinds.get(name, "")
        is_scalar_too = name in {"max", "min"} and len(node.expressions) > 1 and self.rules.dialect == "sqlite"
        return AGGREGATE in kind and not is_scalar_too

    def has_aggregate(self, node: exp.Expr) -> bool:
        """Whether an aggregate stands in `node`, not counting subqueries and OVER."""
        if isinstance(node, exp.Query | exp.Window):
            return False
        return self.is_aggregate(node) or any(self.has_aggregate(child) for child in node.iter_expressions())

    def has_window(self, node: exp.Expr) -> bool:
        """The same for OVER."""
        if isinstance(node, exp.Query):
            return False
        return isinstance(node, exp.Window) or any(self.has_window(child) for child in node.iter_expressions())

    def is_missing(self, name: str) -> bool:
        if name in self.statement.own_functions or not self.functions.is_missing(name):
            return False
        return self.types is None or name not in SYNTAX

    def _is_window_only(self, node: exp.Expr, name: str | None) -> bool:
        if name is not None and self.functions.kinds:
            return WINDOW in self.functions.kinds.get(name, "")
        return isinstance(node, WINDOW_ONLY)

    def _aggregate(
        self, node: exp.Expr, arguments: list[exp.Expr] | None, scope: Scope, within: exp.Expr | None
    ) -> list[tuple[exp.Expr, Type]] | None:
        if scope.aggregate:
            self.statement.report("aggregate_nested", "Aggregate functions cannot be nested. Use a subquery.")
        before, self.statement.touched = self.statement.touched, set()
        outer, scope.aggregate = scope.aggregate, True
        kinds = self._arguments(node, arguments, scope, within)
        scope.aggregate = outer
        touched = self.statement.touched
        self.statement.touched = before | touched
        home = next((level for level in scope.levels() if id(level) in touched), scope)
        if home.clause in NO_AGGREGATE and not home.aggregate:
            place = {"where": "WHERE", "group": "GROUP BY", "on": "JOIN … ON"}.get(home.clause, "FROM")
            hint = " Use HAVING, or a subquery." if home.clause == "where" else ""
            self.statement.report("aggregate_misplaced", f"Aggregate functions cannot stand in {place}.{hint}")
            return kinds
        home.has_aggregate = True
        if home.clause == "order" and self.rules.needs_grouping and not home.is_grouped:
            self.statement.report("aggregate_misplaced", "An aggregate in ORDER BY needs GROUP BY.")
        return kinds

    def _arguments(
        self, node: exp.Expr, arguments: list[exp.Expr] | None, scope: Scope, within: exp.Expr | None
    ) -> list[tuple[exp.Expr, Type]] | None:
        """The arguments with their types; None where they are read without knowing their order."""
        if arguments is None:
            self.values(node, scope)
            if within is not None:
                self.values(within, scope)
            return None
        flat = [each for argument in arguments for each in self._bare(argument, scope)]
        terms = within.expressions if within is not None else ()
        flat += [ordered.this if isinstance(ordered, exp.Ordered) else ordered for ordered in terms]
        return [(each, self.value(each, scope)) for each in flat]

    def _bare(self, argument: exp.Expr, scope: Scope) -> list[exp.Expr]:
        """Without the DISTINCT and ORDER BY that an aggregate's argument may carry."""
        if isinstance(argument, exp.Order):
            for ordered in argument.expressions:
                self.value(ordered, scope)
            return self._bare(argument.this, scope) if argument.this is not None else []
        if isinstance(argument, exp.Distinct):
            return list(argument.expressions)
        return [argument]

    def _result(self, name: str, node: exp.Expr, kinds: list[tuple[exp.Expr, Type]], *, is_aggregate: bool) -> Type:
        if self.types is None:
            self._check_width(name, node, len(kinds), is_aggregate=is_aggregate)
            return None
        name = self._trimmed(name, node)
        if name not in self.functions.kinds or name in self.statement.own_functions:
            return None
        if any(isinstance(each, exp.Kwarg | exp.PropertyEQ | exp.Star | exp.Variadic) for each, _ in kinds):
            return None
        choice = self.types.function(name, tuple(kind for _, kind in kinds))
        if choice is None:
            shown = ", ".join(self.spell(kind) for _, kind in kinds)
            self.statement.report(
                "function_arguments",
                f"There is no function {name}({shown}). Check the number and types of its arguments.",
            )
            return None
        for (each, given), wanted in zip(kinds, choice.arguments, strict=False):
            self.check_literal(each, given, wanted)
        return choice.result

    @staticmethod
    def _trimmed(name: str, node: exp.Expr) -> str:
        if name != "trim":
            return name
        return {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.args.get("position") or "", "btrim")

    def _check_width(self, name: str, node: exp.Expr, width: int, *, is_aggregate: bool) -> None:
        widths = self.functions.widths.get(name)
        if name == "count" and isinstance(node.this, exp.Star):
            return
        if widths is not None and width not in widths and -1 not in widths:
            self.statement.report("function_arguments", f"{name}() does not take {width} arguments.")
        elif is_aggregate and width > 1 and self.rules.is_strict and self._is_distinct(node):
            self.statement.report("function_arguments", f"{name}(DISTINCT …) takes exactly one argument.")

    @staticmethod
    def _is_distinct(node: exp.Expr) -> bool:
        return isinstance(node.this, exp.Distinct) or (
            isinstance(node, exp.Anonymous) and any(isinstance(e, exp.Distinct) for e in node.expressions)
        )

    def _report_missing(self, node: exp.Expr) -> None:
        if isinstance(node, exp.Lateral | exp.Unnest) and self.rules.dialect != "sqlite":
            return
        closest = close_functions(self.statement.catalog, node.key)
        word = {"trycast": "TRY_CAST", "attimezone": "AT TIME ZONE", "similarto": "SIMILAR TO"}.get(
            node.key, node.key.upper()
        )
        self.statement.report("syntax", f"{word} does not exist in {self.rules.dialect}.", closest)


SYNTAX = words("""
    coalesce nullif greatest least cast extract position trim overlay substring row array exists grouping xmlelement
    xmlforest xmlconcat json_object json_array json_objectagg json_arrayagg json_value json_query json_exists
    json_scalar json_serialize json normalize collation current_schema current_date current_time current_timestamp
    localtime localtimestamp any all some values in and or not case when
    """)
"""What reads like a function and is syntax."""
