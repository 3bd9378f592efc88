"""Structures of databases, for the tests of the pipeline."""

from text2sql.pipeline.schema import Column, ForeignKey, Schema, Table

CUSTOMERS = Table(
    "customers",
    (Column("id", "integer", nullable=False), Column("name", "text", nullable=False), Column("email", "text")),
    comment="Who buys",
    primary_key=("id",),
    row_estimate=1234,
)
ORDERS = Table(
    "orders",
    (
        Column("id", "integer", nullable=False),
        Column("customer_id", "integer", comment="who bought"),
        Column("amount", "numeric(10,2)"),
    ),
    schema="sales",
    primary_key=("id",),
    foreign_keys=(ForeignKey(("customer_id",), "customers", ("id",)),),
)


def make_schema(*tables: Table) -> Schema:
    return Schema("postgres", tables or (ORDERS, CUSTOMERS), "public")
