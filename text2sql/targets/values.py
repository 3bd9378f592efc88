"""PostgreSQL and SQLite values as JSON.

Everything PostgreSQL sends is read from its text form, so no value can fail in the driver (infinite and BC dates,
for example). Booleans, integers of any size, floats and null are native; `numeric` is a string, because JSON readers
round it; NaN and infinities are strings; dates and times are ISO 8601 with timestamps in UTC; intervals ISO 8601
durations; bytea is base64; json and jsonb come as they are; arrays are lists; ranges are objects with `lower`,
`upper` and `bounds`; every other type is the text that the database shows.
"""

import base64
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import postgres
from psycopg.adapt import AdaptersMap
from psycopg.types.string import TextLoader

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]
Reader = Callable[[str], JsonValue]

JSON_DEPTH = 100
"""Deeper documents come as text: the encoder that answers the request recurses too."""
INTEGER_DIGITS = 4_000
"""Python refuses to print integers beyond 4,300 digits."""
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


def sqlite_value(value: Any) -> JsonValue:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, float):
        return _float(value)
    return value if value is None or isinstance(value, int) else str(value)


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


def _float(value: float) -> JsonValue:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


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
    return base64.b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode("ascii")


def _json(text: str) -> JsonValue:
    if text.count("[") + text.count("{") > JSON_DEPTH and _depth(text) > JSON_DEPTH:
        return text
    value: JsonValue = json.loads(text, parse_int=_json_integer, parse_float=_json_float)
    # A lone surrogate is allowed in `json`, but no UTF-8 answer can carry it.
    return text if "\\ud" in text.lower() and not _is_encodable(value) else value


def _depth(text: str) -> int:
    depth = deepest = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        deepest = max(deepest, depth)
    return deepest


def _json_integer(digits: str) -> JsonValue:
    return int(digits) if len(digits) <= INTEGER_DIGITS else digits


def _json_float(digits: str) -> JsonValue:
    return float(digits) if math.isfinite(float(digits)) else digits


def _is_encodable(value: JsonValue) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


SCALAR_READERS: dict[str, Reader] = {
    "bool": lambda text: text == "t",
    **dict.fromkeys(("int2", "int4", "int8", "oid", "xid8"), int),
    **dict.fromkeys(("float4", "float8"), lambda text: _float(float(text))),
    **dict.fromkeys(("timestamp", "timestamptz"), _timestamp),
    **dict.fromkeys(("time", "timetz"), _time),
    "bytea": _bytes,
    **dict.fromkeys(("json", "jsonb"), _json),
}
