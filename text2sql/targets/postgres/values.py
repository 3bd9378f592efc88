"""PostgreSQL's values as JSON.

Everything is read from its text form, so no value can fail in the driver (infinite and BC dates, for example).
Instants are in the session's time zone, with their offset; intervals are ISO 8601 durations; arrays are lists; ranges
are objects with `lower`, `upper` and `bounds`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from psycopg import postgres
from psycopg.adapt import AdaptersMap
from psycopg.types.string import TextLoader

from text2sql.targets.values import JsonValue, read_bytes, read_float, read_json

Reader = Callable[[str], JsonValue]

OFFSET = re.compile(r"([+-]\d\d)(:\d\d)?(:\d\d)?$")


@dataclass(frozen=True)
class PostgresType:
    """One row of pg_type, as far as reading a value needs it; the oids are 0 where they do not apply."""

    name: str
    kind: str
    delimiter: str = ","
    element: int = 0
    base: int = 0
    range_subtype: int = 0


def load_everything_as_text(adapters: AdaptersMap) -> None:
    for info in postgres.types:
        for oid in (info.oid, info.array_oid):
            if oid:
                adapters.register_loader(oid, TextLoader)


def postgres_reader(oid: int, types: Mapping[int, PostgresType]) -> Reader:
    known = types.get(oid)
    if known is None:
        return str
    if known.base:
        return postgres_reader(known.base, types)
    if known.element:
        element = postgres_reader(known.element, types)
        return lambda text: read_array(text, known.delimiter, element)
    if known.range_subtype:
        bound = postgres_reader(known.range_subtype, types)
        if known.kind == "m":
            return lambda text: [read_range(part, bound) for part in split_multirange(text)]
        return lambda text: read_range(text, bound)
    return SCALAR_READERS.get(known.name, str)


def read_array(text: str, delimiter: str, element: Reader) -> list[JsonValue]:
    """Parses `{1,NULL,"a \\"b\\""}`, nested arrays, and the bounds that PostgreSQL may put in front (`[0:1]={…}`)."""
    stack: list[list[JsonValue]] = [[]]
    for part, quoted in _array_tokens(text[text.index("{") :], delimiter):
        if part == "{" and not quoted:
            stack.append([])
        elif part == "}" and not quoted:
            done = stack.pop()
            stack[-1].append(done)
        elif part == "NULL" and not quoted:
            stack[-1].append(None)
        else:
            stack[-1].append(element(part))
    outer = stack[0][0]
    return outer if isinstance(outer, list) else []


def _array_tokens(text: str, delimiter: str) -> Iterable[tuple[str, bool]]:
    plain = rf'[^{{}}"{re.escape(delimiter)}]+'
    pattern = re.compile(rf'"((?:[^"\\]|\\.)*)"|([{{}}])|({plain})', re.DOTALL)
    for match in pattern.finditer(text):
        if match[1] is not None:
            yield re.sub(r"\\(.)", r"\1", match[1], flags=re.DOTALL), True
        elif match[2] or match[3]:
            yield match[2] or match[3], False


def read_range(text: str, bound: Reader) -> dict[str, JsonValue]:
    if text == "empty":
        return {"lower": None, "upper": None, "bounds": "empty"}
    lower, upper = _range_bounds(text[1:-1])
    return {
        "lower": None if lower is None else bound(lower),
        "upper": None if upper is None else bound(upper),
        "bounds": text[0] + text[-1],
    }


BOUND = re.compile(r'(?:"((?:[^"\\]|\\.|"")*)"|([^,"]*))(?:,|$)', re.DOTALL)


def _range_bounds(text: str) -> tuple[str | None, str | None]:
    first = BOUND.match(text)
    second = BOUND.match(text, first.end()) if first else None
    return _bound(first), _bound(second)


def _bound(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    if match[1] is not None:
        return re.sub(r'\\(.)|""', lambda pair: pair[1] or '"', match[1], flags=re.DOTALL)
    return match[2] or None


RANGE = re.compile(r'empty|[\[(](?:"(?:[^"\\]|\\.|"")*"|[^"\])])*[\])]', re.DOTALL)


def split_multirange(text: str) -> list[str]:
    return [match[0] for match in RANGE.finditer(text[1:-1])]


def _timestamp(text: str) -> str:
    """`2026-01-31 10:00:00+00` becomes ISO 8601; `infinity` and BC years stay as the database spells them."""
    if text.endswith(("BC", "infinity")):
        return text
    return OFFSET.sub(_offset, text.replace(" ", "T", 1)) if ":" in text else text


def _time(text: str) -> str:
    return OFFSET.sub(_offset, text)


def _offset(match: re.Match[str]) -> str:
    return match[1] + (match[2] or ":00") + (match[3] or "")


def _bytes(text: str) -> str:
    return read_bytes(bytes.fromhex(text.removeprefix("\\x")))


SCALAR_READERS: dict[str, Reader] = {
    "bool": lambda text: text == "t",
    **dict.fromkeys(("int2", "int4", "int8", "oid", "xid8"), int),
    **dict.fromkeys(("float4", "float8"), lambda text: read_float(float(text))),
    **dict.fromkeys(("timestamp", "timestamptz"), _timestamp),
    **dict.fromkeys(("time", "timetz"), _time),
    "bytea": _bytes,
    **dict.fromkeys(("json", "jsonb"), read_json),
}
