"""DuckDB's values as JSON.

What Python holds exactly comes natively. Dates, times, intervals, UUIDs, bits, enums and the like come as DuckDB's
text; lists, structs, maps and unions as its JSON, in which all numbers with a fraction are strings where decimals are
among them.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from text2sql.targets.values import JsonValue, read_bytes, read_float, read_json

NATIVE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|BOOLEAN|VARCHAR")
NESTED = re.compile(r"(STRUCT|MAP|UNION)\(.*|.*\]|VARIANT", re.DOTALL)
OFFSET = re.compile(r"([+-]\d\d)(:\d\d)?(:\d\d)?$")


@dataclass(frozen=True)
class Field:
    """One column of a result: how it is called, asked for and read."""

    alias: str
    expression: str
    read: Callable[[Any], JsonValue]


def duckdb_field(kind: str, place: int) -> Field:
    alias = f"c{place}"
    if NATIVE.fullmatch(kind):
        return Field(alias, alias, lambda value: value)
    if NESTED.fullmatch(kind):
        read = read_exact_json if "DECIMAL" in kind else read_json
        return Field(alias, f"CAST(to_json({alias}) AS VARCHAR)", read)
    if kind in NATIVE_READERS:
        return Field(alias, alias, NATIVE_READERS[kind])
    if kind.startswith("DECIMAL"):
        return Field(alias, alias, str)
    return Field(alias, f"CAST({alias} AS VARCHAR)", TEXT_READERS.get(kind, str))


def read_exact_json(text: str) -> JsonValue:
    value: JsonValue = json.loads(text, parse_float=str, parse_constant=str)
    return value


def read_timestamp(text: str) -> str:
    """`2026-01-31 10:00:00+00` becomes ISO 8601; `infinity` and BC years stay as the database spells them."""
    if text.endswith(("(BC)", "infinity")) or ":" not in text:
        return text
    return OFFSET.sub(lambda match: match[1] + (match[2] or ":00") + (match[3] or ""), text.replace(" ", "T", 1))


def read_time(text: str) -> str:
    return OFFSET.sub(lambda match: match[1] + (match[2] or ":00") + (match[3] or ""), text)


NATIVE_READERS: dict[str, Callable[[Any], JsonValue]] = {
    "FLOAT": read_float,
    "DOUBLE": read_float,
    "BLOB": read_bytes,
    "JSON": read_json,
}
TEXT_READERS: dict[str, Callable[[Any], JsonValue]] = {
    **dict.fromkeys(
        ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ_NS"),
        read_timestamp,
    ),
    "TIME WITH TIME ZONE": read_time,
}
