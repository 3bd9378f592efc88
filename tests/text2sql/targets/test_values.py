"""Every type of PostgreSQL comes back as JSON."""

import json
import uuid
from typing import Any

import psycopg
import pytest

from text2sql.targets.errors import QueryFailed
from text2sql.targets.run import run_query

LITERALS: dict[str, str] = {
    "aclitem": "postgres=r/postgres",
    "bit": "1",
    "bool": "t",
    "box": "(1,2),(3,4)",
    "bytea": "\\xdeadbeef",
    "cid": "1",
    "cidr": "10.0.0.0/8",
    "circle": "<(1,2),3>",
    "date": "2026-02-28",
    "daterange": "[2026-01-01,2026-02-01)",
    "inet": "10.0.0.1/8",
    "int2vector": "1 2",
    "int4range": "[1,5)",
    "int8range": "[1,5)",
    "interval": "1 year 2 days 03:04:05.6",
    "json": '{"a": [1, null, "x"]}',
    "jsonb": '{"a": [1, null, "x"]}',
    "jsonpath": "$.a",
    "line": "{1,2,3}",
    "lseg": "[(1,2),(3,4)]",
    "macaddr": "08:00:2b:01:02:03",
    "macaddr8": "08:00:2b:01:02:03:04:05",
    "numrange": "[1.5,)",
    "oidvector": "1 2",
    "path": "((1,2),(3,4))",
    "pg_lsn": "16/B374D848",
    "pg_snapshot": "10:20:10,14,15",
    "point": "(1,2)",
    "polygon": "((1,2),(3,4))",
    "refcursor": "c",
    "regclass": "pg_class",
    "regcollation": '"C"',
    "regconfig": "english",
    "regdatabase": "postgres",
    "regdictionary": "simple",
    "regnamespace": "pg_catalog",
    "regoper": "||/",
    "regoperator": "+(integer,integer)",
    "regproc": "now",
    "regprocedure": "now()",
    "regrole": "postgres",
    "regtype": "integer",
    "tid": "(0,1)",
    "time": "04:05:06.789",
    "timetz": "04:05:06+05:30",
    "timestamp": "2026-02-28 04:05:06.789",
    "timestamptz": "2026-02-28 04:05:06+05:30",
    "tsquery": "a & b",
    "tsrange": '["2026-01-01 00:00:00",infinity)',
    "tstzrange": '["2026-01-01 00:00:00+00",)',
    "tsvector": "a:1 b:2",
    "txid_snapshot": "10:20:10,14,15",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "varbit": "101",
    "xml": "<a>1</a>",
}
NOT_INPUT = frozenset(
    {
        *("pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list"),
        *("pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "gtsvector"),
    }
)
"""Types that no literal makes: PostgreSQL refuses input of them."""


def ask(url: str, sql: str) -> list[Any]:
    rows = run_query(url, sql, dialect="postgres", row_cap=10, timeout=10).rows
    json.dumps(rows, allow_nan=False)
    json.dumps(rows, ensure_ascii=False).encode()
    return rows[0]


def has_xml(url: str) -> bool:
    try:
        ask(url, "SELECT xml '<a/>'")
    except QueryFailed:
        return False
    return True


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def literal_of(name: str, category: str, kind: str) -> str:
    if kind == "m":
        return "{" + LITERALS[name.replace("multi", "")] + "}"
    return LITERALS.get(name, "1" if category == "N" or name in {"xid", "xid8"} else "text")


def test_every_type_that_a_literal_can_make_becomes_json_alone_and_in_an_array(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        types = connection.execute(
            "SELECT typname::text, typcategory::text, typtype::text, typarray <> 0 FROM pg_type"
            " WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')"
            " AND typoutput <> 'array_out'::regproc ORDER BY typname"
        ).fetchall()
    checked = []
    for name, category, kind, has_array in types:
        if name in NOT_INPUT or (name == "xml" and not has_xml(postgres_url)):
            continue
        value = f'{quoted(literal_of(name, category, kind))}::pg_catalog."{name}"'
        array = f"ARRAY[{value}, NULL]" if has_array else "NULL"
        one, many, none = ask(postgres_url, f'SELECT {value}, {array}, NULL::pg_catalog."{name}"')
        assert one is not None, name
        assert none is None, name
        if has_array:
            assert many == [one, None], name
        checked.append(name)
    assert len(checked) > 70


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("1::int2", 1),
        ("9223372036854775807::int8", 9223372036854775807),
        ("1.50::numeric(10,2)", "1.50"),
        ("'NaN'::numeric", "NaN"),
        ("'-Infinity'::numeric", "-Infinity"),
        ("0.1::float8", 0.1),
        ("'NaN'::float4", "NaN"),
        ("'-Infinity'::float8", "-Infinity"),
        ("true", True),
        ("date '2026-02-28'", "2026-02-28"),
        ("date 'infinity'", "infinity"),
        ("date '0044-03-15 BC'", "0044-03-15 BC"),
        ("date '12026-01-01'", "12026-01-01"),
        ("timestamp '2026-02-28 04:05:06.7'", "2026-02-28T04:05:06.7"),
        ("timestamptz '2026-02-28 04:05:06+05:30'", "2026-02-27T22:35:06+00:00"),
        ("timestamptz '-infinity'", "-infinity"),
        ("timestamptz '0044-03-15 00:00:00+00 BC'", "0044-03-15 00:00:00+00 BC"),
        ("time '24:00:00'", "24:00:00"),
        ("timetz '04:05:06+01'", "04:05:06+01:00"),
        ("interval '1 year -2 days 03:04:05.6'", "P1Y-2DT3H4M5.6S"),
        ("uuid '123e4567-e89b-12d3-a456-426614174000'", "123e4567-e89b-12d3-a456-426614174000"),
        ("bytea '\\x00ff'", "AP8="),
        ("json '{\"a\": [1, 2.5, null]}'", {"a": [1, 2.5, None]}),
        ("jsonb '{\"a\": 1e400}'", {"a": int("1" + "0" * 400)}),
        ("json '1e400'", "1e400"),
        ("json '\"\\ud800\"'", '"\\ud800"'),
        ("json 'null'", None),
        ("(repeat('[', 500) || repeat(']', 500))::json", "[" * 500 + "]" * 500),
        ("ARRAY[[1, NULL], [3, 4]]", [[1, None], [3, 4]]),
        ("ARRAY['a\"b', 'c,d', 'NULL', '', '{x}', 'back\\slash', NULL]",
         ['a"b', "c,d", "NULL", "", "{x}", "back\\slash", None]),
        ("'{}'::int[]", []),
        ("'[0:1]={5,6}'::int[]", [5, 6]),
        ("ARRAY[box '(1,2),(3,4)', box '(5,6),(7,8)']", ["(3,4),(1,2)", "(7,8),(5,6)"]),
        ("ARRAY[json '{\"a\": \"x, y\"}']", [{"a": "x, y"}]),
        ("ARRAY['happy', 'sad']::mood[]", ["happy", "sad"]),
        ("int4range(1, 5)", {"lower": 1, "upper": 5, "bounds": "[)"}),
        ("numrange(NULL, 5.5, '[]')", {"lower": None, "upper": "5.5", "bounds": "(]"}),
        ("'empty'::int4range", {"lower": None, "upper": None, "bounds": "empty"}),
        (
            "tstzrange('2026-01-01 00:00+00', '2026-01-02 00:00+00')",
            {"lower": "2026-01-01T00:00:00+00:00", "upper": "2026-01-02T00:00:00+00:00", "bounds": "[)"},
        ),
        (
            "'{[1,3),[5,7)}'::int4multirange",
            [{"lower": 1, "upper": 3, "bounds": "[)"}, {"lower": 5, "upper": 7, "bounds": "[)"}],
        ),
        ("ROW(1, 'a b')", '(1,"a b")'),
        ("inet '10.0.0.1/8'", "10.0.0.1/8"),
        ("B'101'", "101"),
        ("point '(1,2)'", "(1,2)"),
        ("'x'::\"char\"", "x"),
        ("to_tsvector('simple', 'b a')", "'a':2 'b':1"),
    ],
)  # fmt: skip
def test_values_of_important_types_are_known(postgres_url: str, expression: str, expected: object) -> None:
    (value,) = ask(postgres_url, f"SELECT {expression}")
    assert value == expected
    assert type(value) is type(expected)


def test_domains_enums_and_composites_of_the_database_itself_are_read(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE DOMAIN price AS numeric(8,2) CHECK (value >= 0)")
        connection.execute("CREATE DOMAIN labels AS text[]")
        connection.execute("CREATE TYPE pair AS (a int, b text)")
    sql = "SELECT 3::price, ARRAY[3::price], '{x,y}'::labels, 'sad'::mood, ROW(1, 'x')::pair, ARRAY[ROW(1, 'x')::pair]"
    assert ask(postgres_url, sql) == ["3.00", ["3.00"], ["x", "y"], "sad", "(1,x)", ["(1,x)"]]


def test_xml_is_text(postgres_url: str) -> None:
    if not has_xml(postgres_url):
        pytest.skip("this PostgreSQL was built without XML")
    assert ask(postgres_url, "SELECT xml '<a/>'") == ["<a/>"]


def test_bytes_that_are_no_utf8_fail_with_a_sentence(postgres_url: str) -> None:
    name = f"targets_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'".encode())
        try:
            url = postgres_url.replace(str(admin.info.dbname), name)
            with pytest.raises(QueryFailed, match="invalid byte sequence"):
                ask(url, "SELECT convert_from('\\xff41', 'SQL_ASCII')")
            assert ask(url, "SELECT 'é'") == ["é"]
        finally:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
