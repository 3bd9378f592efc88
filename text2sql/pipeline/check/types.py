"""Types of PostgreSQL: which function or operator a call means, by the rules of its manual, chapter 10.

A type is its name in pg_type, "unknown" for a string that has no type yet, or None where it is not known here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from text2sql.pipeline.check.functions import postgres_catalog, words

Type = str | None
UNKNOWN = "unknown"
OTHER_NAMES = {
    "int": "int4", "integer": "int4", "smallint": "int2", "bigint": "int8", "serial": "int4", "bigserial": "int8",
    "smallserial": "int2", "float": "float8", "double": "float8", "decimal": "numeric", "dec": "numeric",
    "string": "text", "nvarchar": "varchar", "char": "bpchar", "datetime": "timestamp", "character": "bpchar",
}  # fmt: skip
POLYMORPHIC = words("""
    any anyelement anyarray anynonarray anyenum anyrange anymultirange anycompatible anycompatiblearray
    anycompatiblenonarray anycompatiblerange anycompatiblemultirange
    """)
ELEMENT = frozenset({"anyelement", "anynonarray", "anycompatible", "anycompatiblenonarray"})
ARRAY = frozenset({"anyarray", "anycompatiblearray"})
MOST_CHOICES = 50_000
LENGTH = re.compile(r"\s*\([^)]*\)")


@dataclass(frozen=True)
class Signature:
    arguments: tuple[str, ...]
    result: str
    kind: str = ""
    defaults: int = 0
    is_variadic: bool = False


@dataclass(frozen=True)
class Choice:
    """What was chosen for a call; `arguments` and `result` hold None where that is not known."""

    result: Type
    arguments: tuple[Type, ...]


class Types:
    def __init__(self, content: Mapping[str, Mapping[str, object]]) -> None:
        self._categories: dict[str, str] = {}
        self._preferred: set[str] = set()
        self._elements: dict[str, str] = {}
        self._arrays: dict[str, str] = {}
        self._spelled: dict[str, str] = {}
        self._names = dict(OTHER_NAMES)
        for name, text in content["types"].items():
            category, element, spelled = str(text).split("|")
            self._categories[name] = category[0]
            if category.endswith("p"):
                self._preferred.add(name)
            if element:
                self._elements[name] = element
                self._arrays[element] = name
            self._spelled[name] = spelled or name
            self._names.setdefault(spelled or name, name)
            self._names.setdefault(name, name)
        self._casts = {
            (source, cast.split()[0]): cast.split()[1]
            for source, casts in content["casts"].items()
            for cast in casts  # type: ignore[attr-defined]  # lists of strings, as the file is
        }
        self._operators = {name: [_operator(text) for text in texts] for name, texts in content["operators"].items()}  # type: ignore[attr-defined]  # the same
        self._functions = {name: [_function(text) for text in texts] for name, texts in content["functions"].items()}  # type: ignore[attr-defined]  # the same
        self._texts: dict[str, Type] = {}
        self._chosen: dict[tuple[str, str, tuple[Type, ...]], Choice | None] = {}

    def named(self, text: str) -> Type:
        """The type that a catalog or a cast spells so; None for one that is not of pg_catalog."""
        if text not in self._texts:
            if len(self._texts) > MOST_CHOICES:
                self._texts.clear()
            self._texts[text] = self._named(text)
        return self._texts[text]

    def _named(self, text: str) -> Type:
        name = LENGTH.sub("", text.strip().lower())
        if name.endswith("[]"):
            element = self.named(name.rstrip("[]"))
            return self._arrays.get(element) if element else None
        return self._names.get(name)

    def spell(self, name: Type) -> str:
        return self._spelled.get(name, name) if name else "?"

    def category(self, name: str) -> str:
        return self._categories.get(name, "U")

    def element(self, name: Type) -> Type:
        return self._elements.get(name) if name else None

    def array(self, name: Type) -> Type:
        return self._arrays.get(name) if name else None

    def operator(self, name: str, arguments: tuple[Type, ...]) -> Choice | None:
        """None where the database has no such operator for these types. A prefix operator has one argument."""
        key = ("operator", name, arguments)
        if key not in self._chosen:
            if len(self._chosen) > MOST_CHOICES:
                self._chosen.clear()
            candidates = [one for one in self._operators.get(name, ()) if len(one.arguments) == len(arguments)]
            self._chosen[key] = self._choose(candidates, arguments, is_operator=True)
        return self._chosen[key]

    def function(self, name: str, arguments: tuple[Type, ...]) -> Choice | None:
        """None where the database has no such function for these types."""
        key = ("function", name, arguments)
        if key not in self._chosen:
            if len(self._chosen) > MOST_CHOICES:
                self._chosen.clear()
            self._chosen[key] = self._function(name, arguments)
        return self._chosen[key]

    def result(self, name: str) -> Type:
        """What the function gives whatever its arguments are; None where that depends on them."""
        results = {one.result for one in self._functions.get(name, ())}
        only = results.pop() if len(results) == 1 else None
        return None if only in POLYMORPHIC or only == "record" else only

    def common(self, types: Sequence[Type]) -> tuple[Type, Type]:
        """What CASE, COALESCE, UNION and the like make of these; the second is one that does not go with the first."""
        known = [each for each in types if each not in {None, UNKNOWN}]
        if not known:
            return (None if None in types else "text"), None
        chosen = known[0] or ""
        for each in known[1:]:
            if each == chosen or each is None:
                continue
            if self.category(each) != self.category(chosen):
                return chosen, each
            if chosen not in self._preferred and self.is_implicit(chosen, each) and not self.is_implicit(each, chosen):
                chosen = each
        stranger = next((each for each in known if each and not self.is_implicit(each, chosen)), None)
        return (None if None in types else chosen), stranger

    def is_castable(self, source: Type, target: Type) -> bool:
        """Whether an explicit cast is possible; True in doubt."""
        if source is None or target is None or source in {UNKNOWN, target, "record"}:
            return True
        if (source, target) in self._casts or "S" in {self.category(source), self.category(target)}:
            return True
        inner, outer = self._elements.get(source), self._elements.get(target)
        if inner and outer:
            return self.is_castable(inner, outer)
        return source in POLYMORPHIC or target in POLYMORPHIC or "U" in {self.category(source), self.category(target)}

    def is_implicit(self, source: Type, target: str) -> bool:
        """Whether a value is taken for `target` without being asked to; True for a source that is not known."""
        if source is None or source in {target, UNKNOWN}:
            return True
        if target in POLYMORPHIC:
            return self._is_polymorph(source, target)
        if self._casts.get((source, target)) == "i":
            return True
        inner, outer = self._elements.get(source), self._elements.get(target)
        return bool(inner and outer) and self._casts.get((inner or "", outer or "")) == "i"

    def _is_polymorph(self, source: str, target: str) -> bool:
        if target in ARRAY:
            return source in self._elements
        if target in {"anyrange", "anycompatiblerange", "anymultirange", "anycompatiblemultirange"}:
            return self.category(source) == "R"
        if target in {"anynonarray", "anycompatiblenonarray"}:
            return source not in self._elements
        return target != "anyenum"

    def _function(self, name: str, arguments: tuple[Type, ...]) -> Choice | None:
        candidates = []
        for one in self._functions.get(name, ()):
            fitted = _fit(one, len(arguments))
            if fitted is not None:
                candidates.append(fitted)
        exact = next((one for one in candidates if one.arguments == arguments), None)
        if exact is None and len(arguments) == 1 and (target := self._names.get(name)) and name not in OTHER_NAMES:
            source = arguments[0]
            is_cast = source == UNKNOWN or (
                source is not None
                and (source, target) not in self._casts
                and "S" in {self.category(source), self.category(target)}
            )
            if is_cast:
                return Choice(target, (target if source == UNKNOWN else source,))
        return self._choose(candidates, arguments, is_operator=False)

    def _choose(self, candidates: list[Signature], types: tuple[Type, ...], *, is_operator: bool) -> Choice | None:
        exact = self._exact(candidates, types, is_operator=is_operator)
        if exact is not None:
            return self._choice(exact, types)
        possible = [
            one
            for one in candidates
            if all(map(self.is_implicit, types, one.arguments)) and self._is_consistent(one, types)
        ]
        if not possible:
            return None
        if None in types:
            results = {self._choice(one, types).result for one in possible}
            return Choice(results.pop() if len(results) == 1 else None, (None,) * len(types))
        best = self._best(possible, types)
        if best is not None:
            return self._choice(best, types)
        # The database finds the call ambiguous. Where that hangs on polymorphic candidates it may be read otherwise.
        is_sure = not any(argument in POLYMORPHIC for one in possible for argument in one.arguments)
        return None if is_sure else Choice(None, (None,) * len(types))

    @staticmethod
    def _exact(candidates: list[Signature], types: tuple[Type, ...], *, is_operator: bool) -> Signature | None:
        if is_operator and len(types) == 2 and types.count(UNKNOWN) == 1:
            other = types[0] if types[1] == UNKNOWN else types[1]
            types = (other, other)
        return next((one for one in candidates if one.arguments == types), None)

    def _best(self, candidates: list[Signature], types: tuple[Type, ...]) -> Signature | None:
        known = [(place, each) for place, each in enumerate(types) if each != UNKNOWN]
        candidates = _most(candidates, lambda one: sum(one.arguments[place] == each for place, each in known))
        if len(candidates) > 1:
            candidates = _most(candidates, lambda one: sum(self._is_liked(one.arguments[p], t) for p, t in known))
        if len(candidates) > 1 and UNKNOWN in types:
            candidates = self._by_category(candidates, types)
        if len(candidates) > 1 and UNKNOWN in types and len({each for _, each in known}) == 1:
            assumed = known[0][1]
            fitting = [one for one in candidates if all(self.is_implicit(assumed, each) for each in one.arguments)]
            if len(fitting) == 1:
                candidates = fitting
        return candidates[0] if len(candidates) == 1 else None

    def _is_liked(self, argument: str, given: Type) -> bool:
        if argument == given:
            return True
        return argument in self._preferred and self.category(argument) == self.category(given or "")

    def _by_category(self, candidates: list[Signature], types: tuple[Type, ...]) -> list[Signature]:
        """Strings without a type: text is preferred, else all candidates must agree on the category."""
        for place in (place for place, each in enumerate(types) if each == UNKNOWN):
            categories = {self.category(one.arguments[place]) for one in candidates}
            if "S" in categories:
                category = "S"
            elif len(categories) == 1:
                category = categories.pop()
            else:
                return candidates
            candidates = [one for one in candidates if self.category(one.arguments[place]) == category]
            liked = [one for one in candidates if one.arguments[place] in self._preferred]
            candidates = liked or candidates
        return candidates

    def _is_consistent(self, one: Signature, types: tuple[Type, ...]) -> bool:
        """Whether polymorphic arguments can be of one type."""
        elements = self._given_elements(one, types)
        if len(elements) < 2 or None in elements:
            return True
        if any(argument.startswith("anycompatible") for argument in one.arguments):
            return self.common(elements)[1] is None
        return len(set(elements)) == 1

    def _given_elements(self, one: Signature, types: tuple[Type, ...]) -> list[Type]:
        return [
            given if argument in ELEMENT else self.element(given)
            for argument, given in zip(one.arguments, types, strict=True)
            if argument in ELEMENT | ARRAY and given != UNKNOWN
        ]

    def _choice(self, one: Signature, types: tuple[Type, ...]) -> Choice:
        if not any(each in POLYMORPHIC for each in one.arguments):
            return Choice(None if one.result == "record" else one.result, one.arguments)
        element = self._element_of(one, types)
        arguments = tuple(
            element if each in ELEMENT else None if each in POLYMORPHIC else each for each in one.arguments
        )
        if one.result not in POLYMORPHIC:
            return Choice(None if one.result == "record" else one.result, arguments)
        return Choice(self._polymorphic_result(one, types), arguments)

    def _element_of(self, one: Signature, types: tuple[Type, ...]) -> Type:
        elements = self._given_elements(one, types)
        return self.common(elements)[0] if elements and None not in elements else None

    def _polymorphic_result(self, one: Signature, types: tuple[Type, ...]) -> Type:
        element = self._element_of(one, types)
        return self.array(element) if one.result in ARRAY else element if one.result in ELEMENT else None


def _most(candidates: list[Signature], count: Callable[[Signature], int]) -> list[Signature]:
    counts = [count(one) for one in candidates]
    return [one for one, each in zip(candidates, counts, strict=True) if each == max(counts)]


def _fit(one: Signature, width: int) -> Signature | None:
    """The signature as called with so many arguments."""
    listed = len(one.arguments)
    if one.is_variadic and width >= listed:
        last = one.arguments[-1]
        element = "any" if last == "any" else last.removeprefix("_")
        element = {"anyarray": "anyelement", "anycompatiblearray": "anycompatible"}.get(element, element)
        return Signature(one.arguments[:-1] + (element,) * (width - listed + 1), one.result, one.kind)
    if listed - one.defaults <= width <= listed:
        return Signature(one.arguments[:width], one.result, one.kind)
    return None


def _operator(text: str) -> Signature:
    left, right, result = text.split(" ")
    return Signature((left, right) if left else (right,), result)


def _function(text: str) -> Signature:
    arguments, result, kind, defaults, variadic = (text.split("|") + [""] * 5)[:5]
    return Signature(tuple(arguments.split()), result, kind, int(defaults or 0), bool(variadic))


@cache
def types_of(dialect: str) -> Types | None:
    return Types(postgres_catalog()) if dialect == "postgres" else None
