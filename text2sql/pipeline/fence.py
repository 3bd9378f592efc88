"""Takes SQL out of the Markdown that models like to wrap it in."""

import re

FENCE = "```"
LANGUAGE = re.compile(
    r"[ \t]*(?:[a-z]*sql[a-z0-9]*|sqlite3?|postgres|duckdb|bigquery|snowflake|text)?[ \t]*(?:\n|\b)", re.IGNORECASE
)
QUERY = re.compile(r"[\s(]*(?:select|values|with\s+(?:recursive\s+)?\S+\s*(?:\(|as\b))", re.IGNORECASE)


def sql_unwrap(text: str) -> str:
    """The statement in `text` without fences and the words around them; other text is only stripped of blanks."""
    before, fence, rest = text.partition(FENCE)
    if not fence or before.count("'") % 2:  # a fence inside a string is the string's
        return text.strip()
    if QUERY.match(before) and not before.rstrip().endswith(":"):
        return before.strip()
    block = rest.partition(FENCE)[0]
    language = LANGUAGE.match(block)
    return (block[language.end() :] if language else block).strip()
