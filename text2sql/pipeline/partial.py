"""A structured answer while it is being written: the SQL so far, out of JSON that has no end yet."""

import json
import re

_SQL = re.compile(r'"sql"\s*:\s*"((?:[^"\\]|\\.)*)')
_HALF_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?$")
_HALF_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}$")


def sql_so_far(text: str) -> str:
    """The beginning of the answer's SQL, as far as `text` tells it."""
    found = _SQL.search(text)
    if found is None:
        return ""
    written = _HALF_PAIR.sub("", _HALF_ESCAPE.sub("", found[1]))
    try:
        sql: str = json.loads(f'"{written}"', strict=False)
    except ValueError:
        return ""
    return sql
