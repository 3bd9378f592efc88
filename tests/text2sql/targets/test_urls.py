"""The URL of a target: accepted, normalised, and shown without its secrets."""

import pytest

from text2sql.targets.errors import UrlRejected
from text2sql.targets.urls import target_dialect, target_url_normalize, target_url_redacted


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgres_becomes_the_same_url(scheme: str) -> None:
    url = f"{scheme}://ann:p%40ss@db.example:5432/shop"
    assert target_dialect(url) == "postgres"
    assert target_url_normalize(url) == "postgresql+psycopg://ann:p%40ss@db.example:5432/shop"


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_every_spelling_of_mysql_becomes_the_same_url(scheme: str) -> None:
    url = f"{scheme}://ann:p%40ss@db.example:3306/shop?ssl_ca=/etc/ca.pem"
    assert target_dialect(url) == "mysql"
    assert target_url_normalize(url) == "mysql+pymysql://ann:p%40ss@db.example:3306/shop?ssl_ca=%2Fetc%2Fca.pem"


def test_paths_of_files_are_accepted() -> None:
    assert target_dialect("sqlite:////data/shop.sqlite") == "sqlite"
    assert target_dialect("duckdb:////data/shop.duckdb") == "duckdb"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("snowflake://ann:hush@account/db", "Snowflake"),
        ("bigquery://project/set", "BigQuery"),
        ("mssql+pyodbc://ann:hush@db/shop", "SQL Server"),
    ],
)
def test_what_was_never_tried_against_a_server_says_so(url: str, name: str) -> None:
    with pytest.raises(UrlRejected, match=f"{name} is not enabled: .* not tested against a server") as rejected:
        target_url_normalize(url)
    assert "hush" not in str(rejected.value)


@pytest.mark.parametrize(
    "url",
    [
        "oracle://ann:hush@db/shop",
        "mysql://ann:hush@db",
        "mysql://ann:hush@db/shop?local_infile=1",
        "mysql://ann:hush@db/shop?read_default_file=/etc/hush.cnf",
        "mysql://ann:hush@db/shop?init_command=hush",
        "mysql+mysqldb://ann:hush@db/shop",
        "duckdb://",
        "duckdb:///:memory:",
        "duckdb:///:default:",
        "duckdb://md/hush",
        "duckdb:////data/shop.duckdb?access_mode=read_write",
        "http://ann:hush@db/shop",
        "not a url with hush",
        "",
        "postgresql://ann:hush@db:port/shop",
        "postgresql://ann:hush@db",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:///file:hush?mode=rwc&uri=true",
        "sqlite:////data/shop.sqlite?mode=rwc",
    ],
)
def test_anything_else_is_rejected_with_a_sentence_that_does_not_repeat_it(url: str) -> None:
    with pytest.raises(UrlRejected) as rejected:
        target_url_normalize(url)
    assert rejected.value.code == "url_rejected"
    assert "hush" not in str(rejected.value)
    assert str(rejected.value).endswith(".")


def test_an_unsupported_dialect_names_the_supported_ones() -> None:
    with pytest.raises(UrlRejected, match=r"postgresql://.*sqlite:///"):
        target_dialect("oracle://ann@db/shop")


def test_no_password_is_shown() -> None:
    shown = target_url_redacted("postgres://ann:hush1@db/shop?sslmode=require&password=hush2&sslpassword=hush3")
    assert "hush" not in shown
    assert shown.startswith("postgresql+psycopg://ann:***@db/shop?sslmode=require&")
    assert "password=***" in shown


def test_a_url_without_a_password_is_shown_as_it_is() -> None:
    assert target_url_redacted("postgresql://ann@db/shop") == "postgresql+psycopg://ann@db/shop"
