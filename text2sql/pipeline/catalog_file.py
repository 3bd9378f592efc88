"""A catalog in a file, for the commands that need no database.

`{"tables": [{"schema", "name", "comment", "columns": [{"name", "type", "comment"}], "primary_key": […],
"foreign_keys": [{"columns", "references_schema", "references_table", "references_columns"}]}]}`; only the names of
tables and columns must be there.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table


def catalog_read(path: Path, dialect: str) -> Schema:
    """The schema in the file. Raises ValueError, saying where, for what is not of this form, OSError for no file."""
    try:
        content = json.loads(path.read_text())
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}.") from None
    tables = _list(content, "tables", str(path))
    return Schema(dialect, tuple(_table(table, f"table {number}") for number, table in enumerate(tables, start=1)))


def _table(data: Any, where: str) -> Table:
    name = _text(data, "name", where, needed=True)
    where = f"table {name}"
    schema = _text(data, "schema", where) or None
    return Table(
        name,
        tuple(_column(column, where) for column in _list(data, "columns", where)),
        schema=schema,
        comment=_text(data, "comment", where),
        primary_key=tuple(_names(data, "primary_key", where)),
        foreign_keys=tuple(_key(key, schema, where) for key in _list(data, "foreign_keys", where, needed=False)),
    )


def _column(data: Any, where: str) -> Column:
    name = _text(data, "name", f"a column of {where}", needed=True)
    return Column(name, _text(data, "type", name), comment=_text(data, "comment", name))


def _key(data: Any, schema: str | None, where: str) -> ForeignKey:
    name = _text(data, "references_table", where, needed=True)
    referred = _text(data, "references_schema", where) or schema
    return ForeignKey(
        tuple(_names(data, "columns", where)),
        f"{referred}.{name}" if referred else name,
        tuple(_names(data, "references_columns", where)),
    )


def _text(data: Any, key: str, where: str, *, needed: bool = False) -> str:
    value = data.get(key) if isinstance(data, dict) else None
    if isinstance(value, str) and (value or not needed):
        return value
    if value is None and not needed:
        return ""
    raise ValueError(f'The catalog is not of the documented form: "{key}" of {where} must be a text.')


def _list(data: Any, key: str, where: str, *, needed: bool = True) -> list[Any]:
    value = data.get(key) if isinstance(data, dict) else None
    if isinstance(value, list):
        return value
    if value is None and not needed:
        return []
    raise ValueError(f'The catalog is not of the documented form: "{key}" of {where} must be a list.')


def _names(data: Any, key: str, where: str) -> Iterator[str]:
    return (_text({key: name}, key, where, needed=True) for name in _list(data, key, where, needed=False))
