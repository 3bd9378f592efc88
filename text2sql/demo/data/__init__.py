"""The four demo databases. The same anchor always gives the same rows."""

from collections.abc import Callable
from datetime import date

from text2sql.demo.data import marketing, operations, sales, support
from text2sql.demo.data.tables import DemoColumn, DemoDatabase, DemoTable, Record, Row

_BUILDERS: dict[str, Callable[[date], DemoDatabase]] = {
    "sales_db": sales.build,
    "marketing_db": marketing.build,
    "operations_db": operations.build,
    "support_db": support.build,
}

DATABASE_NAMES: tuple[str, ...] = tuple(_BUILDERS)


def build(name: str, anchor: date) -> DemoDatabase:
    """The demo database of that name as it looks on the morning of `anchor` (UTC).

    Two years of history end on the day before `anchor`; only due dates and plans lie later.
    KeyError when the name is not one of DATABASE_NAMES.
    """
    return _BUILDERS[name](anchor)


__all__ = ["DATABASE_NAMES", "DemoColumn", "DemoDatabase", "DemoTable", "Record", "Row", "build"]
