"""Examples that a change of the target or of a team's view breaks are found, told once, and mended the same way."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from django.db import connection
from django.test import Client
from django.urls import reverse

from observability.models import Alert, AlertDelivery, AuditEntry
from teams.models import Team
from tests.factories import make_database
from tests.people import People, make_people
from text2sql.models import Database, DatabaseAccess, Example
from text2sql.services.example_checks import examples_check
from text2sql.services.examples import example_publish, example_switch
from text2sql.services.syncing import schema_sync

pytestmark = pytest.mark.django_db(transaction=True)

REGIONS = "SELECT region, count(*) AS n FROM customers GROUP BY region"
COUNT = "SELECT count(*) AS n FROM customers"


@pytest.fixture
def crowd(transactional_db: None) -> People:
    return make_people()


@pytest.fixture
def database(crowd: People, shop: Path) -> Database:
    return make_database(shop, crowd.sales, crowd.marketing)


def publish(team: Team, question: str, sql: str) -> Example:
    access = DatabaseAccess.objects.get(team=team, database__name="shop")
    return example_publish(access=access, question=question, sql=sql, tables=[], generation=None, actor="user:alice")


def change(shop: Path, database: Database, sql: str) -> None:
    with closing(sqlite3.connect(shop)) as target:
        target.executescript(sql)
    assert schema_sync(database.pk) is not None


def broken() -> set[str]:
    return set(Example.objects.filter(finding__isnull=False).values_list("question", flat=True))


def save_access(root: Client, database: Database, team: Team, **values: str) -> Any:
    """The database's page as an admin sends it, with this team's view of it changed."""
    form = {"name": "shop", "row_cap": "1000", "timeout_seconds": "30", "context_tokens": "20000", "share_text": "on"}
    accesses = database.accesses.order_by("pk")
    form |= {"accesses-TOTAL_FORMS": str(len(accesses)), "accesses-INITIAL_FORMS": str(len(accesses))}
    for place, access in enumerate(accesses):
        row: dict[str, Any] = {"id": access.pk, "database": database.pk, "team": access.team_id}
        row |= dict.fromkeys(("tables", "hidden_columns", "row_filters"), "")
        row |= values if access.team_id == team.pk else {}
        form |= {f"accesses-{place}-{name}": str(value) for name, value in row.items()}
    return root.post(reverse("admin:text2sql_database_change", args=[database.pk]), form)


def test_the_sync_finds_what_a_changed_schema_breaks_and_what_runs_again(
    crowd: People, shop: Path, database: Database
) -> None:
    publish(crowd.sales, "How many customers are in each region?", REGIONS)
    publish(crowd.sales, "How many customers are there?", COUNT)
    access = DatabaseAccess.objects.get(team=crowd.sales)
    change(shop, database, "ALTER TABLE customers RENAME COLUMN region TO area")
    assert broken() == {"How many customers are in each region?"}
    assert "region" in str(Example.objects.get(finding__isnull=False).finding)
    (alert,) = Alert.objects.all()
    assert (alert.kind, alert.scope, alert.level) == ("examples_broken", "sales", "warning")
    assert alert.subject == "shop: 1 approved example of Sales would not run any more"
    assert "- How many customers are in each region?: " in alert.body
    assert AlertDelivery.objects.get(alert=alert).recipients == ["alice@example.com", "root@example.com"]
    assert AuditEntry.objects.get(verb="example.broken").actor == "sync"
    moved = DatabaseAccess.objects.get(pk=access.pk).examples_number
    assert moved == access.examples_number + 1
    schema_sync(database.pk)  # nothing has changed: nothing is told, and no cached answer is lost
    assert Alert.objects.count() == 1
    assert DatabaseAccess.objects.get(pk=access.pk).examples_number == moved
    change(shop, database, "ALTER TABLE customers RENAME COLUMN area TO region")
    assert broken() == set()
    assert Alert.objects.count() == 1
    assert AuditEntry.objects.filter(verb="example.mended").count() == 1
    change(shop, database, "ALTER TABLE customers RENAME COLUMN region TO area")
    assert Alert.objects.count() == 2


def test_each_team_is_told_of_its_own_examples_only(crowd: People, shop: Path, database: Database) -> None:
    publish(crowd.sales, "Which regions does sales know?", REGIONS)
    publish(crowd.marketing, "Which regions does marketing know?", REGIONS)
    change(shop, database, "ALTER TABLE customers DROP COLUMN region")
    bodies = {alert.scope: alert.body for alert in Alert.objects.all()}
    assert bodies.keys() == {"sales", "marketing"}
    assert "marketing" not in bodies["sales"]
    assert "sales" not in bodies["marketing"]
    told = {delivery.alert.scope: delivery.recipients for delivery in AlertDelivery.objects.all()}
    assert told["marketing"] == ["mallory@example.com", "root@example.com"]


def test_what_is_switched_off_or_replaced_is_not_told(crowd: People, shop: Path, database: Database) -> None:
    off = publish(crowd.sales, "Which regions are there?", REGIONS)
    example_switch(example=off, enabled=False, actor="user:alice")
    publish(crowd.sales, "How many customers are there?", REGIONS)
    publish(crowd.sales, "How many customers are there?", COUNT)
    change(shop, database, "ALTER TABLE customers DROP COLUMN region")
    assert broken() == {"Which regions are there?"}
    assert not Alert.objects.exists()


def test_of_a_database_that_shares_no_text_the_alert_quotes_nothing(
    crowd: People, shop: Path, database: Database
) -> None:
    Database.objects.update(share_text=False)
    publish(crowd.sales, "Which regions are there?", REGIONS)
    change(shop, database, "ALTER TABLE customers DROP COLUMN region")
    (alert,) = Alert.objects.all()
    assert "region" not in alert.body


def test_hiding_a_column_breaks_the_teams_examples_of_it_and_showing_it_mends_them(
    crowd: People, database: Database
) -> None:
    publish(crowd.sales, "Which regions are there?", REGIONS)
    publish(crowd.marketing, "Which regions are there?", REGIONS)
    root = crowd.signed_in(crowd.root)
    assert save_access(root, database, crowd.sales, hidden_columns="customers.region").status_code == 302
    assert list(Example.objects.filter(finding__isnull=False).values_list("access__team", flat=True)) == ["sales"]
    assert [alert.scope for alert in Alert.objects.all()] == ["sales"]
    assert AuditEntry.objects.get(verb="example.broken").actor == "user:root"
    assert save_access(root, database, crowd.sales, tables="orders").status_code == 302
    assert broken()
    assert save_access(root, database, crowd.sales).status_code == 302
    assert broken() == set()


def test_the_target_itself_is_not_asked(crowd: People, shop: Path, database: Database) -> None:
    publish(crowd.sales, "Which regions are there?", REGIONS)
    shop.unlink()
    assert examples_check(database.pk, actor="test") == 0
    assert broken() == set()


def test_an_example_that_nobody_can_read_is_broken_and_fails_nothing_else(
    crowd: People, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(crowd.sales, "What ails the parser?", "SELECT region AS poison FROM customers")
    publish(crowd.sales, "How many customers are there?", COUNT)
    parse = sqlglot.Parser.parse

    def fail(self: Any, tokens: Any, sql: Any = None) -> Any:
        if "poison" in sql:
            raise ValueError("as nobody foresaw")
        return parse(self, tokens, sql)

    monkeypatch.setattr(sqlglot.Parser, "parse", fail)
    assert schema_sync(database.pk) is not None
    assert broken() == {"What ails the parser?"}


@pytest.fixture
def unwritable() -> Iterator[None]:
    """PostgreSQL refuses to note findings of what sales has approved."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$BEGIN IF OLD.question = 'Sales?' THEN RAISE 'no room'; END IF; RETURN NEW; END$$;"
            "CREATE TRIGGER refuse BEFORE UPDATE ON text2sql_example FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER refuse ON text2sql_example; DROP FUNCTION refuse()")


@pytest.mark.usefixtures("unwritable")
def test_a_finding_that_cannot_be_stored_fails_neither_the_sync_nor_other_teams(
    crowd: People, shop: Path, database: Database
) -> None:
    publish(crowd.sales, "Sales?", REGIONS)
    publish(crowd.marketing, "Marketing?", REGIONS)
    change(shop, database, "ALTER TABLE customers DROP COLUMN region")
    assert broken() == {"Marketing?"}
    assert [alert.scope for alert in Alert.objects.all()] == ["marketing"]  # no alert of what is not noted
    database.refresh_from_db()
    assert database.sync_state == Database.SyncState.DONE
