"""The part of a database that Claude is shown, as compact text.

Names, comments and descriptions are other people's text: they are JSON-encoded and cut to length, so that nothing in
them can end the block or be taken for an instruction of ours.
"""

import json
import re

from text2sql.pipeline.schema import Column, Schema, Table
from text2sql.pipeline.shards import Family, families_find

COMMENT_LENGTH = 500
"""Characters of a comment that are kept."""

SAMPLE_LENGTH = 40
GLOSSARY_LENGTH = 8192

_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def schema_text(schema: Schema, *, name: str, description: str) -> str:
    """The whole schema, tables in the order of their names; the same bytes for the same schema, so that it caches."""
    lines = [f'<database name="{name}" dialect="{schema.dialect}">']
    if description:
        lines.append(f"about: {quoted(description)}")
    families, tables = families_find(schema.tables)
    for table in tables:
        lines += [_table_line(table), *(_column_line(table, column) for column in table.columns)]
    for family in families:
        newest = family.tables[-1]
        lines += [_family_line(family), *(_column_line(newest, column) for column in family.columns)]
    lines.append("</database>")
    return "\n".join(lines)


def glossary_text(glossary: str) -> str:
    """A team's terms, metrics and rules: data as well, since any lead may write them."""
    return f"<glossary>{quoted(glossary, length=GLOSSARY_LENGTH)}</glossary>"


def token_estimate(text: str) -> int:
    """Tokens of prompt text, a little too many as a rule: schemas have a token for 3 to 4 bytes."""
    return -(-len(text.encode()) // 3)


def quoted(text: str, *, length: int = COMMENT_LENGTH) -> str:
    """Untrusted text as a JSON string without angle brackets, cut to `length` characters."""
    text = text if len(text) <= length else text[: length - 1] + "…"
    return json.dumps(text, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _table_line(table: Table) -> str:
    kind = "view" if table.is_view else "table"
    # One significant digit: the estimate moves daily, and a moved digit would cost a new prompt-cache entry.
    rows = f" ~{table.row_estimate:.0e} rows" if table.row_estimate else ""
    comment = f" -- {quoted(table.comment)}" if table.comment else ""
    return f"{kind} {_identifier(table.qualified_name)}{rows}{comment}"


def _family_line(family: Family) -> str:
    first, last = family.tables[0], family.tables[-1]
    count = len(family.tables)
    comment = f" -- {quoted(last.comment)}" if last.comment else ""
    return (
        f"{count} tables of the same columns, one for each date, "
        f"{_identifier(first.qualified_name)} to {_identifier(last.qualified_name)}{comment}"
    )


def _column_line(table: Table, column: Column) -> str:
    words = [f"  {_identifier(column.name)} {_type(column.type)}"]
    if column.name in table.primary_key:
        words.append("primary key")
    elif not column.nullable:
        words.append("not null")
    for key in table.foreign_keys:
        if column.name in key.columns:
            referred = key.referred_columns[key.columns.index(column.name)]
            words.append(f"-> {_identifier(key.referred_table)}.{_identifier(referred)}")
    if column.samples:
        words.append("values " + ", ".join(quoted(value, length=SAMPLE_LENGTH) for value in column.samples))
    if column.comment:
        words.append(f"-- {quoted(column.comment)}")
    return " ".join(words)


def _identifier(name: str) -> str:
    return name if _PLAIN_NAME.fullmatch(name) else quoted(name)


def _type(name: str) -> str:
    # SQLite takes any words for a type, and any number of them.
    return name if re.fullmatch(r"[\w ()\[\],.]{1,60}", name) else quoted(name)
