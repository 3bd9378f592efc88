"""Values of MySQL and MariaDB as JSON, read from the text that the server sends.

Dates that no calendar has (`0000-00-00`) and times beyond a day stay as they are. A timestamp is shown in the session's
time zone, without offset. Bits are integers. Geometries are base64 like bytes: ST_AsText shows them.
"""

from collections.abc import Callable
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG  # type: ignore[import-untyped]  # ships no types

from text2sql.targets.session import ResultColumn
from text2sql.targets.values import JsonValue, read_bytes, read_float, read_json

BINARY = 63
"""The number of the character set of bytes."""
INTEGERS = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
}
NAMES = {
    FIELD_TYPE.DECIMAL: "decimal",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.NULL: "null",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.NEWDATE: "date",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.JSON: "json",
    FIELD_TYPE.ENUM: "enum",
    FIELD_TYPE.SET: "set",
    FIELD_TYPE.GEOMETRY: "geometry",
}
STRINGS = {
    FIELD_TYPE.STRING: ("char", "binary"),
    FIELD_TYPE.VAR_STRING: ("varchar", "varbinary"),
    FIELD_TYPE.VARCHAR: ("varchar", "varbinary"),
}


def mysql_column(field: Any) -> ResultColumn:
    """The name and type of one of PyMySQL's fields."""
    return ResultColumn(str(field.name), _type(field))


def mysql_reader(field: Any) -> Callable[[Any], JsonValue]:
    kind = field.type_code
    if kind in INTEGERS or kind == FIELD_TYPE.YEAR:
        return int
    return READERS.get(kind, _text)


def _type(field: Any) -> str:
    kind = field.type_code
    if kind in INTEGERS:
        return INTEGERS[kind] + (" unsigned" if field.flags & FLAG.UNSIGNED else "")
    if kind == FIELD_TYPE.NEWDECIMAL:
        # The length counts the sign and the point.
        digits = field.length - (field.scale > 0) - (not field.flags & FLAG.UNSIGNED)
        return f"decimal({digits},{field.scale})"
    if field.flags & FLAG.ENUM:
        return "enum"
    if field.flags & FLAG.SET:
        return "set"
    if kind in NAMES:
        return NAMES[kind]
    text, binary = STRINGS.get(kind, ("text", "blob"))
    return binary if field.charsetnr == BINARY else text


def _text(value: Any) -> JsonValue:
    return read_bytes(value) if isinstance(value, bytes) else str(value)


def _timestamp(value: str) -> str:
    return value.replace(" ", "T", 1)


READERS: dict[int, Callable[[Any], JsonValue]] = {
    **dict.fromkeys((FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE), lambda value: read_float(float(value))),
    **dict.fromkeys((FIELD_TYPE.TIMESTAMP, FIELD_TYPE.DATETIME), _timestamp),
    FIELD_TYPE.BIT: int.from_bytes,
    FIELD_TYPE.JSON: read_json,
}
