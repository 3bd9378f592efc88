"""Values of columns that have few of them."""

import duckdb
import pytest

from text2sql.targets.errors import TargetTimeout
from text2sql.targets.sample import sample_values

KINDS = [
    ("postgres_url", "stock.Item Types", "order"),
    ("sqlite_url", "order lines", "line"),
    ("duckdb_url", "stock.Item Types", "order"),
    pytest.param("mysql_url", "secrets", "word", marks=pytest.mark.services),
]


@pytest.mark.parametrize(("fixture", "place", "field"), KINDS[:3])
def test_names_that_need_quotes_are_quoted(
    request: pytest.FixtureRequest, fixture: str, place: str, field: str
) -> None:
    url = str(request.getfixturevalue(fixture))
    assert sample_values(url, [(place, field)], timeout=20) == {(place, field): []}


@pytest.mark.parametrize(("fixture", "place", "field"), KINDS)
def test_many_values_are_not_shown_and_what_is_gone_is_left_out(
    request: pytest.FixtureRequest, fixture: str, place: str, field: str
) -> None:
    url = str(request.getfixturevalue(fixture))
    found = sample_values(url, [("customers", "gone"), ("customers", "name"), (place, field)], timeout=20)
    few = ["Ann 100%", "Bob", "Cid"] if fixture == "sqlite_url" else []
    assert found == {("customers", "name"): few, (place, field): []}


def test_few_values_come_as_text_sorted_and_without_null(duckdb_url: str) -> None:
    with duckdb.connect(duckdb_url.removeprefix("duckdb:///")) as connection:
        connection.execute('CREATE TABLE flags ("50 %" VARCHAR, ok BOOLEAN)')
        connection.execute("INSERT INTO flags VALUES ('b', true), ('a', NULL), (NULL, false), ('b', true)")
    found = sample_values(duckdb_url, [("flags", "50 %"), ("flags", "ok")], timeout=20)
    assert found == {("flags", "50 %"): ["a", "b"], ("flags", "ok"): ["false", "true"]}


def test_the_time_is_for_all_together(sqlite_url: str) -> None:
    with pytest.raises(TargetTimeout):
        sample_values(sqlite_url, [("customers", "name")], timeout=0)
