"""Which JSON schemas structured output takes, and the complaint about those it does not."""

from collections.abc import Iterator
from typing import Any

from text2sql.demo.claude.errors import invalid

ANYWHERE = {
    "type",
    "title",
    "description",
    "enum",
    "const",
    "default",
    "anyOf",
    "allOf",
    "$ref",
    "$defs",
    "definitions",
}
BY_TYPE = {
    "object": {"properties", "required", "additionalProperties"},
    "array": {"items", "minItems"},
    "string": {"format", "pattern"},
}
FORMATS = {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
PATH = "output_config.format.schema"


def check_schema(schema: Any, root: Any = None, above: tuple[str, ...] = ()) -> None:
    """Raises ApiError (400) for a schema that the API cannot compile."""
    if not isinstance(schema, dict):
        raise invalid(f"{PATH}: Input should be a valid dictionary")
    root = schema if root is None else root
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    check_keywords(schema, types)
    if "object" in types and schema.get("additionalProperties") is not False:
        raise invalid(f"{PATH}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    if reference := schema.get("$ref"):
        if reference in above:
            raise invalid(f"{PATH}: Circular reference detected in schema definitions: {reference}")
        check_schema(find_definition(root, reference), root, (*above, reference))
    for part in list_subschemas(schema):
        check_schema(part, root, above)


def check_keywords(schema: dict[str, Any], types: list[str]) -> None:
    allowed = ANYWHERE.union(*(BY_TYPE.get(name, set()) for name in types))
    unknown = sorted(set(schema) - allowed)
    kind = types[0] if types else "any"
    if len(unknown) == 1:
        raise invalid(f"{PATH}: For '{kind}' type, property '{unknown[0]}' is not supported")
    if unknown:
        raise invalid(f"{PATH}: For '{kind}' type, properties {', '.join(unknown)} are not supported")
    if schema.get("minItems", 0) not in {0, 1}:
        raise invalid(f"{PATH}: For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    if schema.get("format", "date") not in FORMATS:
        raise invalid(f"{PATH}: For 'string' type, format '{schema['format']}' is not supported")


def find_definition(root: dict[str, Any], reference: str) -> Any:
    node: Any = root
    for step in reference.removeprefix("#/").split("/"):
        if not isinstance(node, dict) or step not in node:
            raise invalid(f"{PATH}: Reference {reference} not found in schema definitions")
        node = node[step]
    return node


def list_subschemas(schema: dict[str, Any]) -> Iterator[Any]:
    yield from (schema.get("properties") or {}).values()
    yield from (schema.get("$defs") or {}).values()
    yield from (schema.get("definitions") or {}).values()
    yield from schema.get("anyOf") or []
    yield from schema.get("allOf") or []
    if "items" in schema:
        yield schema["items"]
