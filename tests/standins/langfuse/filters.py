"""The filters of metrics v2 and observations v2: their schema and what they match."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tests.standins.langfuse.answers import Issue, custom, wrong_datetime, wrong_option, wrong_type

TEXT = ("=", "contains", "does not contain", "starts with", "ends with")
NUMBER = ("=", ">", "<", ">=", "<=")
OPERATORS = {
    "datetime": (">", "<", ">=", "<="),
    "string": TEXT,
    "number": NUMBER,
    "stringOptions": ("any of", "none of"),
    "categoryOptions": ("any of", "none of"),
    "arrayOptions": ("any of", "none of", "all of"),
    "stringObject": TEXT,
    "numberObject": NUMBER,
    "boolean": ("=", "<>"),
    "null": ("is null", "is not null"),
}
KEYED = {"stringObject", "numberObject", "categoryOptions"}
DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Filter:
    """One condition; `value` has the type the schema asks for."""

    type: str
    column: str
    operator: str
    value: Any
    key: str = ""

    def matches(self, stored: Any) -> bool:
        """Whether a row passes that has `stored` in the column ('' stands for nothing)."""
        match self.type:
            case "string" | "stringObject":
                return matches_text(self.operator, str(stored), self.value)
            case "stringOptions" | "categoryOptions":
                return bool(stored in self.value) == (self.operator == "any of")
            case "arrayOptions":
                return matches_array(self.operator, set(stored), set(self.value))
            case "null":
                return (stored in ("", None)) == (self.operator == "is null")
            case "boolean":
                return bool(stored == self.value) == (self.operator == "=")
            case _:
                return matches_order(self.operator, stored, self.value)


def matches_text(operator: str, stored: str, value: str) -> bool:
    match operator:
        case "=":
            return stored == value
        case "contains":
            return value in stored
        case "does not contain":
            return value not in stored
        case "starts with":
            return stored.startswith(value)
        case _:
            return stored.endswith(value)


def matches_array(operator: str, stored: set[str], value: set[str]) -> bool:
    match operator:
        case "any of":
            return bool(stored & value)
        case "none of":
            return not stored & value
        case _:
            return value <= stored


def matches_order(operator: str, stored: Any, value: Any) -> bool:
    if stored in ("", None):
        return False
    if isinstance(stored, str):
        try:
            stored = float(stored)
        except ValueError:
            return False
    outcomes: dict[str, bool] = {
        "=": stored == value,
        ">": stored > value,
        "<": stored < value,
        ">=": stored >= value,
        "<=": stored <= value,
    }
    return outcomes[operator]


def parse_filters(raw: object, path: Sequence[str | int]) -> tuple[list[Filter], list[Issue]]:
    """The conditions of a JSON list, and what is wrong with it."""
    if not isinstance(raw, list):
        return [], [wrong_type(path, "array", raw)]
    filters: list[Filter] = []
    issues: list[Issue] = []
    for index, item in enumerate(raw):
        found = parse_filter(item, [*path, index])
        if isinstance(found, Filter):
            filters.append(found)
        else:
            issues += found
    return filters, issues


def parse_filter(raw: object, path: list[str | int]) -> Filter | list[Issue]:
    if not isinstance(raw, dict):
        return [wrong_type(path, "object", raw)]
    kind = raw.get("type")
    if kind not in OPERATORS:
        union = {"code": "invalid_union", "errors": [], "note": "No matching discriminator"}
        return [{**union, "discriminator": "type", "path": [*path, "type"], "message": "Invalid input"}]
    issues: list[Issue] = [
        wrong_type([*path, name], "string", raw.get(name))
        for name in ("column", *(["key"] if kind in KEYED else []))
        if not isinstance(raw.get(name), str)
    ]
    if raw.get("operator") not in OPERATORS[kind]:
        issues.append(wrong_option([*path, "operator"], OPERATORS[kind]))
    value = raw.get("value")
    issues += value_issues(kind, raw.get("operator"), value, [*path, "value"])
    if issues:
        return issues
    if kind == "datetime":
        value = parse_datetime(value)
    return Filter(kind, raw["column"], raw["operator"], value, raw.get("key", ""))


def value_issues(kind: str, operator: object, value: object, path: list[str | int]) -> list[Issue]:
    expected: dict[str, tuple[str, tuple[type, ...]]] = {
        "string": ("string", (str,)),
        "stringObject": ("string", (str,)),
        "number": ("number", (int, float)),
        "numberObject": ("number", (int, float)),
        "boolean": ("boolean", (bool,)),
    }
    if kind in expected:
        name, types = expected[kind]
        is_wrong = not isinstance(value, types) or (name == "number" and isinstance(value, bool))
        return [wrong_type(path, name, value)] if is_wrong else []
    if kind == "datetime":
        return [] if parse_datetime(value) else [wrong_datetime(path)]
    if kind == "null":
        return [] if value in ("", None) else [wrong_option(path, [""])]
    if not isinstance(value, list):
        return [wrong_type(path, "array", value)]
    if not value and operator == "any of":
        return [custom(path, "Invalid input")]
    return [wrong_type([*path, index], "string", item) for index, item in enumerate(value) if not isinstance(item, str)]


def parse_datetime(value: object) -> datetime | None:
    """An ISO date-time with an offset or Z, cut to the millisecond; None for everything else."""
    if not isinstance(value, str) or not DATETIME.fullmatch(value):
        return None
    try:
        moment = datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        return None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
