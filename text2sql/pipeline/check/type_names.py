"""From the parser's types to those of PostgreSQL."""

from sqlglot import exp

from text2sql.pipeline.check.types import Type, Types

NAMES = {
    "SMALLINT": "int2", "INT": "int4", "BIGINT": "int8", "FLOAT": "float4", "DOUBLE": "float8", "DECIMAL": "numeric",
    "TEXT": "text", "VARCHAR": "varchar", "CHAR": "bpchar", "BPCHAR": "bpchar", "NAME": "name", "BOOLEAN": "bool",
    "DATE": "date", "TIMESTAMP": "timestamp", "TIMESTAMPTZ": "timestamptz", "TIME": "time", "TIMETZ": "timetz",
    "INTERVAL": "interval", "UUID": "uuid", "JSON": "json", "JSONB": "jsonb", "VARBINARY": "bytea", "INET": "inet",
    "MONEY": "money", "XML": "xml",
}  # fmt: skip


def type_of(node: exp.DataType, types: Types) -> Type:
    """The type that a cast names; None where that is not known."""
    kind = node.this
    if kind == exp.DType.ARRAY:
        inner = node.expressions[0] if node.expressions else None
        return types.array(type_of(inner, types)) if isinstance(inner, exp.DataType) else None
    if kind == exp.DType.USERDEFINED:
        return types.named(str(node.args.get("kind") or ""))
    return NAMES.get(kind.value) if isinstance(kind, exp.DType) else None
