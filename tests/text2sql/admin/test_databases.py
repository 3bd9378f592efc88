"""A database's page: what bounds a question, which rows a team sees, and drafts of descriptions."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from observability.models import AuditEntry
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import Database, DatabaseAccess, DraftRun, SchemaNote
from text2sql.services.databases import database_add

pytestmark = pytest.mark.django_db

CONFIRMED = {"_form_submitted": "on"}


@pytest.fixture
def database(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, name="shop")


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


def page(database: Database) -> str:
    return reverse("admin:text2sql_database_change", args=[database.pk])


def save(client: Client, database: Database, row_filters: str = "", **values: str) -> Any:
    access = DatabaseAccess.objects.get(database=database)
    row = {"id": access.pk, "database": database.pk, "team": access.team_id, "row_filters": row_filters}
    row |= {name: values.pop(name) for name in ("tables", "hidden_columns") if name in values}
    form = {
        "name": database.name, "row_cap": "7", "timeout_seconds": "5", "context_tokens": "20000",
        "accesses-TOTAL_FORMS": "1", "accesses-INITIAL_FORMS": "1",
        **{f"accesses-0-{name}": value for name, value in row.items()}, **values,
    }  # fmt: skip
    return client.post(page(database), form)


def filters_of(database: Database) -> dict[str, str]:
    return dict(DatabaseAccess.objects.get(database=database).row_filters)


def refused(answer: Any) -> list[str]:
    (formset,) = answer.context["inline_admin_formsets"]
    (errors,) = formset.formset.errors
    return list(errors.get("row_filters", []))


def test_an_admin_sets_what_bounds_a_question(root: Client, database: Database) -> None:
    functions = "Net_Of_VAT\nsales.week_of"
    values = {"context_tokens": "5000", "cost_ceiling": "900", "allowed_functions": functions}
    assert save(root, database, **values).status_code == 302
    database.refresh_from_db()
    assert (database.context_tokens, database.cost_ceiling) == (5000, 900)
    assert database.allowed_functions == ["net_of_vat", "sales.week_of"]
    entry = AuditEntry.objects.get(verb="database.changed", actor="user:root", target="shop")
    told = {"context_tokens": 5000, "cost_ceiling": 900, "allowed_functions": ["net_of_vat", "sales.week_of"]}
    assert entry.data["now"].items() >= told.items()
    assert (entry.data["was"]["cost_ceiling"], entry.data["was"]["allowed_functions"]) == (None, [])
    assert entry.data["was"].keys() == entry.data["now"].keys()
    assert save(root, database, cost_ceiling="", allowed_functions="").status_code == 302
    database.refresh_from_db()
    assert (database.cost_ceiling, database.allowed_functions) == (None, [])


@pytest.mark.parametrize("wrong", ["drop table", "f()", "a;b", "1f", "a..b", "é"])
def test_only_names_are_functions(wrong: str, root: Client, database: Database) -> None:
    errors = save(root, database, allowed_functions=wrong).context["adminform"].form.errors
    assert errors["allowed_functions"] == [f"Not a function's name: {wrong}."]


def test_a_teams_rows_are_filtered_also_by_a_column_that_it_does_not_see(root: Client, database: Database) -> None:
    told = "customers: email LIKE '%@example.com'\n orders: amount > 5 AND ordered_on >= '2026-01-01' "
    assert save(root, database, told, hidden_columns="customers.email").status_code == 302
    assert filters_of(database) == {
        "customers": "email LIKE '%@example.com'", "orders": "amount > 5 AND ordered_on >= '2026-01-01'",
    }  # fmt: skip
    entry = AuditEntry.objects.get(verb="access.changed")
    assert (entry.actor, entry.target, entry.scope) == ("user:root", "shop", "sales")
    assert entry.data["was"] == {"hidden_columns": [], "row_filters": {}}
    assert entry.data["now"] == {"hidden_columns": ["customers.email"], "row_filters": filters_of(database)}
    shown = root.get(page(database)).content.decode()
    assert "orders: amount &gt; 5 AND ordered_on" in shown
    assert save(root, database, "").status_code == 302
    assert filters_of(database) == {}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("custmers: id = 1", "Not in this database: custmers."),
        ("customers id = 1", "Not a table, a colon and a condition: customers id = 1"),
        ("customers:", "Not a table, a colon and a condition: customers:"),
        ("customers: id = 1\ncustomers: id = 2", "customers is named twice; join its conditions."),
        ("orders: id = 1", "The team does not see this table: orders."),
        ("customers: no_column = 1", "no_column"),
        ("customers: id = 1) OR (1 = 1", "cannot be used"),
        ("customers: id IN (SELECT customer_id FROM orders)", "cannot be used"),
        ("customers: readfile('/etc/passwd') = ''", "readfile"),
        ("customers: id = 1; DROP TABLE orders", "cannot be used"),
        ("customers: id = 1 GROUP BY id", "cannot be used"),
        ("customers: 1 = 1) -- ", "cannot be used"),
    ],
)
def test_a_filter_that_cannot_be_used_is_not_saved(told: str, why: str, root: Client, database: Database) -> None:
    (error,) = refused(save(root, database, told, tables="customers"))
    assert why in error
    assert filters_of(database) == {}


def test_filters_wait_for_the_tables(root: Client, people: People, shop: Path) -> None:
    unread = database_add(name="unread", url=f"sqlite:///{shop}", teams=[people.sales], actor="test")
    assert refused(save(root, unread, "customers: id = 1")) == [
        "Its tables have not been read yet; set filters once they are."
    ]


def test_a_lead_sees_the_filters_of_the_own_team(people: People, root: Client, database: Database) -> None:
    save(root, database, "customers: region = 'north'")
    assert (
        "customers: region = &#x27;north&#x27;" in people.signed_in(people.alice).get(page(database)).content.decode()
    )


def draft(client: Client, database: Database, team: str) -> Any:
    return client.post(f"/admin/text2sql/database/{database.pk}/draft/", {**CONFIRMED, "team": team})


@pytest.mark.parametrize("who", ["root", "alice"])
def test_drafts_are_asked_for_at_a_teams_expense(who: str, people: People, database: Database) -> None:
    client = people.signed_in(getattr(people, who))
    assert draft(client, database, "sales").status_code == 302
    run = DraftRun.objects.get()
    assert (run.team_id, run.actor, run.state) == ("sales", f"user:{who}", "pending")
    assert AuditEntry.objects.get(verb="drafts.requested").scope == "sales"
    assert "waiting, 0 drafted, at the expense of Sales." in client.get(page(database)).content.decode()
    DraftRun.objects.update(state="failed", drafted=3, last_error="The budget is spent.")
    shown = client.get(page(database)).content.decode()
    assert "failed, 3 drafted, at the expense of Sales. The budget is spent." in shown


def test_a_team_pays_only_for_its_databases_and_only_its_lead_says_so(
    people: People, root: Client, database: Database
) -> None:
    assert draft(root, database, "marketing").status_code == 200  # the dialog again, with an error
    DatabaseAccess.objects.create(team=people.marketing, database=database)
    mallory = people.signed_in(people.mallory)
    assert draft(mallory, database, "sales").status_code == 200
    assert not DraftRun.objects.exists()
    assert "Sales" not in mallory.get(f"/admin/text2sql/database/{database.pk}/draft/").content.decode()
    draft(root, database, "sales")
    shown = mallory.get(page(database)).content.decode()
    assert "none yet" in shown
    assert "Sales" not in shown


def test_an_admin_gets_from_the_database_to_its_drafts(root: Client, database: Database) -> None:
    SchemaNote.objects.create(database=database, table="customers", draft="A buyer.")
    listed = f"/admin/text2sql/schemanote/?database__id__exact={database.pk}"
    shown = root.get(page(database)).content.decode()
    assert f"{listed}&amp;draft__isempty=0" in shown
    assert root.get(f"{listed}&draft__isempty=0").context["cl"].queryset.count() == 1
