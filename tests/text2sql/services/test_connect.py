"""`manage.py connect URL --team T`: tested, stored, read, with first questions, in one go."""

import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg.conninfo import make_conninfo

from tests.factories import TeamFactory, make_key
from tests.people import make_people
from text2sql.models import Database
from text2sql.services.generation import Question
from text2sql.services.targets import target_find

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def target_dsn() -> Iterator[str]:
    """A database of its own on the server of DATABASE_URL, with one table and a reader that may only SELECT."""
    admin_dsn = os.environ.get("DATABASE_URL")
    if not admin_dsn:
        pytest.skip("DATABASE_URL is not set: there is no PostgreSQL server to make a target on")
    name = f"connecttest_{uuid4().hex[:10]}"
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        admin.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'only-for-tests'")
    dsn = make_conninfo(admin_dsn, dbname=name)
    try:
        with psycopg.connect(dsn, autocommit=True) as target:
            target.execute("CREATE TABLE invoices (id int PRIMARY KEY, total numeric(10,2), billed_on date)")
            target.execute("COMMENT ON TABLE invoices IS 'What was billed'")
            target.execute(f"GRANT SELECT ON invoices TO {name}")
        yield dsn
    finally:
        with psycopg.connect(admin_dsn, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
            admin.execute(f"DROP ROLE {name}")


def url_of(dsn: str, *, user: str) -> str:
    place = psycopg.conninfo.conninfo_to_dict(dsn)
    host, port = place.get("host", ""), place.get("port", "")
    tail = "&".join(f"{k}={v}" for k, v in (("host", host), ("port", port)) if v)
    return f"postgresql://{user}@/{place['dbname']}?{tail}"


def test_a_sqlite_file_is_connected_and_can_be_asked(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    team = TeamFactory(slug="sales")
    call_command("connect", f"sqlite:///{shop}", team="sales", description="A shop")
    out = capsys.readouterr().out
    assert "Connected to shop.sqlite" in out
    assert "Stored as shop: 2 tables read" in out
    database = Database.objects.get()
    assert (database.name, database.description, database.sync_state) == ("shop", "A shop", "done")
    for question in database.starter_questions:
        assert question in out
    target = target_find(principal=make_key(team)[2], team_id="sales", name="shop")
    assert target.schema_version == database.catalog.schema_version if database.catalog else None
    assert Question("sales", "shop", "?").database == target.name


def test_a_postgresql_database_is_connected_as_its_reader(target_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    TeamFactory(slug="sales")
    role = str(psycopg.conninfo.conninfo_to_dict(target_dsn)["dbname"])
    call_command("connect", url_of(target_dsn, user=f"{role}:only-for-tests"), team="sales", name="billing")
    printed = capsys.readouterr()
    assert f"Connected to {role} (postgres " in printed.out
    assert "Stored as billing: 1 tables read" in printed.out
    assert "How many invoices were there in each month" in printed.out
    assert "only-for-tests" not in printed.out + printed.err
    catalog = Database.objects.get(name="billing").catalog
    assert catalog is not None
    (table,) = catalog.schema.tables
    assert (table.name, table.comment) == ("invoices", "What was billed")
    assert [column.type for column in table.columns] == ["integer", "numeric(10,2)", "date"]


def test_a_role_that_may_do_more_than_read_is_warned_about(target_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    TeamFactory(slug="sales")
    call_command("connect", url_of(target_dsn, user="postgres"), team="sales", name="billing")
    assert "Warning: The role is a superuser" in capsys.readouterr().err


def test_what_cannot_be_connected_is_one_sentence_and_stores_nothing(shop: Path) -> None:
    make_people()
    url = f"sqlite:///{shop}"
    for arguments, said in [
        ((url, "nobody", None), r"no team 'nobody'\. Known: marketing, sales"),
        ((f"sqlite:///{shop.parent}/none.sqlite", "sales", None), "no SQLite file"),
        (("sqlite:////etc/passwd", "sales", None), "FILE_FOLDERS"),
        (("oracle://root@localhost/db", "sales", None), "not supported"),
        (("postgresql://u:hidden@127.0.0.1:1/db", "sales", "x"), "cannot be reached"),
        ((url, "sales", "Not A Name"), "cannot be its name"),
    ]:
        where, team, name = arguments
        with pytest.raises(CommandError, match=said) as raised:
            call_command("connect", where, team=team, name=name)
        assert "hidden" not in str(raised.value)
    assert not Database.objects.exists()


def test_a_name_that_is_taken_is_refused_before_anything_is_stored(shop: Path) -> None:
    TeamFactory(slug="sales")
    call_command("connect", f"sqlite:///{shop}", team="sales")
    with pytest.raises(CommandError, match="--name"):
        call_command("connect", f"sqlite:///{shop}", team="sales")
    assert Database.objects.count() == 1
