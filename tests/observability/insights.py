"""The part of the Logs Insights language that docs/logging.md uses: fields, filter, stats by, sort, limit."""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs" / "logging.md"
TOKEN = re.compile(r'\s*(?:(\d+(?:\.\d+)?[smhd]?)|"([^"]*)"|([@\w.]+)|(!=|>=|<=|[-+*/=<>(),]))')
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip
AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "sum": sum, "min": min, "max": max, "avg": lambda values: sum(values) / len(values),
}  # fmt: skip

Event = Mapping[str, Any]
Value = Callable[[Sequence[Event]], Any]
"""An expression over the events of a group, or over one event alone."""


def documented_queries() -> dict[str, str]:
    """The queries of the documentation by the sentence above each."""
    found = re.findall(r"^([^\n]+):\n\n```insights\n(.*?)```", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return dict(found)


def run(query: str, events: Sequence[Event]) -> list[dict[str, Any]]:
    """What the query answers. Events hold `@timestamp` and the fields of their JSON line."""
    rows: list[Event] = [{name: _seen(value) for name, value in event.items()} for event in events]
    for command in query.split("|"):
        verb, _, rest = command.strip().partition(" ")
        rows = COMMANDS[verb](rest.strip(), rows)
    return [dict(row) for row in rows]


def _seen(value: Any) -> Any:
    """As Logs Insights takes it from JSON."""
    return Decimal(value) if isinstance(value, bool | int) else value


def _filter(rest: str, rows: list[Event]) -> list[Event]:
    holds = _Parser(rest).whole()
    return [row for row in rows if holds([row])]


def _fields(rest: str, rows: list[Event]) -> list[Event]:
    names = [name.strip() for name in rest.split(",")]
    return [{name: row.get(name) for name in names} for row in rows]


def _stats(rest: str, rows: list[Event]) -> list[Event]:
    values, _, by = rest.partition(" by ")
    keys = _Parser(by).named()
    groups: dict[tuple[Any, ...], list[Event]] = {}
    for row in rows:
        groups.setdefault(tuple(key([row]) for _, key in keys), []).append(row)
    wanted = _Parser(values).named()
    return [
        {name: value for (name, _), value in zip(keys, group, strict=True)}
        | {name: value(members) for name, value in wanted}
        for group, members in groups.items()
    ]


def _sort(rest: str, rows: list[Event]) -> list[Event]:
    name, direction = rest.split()
    return sorted(rows, key=lambda row: row[name], reverse={"asc": False, "desc": True}[direction])


COMMANDS: dict[str, Callable[[str, list[Event]], list[Event]]] = {
    "filter": _filter,
    "fields": _fields,
    "stats": _stats,
    "sort": _sort,
    "limit": lambda rest, rows: rows[: int(rest)],
}


class _Parser:
    """Expressions by precedence: and, comparison, sum, product, atom."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while text[place:].strip():
            found = TOKEN.match(text, place)
            assert found, f"not understood: {text[place:]}"
            kind = ("number", "text", "name", "sign")[(found.lastindex or 1) - 1]
            self._tokens.append((kind, found[found.lastindex or 1]))
            place = found.end()

    def whole(self) -> Value:
        value = self._and()
        assert not self._tokens, f"left over: {self._tokens}"
        return value

    def named(self) -> list[tuple[str, Value]]:
        """`value as name, value as name`; a bare field is its own name."""
        found = []
        while self._tokens:
            name = self._tokens[0][1]
            value = self._sum()
            if self._take("as"):
                name = self._tokens.pop(0)[1]
            found.append((name, value))
            assert self._take(",") or not self._tokens
        return found

    def _take(self, *words: str) -> str:
        if self._tokens and self._tokens[0][0] != "text" and self._tokens[0][1] in words:
            return self._tokens.pop(0)[1]
        return ""

    def _and(self) -> Value:
        left = self._comparison()
        while self._take("and"):
            left = _both(lambda a, b: bool(a and b), left, self._comparison())
        return left

    def _comparison(self) -> Value:
        left = self._sum()
        if sign := self._take(*COMPARISONS):
            compare, right = COMPARISONS[sign], self._sum()
            return lambda rows: left(rows) is not None and compare(left(rows), right(rows))
        return left

    def _sum(self) -> Value:
        left = self._product()
        while sign := self._take("+", "-"):
            left = _both(ARITHMETIC[sign], left, self._product())
        return left

    def _product(self) -> Value:
        left = self._atom()
        while sign := self._take("*", "/"):
            left = _both(ARITHMETIC[sign], left, self._atom())
        return left

    def _atom(self) -> Value:
        if self._take("("):
            inner = self._and()
            assert self._take(")")
            return inner
        kind, word = self._tokens.pop(0)
        if kind != "name":
            return lambda _: word if kind == "text" else Decimal(word)
        if self._take("("):
            return self._call(word)
        return lambda rows: rows[0].get(word)

    def _call(self, function: str) -> Value:
        if function == "count":
            assert self._take("*")
            assert self._take(")")
            return lambda rows: Decimal(len(rows))
        if function == "bin":
            span = self._tokens.pop(0)[1]
            assert self._take(")")
            return lambda rows: _bin(rows[0]["@timestamp"], timedelta(seconds=int(span[:-1]) * UNITS[span[-1]]))
        inner, aggregate = self._sum(), AGGREGATES[function]
        assert self._take(")")
        return lambda rows: aggregate([value for row in rows if (value := inner([row])) is not None])


def _both(join: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
    return lambda rows: join(left(rows), right(rows))


def _bin(moment: datetime, span: timedelta) -> datetime:
    start = datetime.min.replace(tzinfo=moment.tzinfo)
    return moment - (moment - start) % span
