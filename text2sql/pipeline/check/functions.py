"""Which functions a database has."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

AGGREGATE, WINDOW = "a", "w"


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXTENSIONS = words("""
    similarity word_similarity strict_word_similarity show_trgm levenshtein levenshtein_less_equal soundex difference
    metaphone dmetaphone dmetaphone_alt daitch_mokotoff unaccent crosstab uuid_generate_v1 uuid_generate_v4
    gen_salt crypt digest hmac time_bucket earth_distance ll_to_earth earth_box hstore akeys avals hstore_to_json
    subpath nlevel subltree lca cosine_distance l2_distance inner_product first last
    """)
"""What common extensions of PostgreSQL add: they may be there."""

COUNTERPARTS: Mapping[str, Mapping[str, str]] = {
    "postgres": {
        "ifnull": "coalesce", "nvl": "coalesce", "isnull": "coalesce", "if": "case", "iif": "case",
        "strftime": "to_char", "date_format": "to_char", "group_concat": "string_agg", "listagg": "string_agg",
        "year": "extract(year from …)", "month": "extract(month from …)", "day": "extract(day from …)",
        "datediff": "date - date", "date_diff": "date - date", "timestampdiff": "age", "julianday": "date - date",
        "dateadd": "date + interval", "date_sub": "date - interval", "getdate": "now", "curdate": "current_date",
        "instr": "strpos", "charindex": "strpos", "locate": "strpos", "len": "length", "datetime": "to_timestamp",
        "str_to_date": "to_date", "unix_timestamp": "extract(epoch from …)", "total": "sum", "rand": "random",
        "ucase": "upper", "lcase": "lower", "try_cast": "cast", "convert": "cast",
    },
    "sqlite": {
        "string_agg": "group_concat", "listagg": "group_concat", "array_agg": "json_group_array",
        "to_char": "strftime", "date_format": "strftime", "extract": "strftime", "date_part": "strftime",
        "date_trunc": "strftime", "year": "strftime('%Y', …)", "month": "strftime('%m', …)",
        "day": "strftime('%d', …)", "now": "datetime('now')", "getdate": "datetime('now')", "curdate": "date('now')",
        "datediff": "julianday", "timestampdiff": "julianday", "age": "julianday", "date_sub": "date(…, '-1 day')",
        "date_add": "date(…, '+1 day')", "dateadd": "date(…, '+1 day')", "to_date": "date", "str_to_date": "date",
        "concat": "||", "concat_ws": "||", "left": "substr", "right": "substr", "mid": "substr", "if": "iif",
        "nvl": "ifnull", "isnull": "ifnull", "len": "length", "strpos": "instr", "charindex": "instr",
        "locate": "instr", "position": "instr", "greatest": "max", "least": "min", "convert": "cast",
        "regexp_replace": "replace", "split_part": "substr", "median": "avg", "stddev": "avg", "rand": "random",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Functions:
    kinds: Mapping[str, str]
    """Name to what it is: "" computes, AGGREGATE, WINDOW, or both. Empty where the functions are not known."""
    widths: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """Numbers of arguments; -1 for any number."""
    counterparts: Mapping[str, str] = field(default_factory=dict)
    """Functions of other databases, and what is written here instead."""
    maybe: frozenset[str] = frozenset()

    def is_missing(self, name: str) -> bool:
        return bool(self.kinds) and name not in self.kinds and name not in self.maybe and not name.startswith("st_")


@cache
def functions_of(dialect: str) -> Functions:
    if dialect == "sqlite":
        return _sqlite()
    if dialect == "postgres":
        kinds = {
            name: "".join(sorted({mark for one in signatures for mark in (one + "|").split("|")[2] if mark in "aw"}))
            for name, signatures in postgres_catalog()["functions"].items()
        }
        return Functions(kinds, counterparts=COUNTERPARTS[dialect], maybe=EXTENSIONS)
    return Functions({})


@cache
def postgres_catalog() -> dict[str, dict[str, list[str]]]:
    """What `postgres.json` says; its "source" tells where it was read."""
    content: dict[str, dict[str, list[str]]] = json.loads(Path(__file__).with_name("postgres.json").read_text())
    return content


def _sqlite() -> Functions:
    """Asked of the library itself: it is this one that will run the statement."""
    kinds: dict[str, str] = {}
    widths: dict[str, set[int]] = {}
    with closing(sqlite3.connect(":memory:")) as memory:
        for name, kind, width in memory.execute("SELECT name, type, narg FROM pragma_function_list"):
            # The engine calls "w" each aggregate that may also have OVER.
            is_aggregate = kind == "a" or (kind == "w" and name not in SQLITE_WINDOW_ONLY)
            mark = AGGREGATE if is_aggregate else WINDOW if kind == "w" else ""
            kinds[name] = "".join(sorted(set(kinds.get(name, "") + mark)))
            widths.setdefault(name, set()).add(width)
    return Functions(
        kinds, {name: frozenset(counts) for name, counts in widths.items()}, counterparts=COUNTERPARTS["sqlite"]
    )


SQLITE_WINDOW_ONLY = words("""
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    """)
