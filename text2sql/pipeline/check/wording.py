"""What only the text shows: the parser reads it kindly, the database does not."""

import re
from collections.abc import Iterator
from functools import cached_property

from sqlglot import exp

from text2sql.pipeline.finding import Finding

QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\[[^\]']*\]|--[^\n]*|/\*.*?\*/", re.DOTALL)

CALL = re.compile(r"([a-z_][a-z0-9_$]*)\s*\(")
JOIN = re.compile(r"\bjoin\b")
CONDITIONS = ("on", "using", "kind", "side", "method")
LATE = re.compile(r"\blimit\s+\d+\s+(?:where|group|having|order)\b")

WORDINGS: dict[str, tuple[tuple[str, re.Pattern[str], str], ...]] = {
    "sqlite": (
        ("::", re.compile(r"::"), 'SQLite has no "::". Write CAST(… AS …).'),
        ("convert", re.compile(r"\bconvert\s*\("), "SQLite has no CONVERT. Write CAST(… AS …)."),
        ("substring", re.compile(r"\bsubstring\s*\([^()]*\sfrom\s"), "Write substr(text, start, length)."),
        ("trim", re.compile(r"\btrim\s*\(\s*(?:both|leading|trailing)\b"), "Write trim(text, characters)."),
        ("position", re.compile(r"\bposition\s*\("), "SQLite has no POSITION. Write instr(text, part)."),
        ("top", re.compile(r"\bselect\s+top\s+\d"), "SQLite has no TOP. Write LIMIT at the end."),
        ("limit", LATE, "LIMIT stands at the end."),
        ("fetch", re.compile(r"\bfetch\s+(?:first|next)\b"), "SQLite has no FETCH. Write LIMIT."),
    ),
    "postgres": (
        ("convert", re.compile(r"\bconvert\s*\("), "PostgreSQL has no such CONVERT. Write CAST(… AS …)."),
        ("interval", re.compile(r"\binterval\s+\d"), "Write an interval as a string: INTERVAL '1 day'."),
        ("limit", re.compile(r"\blimit\s+\d+\s*,"), "Write LIMIT count OFFSET start."),
        ("top", re.compile(r"\bselect\s+top\s+\d"), "PostgreSQL has no TOP. Write LIMIT at the end."),
        ("==", re.compile(r"=="), 'PostgreSQL compares with "=".'),
        ("limit", LATE, "LIMIT stands at the end."),
    ),
}  # fmt: skip

ORDER = {
    name: place
    for place, name in enumerate(
        ("from_", "joins", "laterals", "where", "group", "having", "windows", "qualify", "order")
    )
}


class Text:
    """A statement as it was written."""

    def __init__(self, sql: str) -> None:
        self.sql = sql

    @cached_property
    def bare(self) -> str:
        """In lower case, without comments; every string is '', every quoted name is x."""
        return QUOTED.sub(_blank, self.sql).lower()

    @cached_property
    def calls(self) -> frozenset[str]:
        """The words that stand in front of a parenthesis."""
        return frozenset(CALL.findall(self.bare))


def wording_findings(text: Text, dialect: str) -> Iterator[Finding]:
    lowered = text.sql.lower()
    for hint, pattern, message in WORDINGS.get(dialect, ()):
        if hint in lowered and pattern.search(text.bare):
            yield Finding("syntax", message)


def lacks_condition(text: Text, tree: exp.Expr, counted: int) -> bool:
    """Whether the text joins more often than the tree, which has no word for JOIN without a condition."""
    written = len(JOIN.findall(text.bare))
    if written <= counted:
        return False
    with_condition = (any(join.args.get(key) for key in CONDITIONS) for join in tree.find_all(exp.Join))
    return written > sum(with_condition)


def _blank(found: re.Match[str]) -> str:
    return "''" if found[0][0] == "'" else " x " if found[0][0] in '"`[' else " "


def misplaced_clause(select: exp.Select) -> str | None:
    """A clause that stands behind one that must follow it: the parser keeps them in the order of the text."""
    last = -1
    for name, value in select.args.items():
        place = ORDER.get(name)
        if place is None or not value:
            continue
        if place < last:
            return name.rstrip("_")
        last = place
    return None
