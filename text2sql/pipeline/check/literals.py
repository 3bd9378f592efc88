"""Strings that PostgreSQL refuses to read as a value of some type."""

import json
import re
from calendar import monthrange
from datetime import MINYEAR

from text2sql.pipeline.check.functions import words

NUMBER = re.compile(r"[+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[+-]?\d+)?|[+-]?inf(?:inity)?|nan", re.IGNORECASE)
WHOLE = re.compile(r"[+-]?(?:\d[\d_]*|0x[0-9a-f_]+|0o[0-7_]+|0b[01_]+)", re.IGNORECASE)
TRUTHS = re.compile(r"t(?:r(?:u(?:e)?)?)?|f(?:a(?:l(?:s(?:e)?)?)?)?|y(?:e(?:s)?)?|no?|on|off?|1|0", re.IGNORECASE)
DAYS = re.compile(r"(\d{4})[-/](\d{1,2})(?:[-/](\d{1,2}))?")
DIGITS = re.compile(r"(\d{2}|\d{4})(\d{2})(\d{2})")
TIME = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?")
MOMENTS = words("now today tomorrow yesterday epoch infinity -infinity +infinity allballs")
DATES = frozenset({"date", "timestamp", "timestamptz"})
WHOLES = frozenset({"int2", "int4", "int8"})
NUMBERS = frozenset({"float4", "float8", "numeric"})


def is_readable(text: str, name: str) -> bool:
    """Whether the database may read `text` as a value of this type; True in doubt."""
    text = text.strip()
    if name in WHOLES:
        return WHOLE.fullmatch(text) is not None
    if name in NUMBERS:
        return NUMBER.fullmatch(text) is not None
    if name == "bool":
        return TRUTHS.fullmatch(text) is not None
    if name in DATES:
        return _is_date(text)
    if name == "interval":
        return DAYS.match(text) is None and any(character.isdigit() for character in text)
    if name.startswith("_"):
        return text.startswith(("{", "["))
    if name in {"json", "jsonb"}:
        return _is_json(text)
    return True


def _is_date(text: str) -> bool:
    if text.lower() in MOMENTS:
        return True
    if TIME.fullmatch(text):
        return False
    if not any(character.isdigit() for character in text) or "%" in text:
        return False
    found = DAYS.fullmatch(text) or DIGITS.fullmatch(text)
    if found is None:
        return not text.isdigit() or len(text) > 5
    if found[3] is None or int(found[1]) < MINYEAR or not 1 <= int(found[2]) <= 12:
        return False
    return 1 <= int(found[3]) <= monthrange(int(found[1]), int(found[2]))[1]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
