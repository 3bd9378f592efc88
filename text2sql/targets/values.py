"""Values as JSON, as far as all targets agree.

Booleans, integers of any size, floats and null are native; decimals are strings, because JSON readers round them; NaN
and infinities are strings; dates and times are ISO 8601; bytes are base64; json comes as it is; every other type is the
text that the database shows.
"""

import base64
import json
import math

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]

JSON_DEPTH = 100
"""Deeper documents come as text: the encoder that answers the request recurses too."""
INTEGER_DIGITS = 4_000
"""Python refuses to print integers beyond 4,300 digits."""


def read_float(value: float) -> JsonValue:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


def read_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def read_json(text: str) -> JsonValue:
    if text.count("[") + text.count("{") > JSON_DEPTH and _depth(text) > JSON_DEPTH:
        return text
    value: JsonValue = json.loads(text, parse_int=_json_integer, parse_float=_json_float, parse_constant=str)
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
