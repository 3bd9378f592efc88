"""What Claude is told of tables and columns: written by admins, for names that exist."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from observability.models import AuditEntry
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import Database, SchemaNote

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/text2sql/schemanote/", "/admin/text2sql/schemanote/add/"


@pytest.fixture
def database(people: People, shop: Path) -> Database:
    return stored_database(shop, people.sales, name="shop")


@pytest.fixture
def root(people: People) -> Client:
    return people.signed_in(people.root)


def audited(verb: str) -> AuditEntry:
    return AuditEntry.objects.get(verb=verb, target="shop", actor="user:root")


def add(root: Client, database: Database, **values: Any) -> Any:
    return root.post(ADD, {"database": database.pk, "table": "customers", "text": "Who buys.", **values})


def test_an_admin_describes_a_table_and_shows_a_columns_values(root: Client, database: Database) -> None:
    assert add(root, database).status_code == 302
    assert add(root, database, column="region", text="", is_sampled="on").status_code == 302
    assert [str(note) for note in SchemaNote.objects.all()] == ["customers", "customers.region"]
    database.refresh_from_db()
    assert database.notes_version
    assert sorted(
        (entry.data["name"], entry.data["now"]["is_sampled"]) for entry in AuditEntry.objects.filter(actor="user:root")
    ) == [("customers", False), ("customers.region", True)]


@pytest.mark.parametrize(
    ("values", "field", "told"),
    [
        ({"table": "custmers"}, "table", "Not in this database: custmers. Closest: customers."),
        ({"table": "xyz"}, "table", "Not in this database: xyz."),
        ({"column": "regoin"}, "column", "Not in this database: regoin. Closest: region."),
        ({"column": "amount"}, "column", "Not in this database: amount."),
        ({"is_sampled": "on"}, "is_sampled", "Only a column has values."),
        ({"text": "x" * 501}, "text", "Ensure this value has at most 500 characters (it has 501)."),
    ],
)
def test_a_name_that_the_catalog_has_not_is_refused(
    values: dict[str, str], field: str, told: str, root: Client, database: Database
) -> None:
    assert add(root, database, **values).context["adminform"].form.errors[field] == [told]
    assert not SchemaNote.objects.exists()


def test_a_table_is_described_once(root: Client, database: Database) -> None:
    add(root, database)
    assert add(root, database).context["adminform"].form.errors
    assert SchemaNote.objects.count() == 1


def test_the_form_offers_the_catalogs_names(root: Client, database: Database) -> None:
    names, key = f"{LIST}names/", str(database.pk)
    assert root.get(names, {"database": key}).json() == {"names": ["customers", "orders"]}
    columns = root.get(names, {"database": key, "table": "customers"}).json()["names"]
    assert columns == ["id", "name", "email", "region"]
    assert root.get(names, {"database": key, "table": "no"}).json() == {"names": []}
    for wrong in ("", "x", "00000000-0000-0000-0000-000000000000"):
        assert root.get(names, {"database": wrong}).status_code == 404


def test_a_description_is_changed_and_settles_its_draft(root: Client, database: Database) -> None:
    note = SchemaNote.objects.create(database=database, table="customers", draft="<b>A buyer.</b>")
    page = f"{LIST}{note.pk}/change/"
    shown = root.get(page).content.decode()
    assert "&lt;b&gt;A buyer.&lt;/b&gt;" in shown
    assert 'name="table"' not in shown
    assert root.post(page, {"text": "One row for each buyer."}).status_code == 302
    note.refresh_from_db()
    assert (note.text, note.draft) == ("One row for each buyer.", "")
    assert audited("description.changed").data == {
        "name": "customers", "was": {"text": ""}, "now": {"text": "One row for each buyer."},
    }  # fmt: skip


def test_values_are_read_only_and_go_with_their_switch(root: Client, database: Database) -> None:
    note = SchemaNote.objects.create(
        database=database, table="customers", column="region", is_sampled=True, samples=["north", "<i>"]
    )
    page = f"{LIST}{note.pk}/change/"
    assert "<code>north</code>, <code>&lt;i&gt;</code>" in root.get(page).content.decode()
    root.post(page, {"text": "", "samples": "mine", "is_sampled": "on"})
    assert SchemaNote.objects.get().samples == ["north", "<i>"]
    root.post(page, {"text": ""})
    assert SchemaNote.objects.get().samples == []


def test_chosen_drafts_are_taken_over(root: Client, database: Database) -> None:
    drafted = SchemaNote.objects.create(database=database, table="customers", draft="A buyer.")
    plain = SchemaNote.objects.create(database=database, table="orders", text="An order.")
    left = SchemaNote.objects.create(database=database, table="orders", column="id", draft="A number.")
    form = {"action": "take_drafts", "_selected_action": [drafted.pk, plain.pk], "index": "0"}
    answer = root.post(LIST, form, follow=True).content.decode()
    assert "1 draft taken over. 1 had none." in answer
    told = list(SchemaNote.objects.values_list("text", "draft"))
    assert told == [("A buyer.", ""), ("An order.", ""), ("", left.draft)]
    assert audited("drafts.taken").data == {"was": {"customers": ""}, "now": {"customers": "A buyer."}}


@pytest.mark.parametrize("selected", [True, False])
def test_descriptions_are_deleted_with_an_entry(root: Client, database: Database, selected: bool) -> None:
    add(root, database)
    note = SchemaNote.objects.get()
    if selected:
        root.post(LIST, {"action": "delete_selected", "_selected_action": [note.pk], "post": "yes"})
    else:
        root.post(f"{LIST}{note.pk}/delete/", {"post": "yes"})
    assert not SchemaNote.objects.exists()
    entry = audited("description.deleted")
    assert (entry.data["name"], entry.data["was"]["text"], entry.data["now"]) == ("customers", "Who buys.", {})
    database.refresh_from_db()
    assert database.notes_version == ""


def test_the_list_is_filtered_and_searched(root: Client, database: Database) -> None:
    SchemaNote.objects.create(database=database, table="customers", draft="A buyer.")
    SchemaNote.objects.create(database=database, table="orders", text="An order.")
    SchemaNote.objects.create(database=database, table="orders", column="amount", is_sampled=True)
    for query, names in [
        ("draft__isempty=0", ["customers"]),
        ("is_sampled__exact=1", ["orders.amount"]),
        ("q=order", ["orders", "orders.amount"]),
        (f"database__id__exact={database.pk}&draft__isempty=1", ["orders", "orders.amount"]),
    ]:
        found = root.get(f"{LIST}?{query}").context["cl"].queryset
        assert sorted(map(str, found)) == names
    form = root.get(f"{ADD}?_changelist_filters=database__id__exact%3D{database.pk}").content.decode()
    assert f'<option value="{database.pk}" selected>' in form
