"""Answers held against an OpenAPI 3.0 file: the path, the status, the media type and every field of the body."""

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped]  # it ships no types

COMBINED = ("allOf", "oneOf", "anyOf")
FORMATS = FormatChecker(())


@FORMATS.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    """With an offset or Z."""
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@dataclass(frozen=True)
class Exchange:
    """What one request was answered; `path` is without query, `body` decoded JSON."""

    method: str
    path: str
    status: int
    body: Any
    media_type: str = "application/json"


@dataclass(frozen=True)
class Exceptions:
    """Where the file is known to be silent, each with the reason.

    paths: by (method, path). statuses: by (method, template, status); '*' stands for every method or template.
    fields: by (schema, field).
    """

    paths: Mapping[tuple[str, str], str] = field(default_factory=dict)
    statuses: Mapping[tuple[str, str, int], str] = field(default_factory=dict)
    fields: Mapping[tuple[str, str], str] = field(default_factory=dict)


class OpenAPI:
    """The file at `path`. Objects are closed: a field that their schema does not name is a fault."""

    def __init__(self, path: Path, exceptions: Exceptions) -> None:
        self._document = yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  both are safe
        self._exceptions = exceptions

    @property
    def operations(self) -> Set[tuple[str, str]]:
        """(method, template) of all of them."""
        return {(method.upper(), path) for path, item in self._document["paths"].items() for method in item}

    def template_of(self, path: str) -> str | None:
        """A template without names wins over one with them."""
        fitting = [template for template, pattern in self._patterns.items() if pattern.fullmatch(path)]
        return min(fitting, key=lambda template: template.count("{")) if fitting else None

    def faults(self, exchanges: Iterable[Exchange]) -> list[str]:
        return [fault for exchange in exchanges for fault in self._faults_of(exchange)]

    def _faults_of(self, exchange: Exchange) -> list[str]:
        where = f"{exchange.method} {exchange.path} {exchange.status}"
        if (exchange.method, exchange.path) in self._exceptions.paths:
            return []
        template = self.template_of(exchange.path)
        if template is None:
            return [f"{where}: no such path"]
        operation = self._document["paths"][template].get(exchange.method.lower())
        if operation is None and exchange.status == 405:
            return []
        if operation is None:
            return [f"{where}: no such method"]
        answer = operation["responses"].get(str(exchange.status))
        if answer is None:
            return [] if self._is_known(exchange, template) else [f"{where}: no such status"]
        schemas = {kind: media["schema"] for kind, media in answer.get("content", {}).items()}
        if not schemas:
            return []
        if exchange.media_type not in schemas:
            return [f"{where}: {exchange.media_type} instead of {', '.join(schemas)}"]
        schema = {**self._closed(schemas[exchange.media_type]), "components": self._components}
        errors = list(Draft202012Validator(schema, format_checker=FORMATS).iter_errors(exchange.body))
        # A part that fails has evaluated nothing, so its fields are complained about once more.
        errors = [error for error in errors if error.validator != "unevaluatedProperties"] or errors
        return [f"{where}: {error.json_path}: {error.message}" for error in errors]

    def _is_known(self, exchange: Exchange, template: str) -> bool:
        method, status = exchange.method, exchange.status
        keys = [(method, template, status), ("*", "*", status)]
        return any(key in self._exceptions.statuses for key in keys)

    @cached_property
    def _patterns(self) -> dict[str, re.Pattern[str]]:
        return {path: re.compile(re.sub(r"\{\w+\}", "[^/]+", path)) for path in self._document["paths"]}

    @cached_property
    def _components(self) -> dict[str, Any]:
        """The named schemas in the words of JSON Schema, open: whoever refers to one closes it."""
        schemas = {name: self._open(schema) for name, schema in self._document["components"]["schemas"].items()}
        for name, extra in self._exceptions.fields:
            schemas[name].setdefault("properties", {})[extra] = True
        return {"schemas": schemas}

    def _closed(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        if schema.keys() & {"$ref", "properties", *COMBINED}:
            return nullable(schema, {**self._open({**schema, "nullable": False}), "unevaluatedProperties": False})
        return self._open(schema)

    def _open(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        result = {key: value for key, value in schema.items() if key != "nullable"}
        for key in COMBINED:
            if key in schema:
                result[key] = [self._open(part) for part in schema[key]]
        if "properties" in schema:
            result["properties"] = {name: self._closed(part) for name, part in schema["properties"].items()}
        for key in ("items", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                result[key] = self._closed(schema[key])
        return nullable(schema, result)


def nullable(schema: Mapping[str, Any], converted: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI 3.0 marks it with a word of its own. Without a type or a reference everything passes anyway."""
    if not schema.get("nullable") or not schema.keys() & {"type", "$ref", *COMBINED}:
        return converted
    return {"anyOf": [converted, {"type": "null"}]}
