"""What the walker over OpenAPI answers finds, shown on a small file."""

from pathlib import Path
from typing import Any

import pytest

from tests.standins.openapi import Exceptions, Exchange, OpenAPI

FILE = """
paths:
  /cats/{name}:
    get:
      responses:
        '200': {content: {application/json: {schema: {$ref: '#/components/schemas/Cat'}}}}
        '404': {content: {application/json: {schema: {}}}}
        '503': {description: down}
  /cats/all:
    get:
      responses:
        '200': {content: {application/json: {schema: {type: array, items: {$ref: '#/components/schemas/Cat'}}}}}
components:
  schemas:
    Animal:
      type: object
      properties: {born: {type: string, format: date-time}, mother: {$ref: '#/components/schemas/Cat', nullable: true}}
      required: [born]
    Cat:
      type: object
      properties: {lives: {type: integer}, note: {nullable: true}, tags: {type: object, additionalProperties: true}}
      required: [lives]
      allOf: [{$ref: '#/components/schemas/Animal'}]
"""
CAT = {"born": "2026-01-01T00:00:00Z", "lives": 9}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "openapi.yml"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (CAT, ""),
        ({**CAT, "mother": None, "note": None, "tags": {"any": 1}}, ""),
        ({**CAT, "mother": CAT}, ""),
        ({"lives": 9}, "'born' is a required property"),
        ({**CAT, "lives": "nine"}, "$.lives: 'nine' is not of type 'integer'"),
        ({**CAT, "lives": None}, "$.lives: None is not of type 'integer'"),
        ({**CAT, "born": "2026-01-01T00:00:00"}, "$.born: '2026-01-01T00:00:00' is not a 'date-time'"),
        ({**CAT, "born": "yesterday"}, "$.born: 'yesterday' is not a 'date-time'"),
        ({**CAT, "color": "red"}, "'color' was unexpected"),
        ({**CAT, "mother": {**CAT, "color": "red"}}, "$.mother: "),
    ],
)
def test_a_body_that_is_not_as_its_schema_says_is_a_fault(file: Path, body: Any, words: str) -> None:
    faults = OpenAPI(file, Exceptions()).faults([Exchange("GET", "/cats/tom", 200, body)])
    assert (len(faults) == 1 and words in faults[0]) if words else not faults


def test_a_template_without_names_wins(file: Path) -> None:
    api = OpenAPI(file, Exceptions())
    assert api.faults([Exchange("GET", "/cats/all", 200, [CAT])]) == []
    assert api.template_of("/cats/all/more") is None


def test_an_unknown_path_method_status_and_media_type_are_faults(file: Path) -> None:
    exchanges = [
        Exchange("GET", "/dogs", 404, {}),
        Exchange("POST", "/cats/tom", 200, {}),
        Exchange("GET", "/cats/tom", 418, {}),
        Exchange("GET", "/cats/tom", 404, {}, "text/html"),
        Exchange("POST", "/cats/tom", 405, {}),
        Exchange("GET", "/cats/tom", 503, b""),
    ]
    assert OpenAPI(file, Exceptions()).faults(exchanges) == [
        "GET /dogs 404: no such path",
        "POST /cats/tom 200: no such method",
        "GET /cats/tom 418: no such status",
        "GET /cats/tom 404: text/html instead of application/json",
    ]


def test_exceptions_cover_what_they_name_and_nothing_else(file: Path) -> None:
    exceptions = Exceptions(
        paths={("GET", "/dogs"): "new"},
        statuses={("GET", "/cats/{name}", 418): "tea", ("*", "*", 429): "limits"},
        fields={("Cat", "color"): "recorded"},
    )
    exchanges = [
        Exchange("GET", "/dogs", 404, {}),
        Exchange("GET", "/cats/tom", 418, {}),
        Exchange("GET", "/cats/all", 429, {}),
        Exchange("GET", "/cats/tom", 200, {**CAT, "color": "red"}),
        Exchange("GET", "/cats/all", 418, {}),
        Exchange("GET", "/cats/tom", 200, {**CAT, "size": 3}),
    ]
    faults = OpenAPI(file, exceptions).faults(exchanges)
    assert len(faults) == 2
    assert faults[0] == "GET /cats/all 418: no such status"
    assert "'size' was unexpected" in faults[1]
