"""What is written into a query as a value."""

import re
from collections import deque
from datetime import date

from sqlglot import exp

TEXTS = (exp.Literal, exp.National, exp.RawString, exp.ByteString, exp.UnicodeString)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def holds_day(tree: exp.Expr, day: date) -> bool:
    """Whether the day is written out somewhere: in one text in a usual form, or as three numbers in a row."""
    form = _form(day)
    parts = sorted([str(day.year), str(day.month), str(day.day)])
    row: deque[str] = deque(maxlen=3)
    for text in tree.find_all(*TEXTS, bfs=False):
        if form.search(text.name):
            return True
        row.append(text.name.lstrip("0"))
        if sorted(row) == parts:
            return True
    return False


def _form(day: date) -> re.Pattern[str]:
    year, month, number = day.year, f"0?{day.month}", f"0?{day.day}"
    name = f"{MONTHS[day.month - 1]}[a-z]*"
    return re.compile(
        rf"{day:%Y%m%d}"
        rf"|{year}[-/.]{month}[-/.]{number}(?!\d)"
        rf"|(?<!\d)({number}[-/. ]{month}|{month}[-/. ]{number})[-/. ]{year}"
        rf"|(?<!\d){number}[-. ]+{name}[-., ]+{year}"
        rf"|{name}\.? +{number},? +{year}",
        re.IGNORECASE,
    )
