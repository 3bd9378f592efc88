"""The examples' pages: what is in force and how it does, what speaks against it, switched and written by leads."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from observability.models import AuditEntry
from tests.factories import FeedbackFactory, GenerationFactory
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import DatabaseAccess, Example, ExampleUse, Generation
from text2sql.pipeline.finding import Finding
from text2sql.services.examples import example_publish, examples_judged

pytestmark = pytest.mark.django_db

CONFIRMED = {"_form_submitted": "on"}
LIST, ADD = "/admin/text2sql/example/", "/admin/text2sql/example/add/"
COUNT = "SELECT COUNT(*) AS n FROM customers"
NORTH = "SELECT COUNT(*) AS n FROM customers WHERE region = 'north'"


@pytest.fixture
def access(people: People, shop: Path) -> DatabaseAccess:
    stored_database(shop, people.sales, people.marketing, name="shop")
    return DatabaseAccess.objects.get(team=people.sales)


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def publish(access: DatabaseAccess, question: str = "How many customers are there?", sql: str = COUNT) -> Example:
    return example_publish(
        access=access, question=question, sql=sql, tables=["customers"], generation=None, actor="user:dora"
    )


def page(example: Example) -> str:
    return reverse("admin:text2sql_example_change", args=[example.pk])


def body(client: Client, path: str) -> str:
    return client.get(path).content.decode()


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def messages_of(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def listed(client: Client, query: str = "") -> list[Any]:
    return list(client.get(LIST + query).context["cl"].result_list)


def test_the_list_shows_the_newest_versions_with_their_state(alice: Client, access: DatabaseAccess) -> None:
    publish(access)
    newest = publish(access, sql=NORTH)
    off = publish(access, "Which orders are open?")
    Example.objects.filter(pk=off.pk).update(enabled=False)
    broken = publish(access, "What is the revenue?")
    finding = Finding("unknown_column", "There is no column revenue.")
    examples_judged(access=access, findings={broken.pk: finding}, actor="sync")
    assert {row.pk for row in listed(alice)} == {newest.pk, off.pk, broken.pk}
    shown = body(alice, LIST)
    assert "There is no column revenue." in shown
    assert all(state in shown for state in ("in force", "off", "broken", "user:dora", "shop", "Sales"))
    assert [row.pk for row in listed(alice, "?finding__isempty=0")] == [broken.pk]
    assert [row.pk for row in listed(alice, "?enabled__exact=0")] == [off.pk]


def test_success_counts_answers_that_were_found_and_not_rated_down(alice: Client, access: DatabaseAccess) -> None:
    example = publish(access)
    failed = Generation.Status.CANNOT_ANSWER
    for rating, values in [("", {}), ("up", {}), ("down", {}), ("", {"status": failed})]:
        generation = GenerationFactory(team=access.team, database=access.database, **values)
        ExampleUse.objects.create(example=example, generation=generation, rating=rating)
    publish(access, "What is the revenue?")
    by_question = {row.question: (row.use_count, row.success_count) for row in listed(alice)}
    assert by_question == {"How many customers are there?": (4, 2), "What is the revenue?": (0, 0)}
    assert "50%" in body(alice, page(example))


def test_the_page_leads_to_earlier_versions_and_to_where_it_came_from(alice: Client, access: DatabaseAccess) -> None:
    first = publish(access)
    generation = GenerationFactory(team=access.team, database=access.database)
    feedback = FeedbackFactory(generation=generation, comment="Only those of the north.")
    newest = example_publish(
        access=access, question="how many customers are there", sql=NORTH, tables=[], generation=generation,
        actor="user:alice",
    )  # fmt: skip
    feedback.example = newest
    feedback.save()
    shown = body(alice, page(newest))
    links = (page(first), f"/generation/{generation.pk}/change/", f"/feedback/{feedback.pk}/change/")
    assert all(link in shown for link in links)
    assert "Only those of the north." in shown
    assert 'name="sql"' not in shown
    old = body(alice, page(first))
    assert "replaced" in old
    assert "switch_o" not in old


def test_nearly_the_same_question_with_other_sql_is_shown_as_a_conflict(alice: Client, access: DatabaseAccess) -> None:
    one = publish(access)
    other = publish(access, "How many customers do we have?", NORTH)
    same = publish(access, "Customers, how many are there?", f"{COUNT} ;")  # the same but for blanks
    publish(access, "What did Ada order in May?", NORTH)
    off = publish(access, "Are there many customers?", "SELECT 1 AS n")
    Example.objects.filter(pk=off.pk).update(enabled=False)
    shown = body(alice, page(one))
    assert page(other) in shown
    assert page(same) not in shown
    assert page(off) not in shown
    conflicts = {row.question: sorted(found.question for found in row.conflicts) for row in listed(alice)}
    assert conflicts["How many customers are there?"] == ["How many customers do we have?"]
    assert conflicts["How many customers do we have?"] == [
        "Customers, how many are there?", "How many customers are there?",
    ]  # fmt: skip
    assert conflicts["What did Ada order in May?"] == []


def test_other_teams_examples_are_no_conflict(people: People, alice: Client, access: DatabaseAccess) -> None:
    publish(DatabaseAccess.objects.get(team=people.marketing), "How many customers do we have?", NORTH)
    publish(access)
    (row,) = listed(alice)
    assert row.conflicts == []


def test_a_longer_list_takes_no_more_queries(alice: Client, access: DatabaseAccess) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            alice.get(LIST)
        return len(captured)

    publish(access)
    few = queries()
    for number in range(12):
        publish(access, f"How many customers are there in region {number}?", f"{NORTH} AND id > {number}")
    assert queries() == few


def test_an_example_is_switched_off_and_on_again(alice: Client, access: DatabaseAccess) -> None:
    example = publish(access)
    assert "switch_off" in body(alice, page(example))
    assert alice.post(f"{LIST}{example.pk}/switch_off/", CONFIRMED).status_code == 302
    assert not Example.objects.get().enabled
    shown = body(alice, page(example))
    assert "switch_on" in shown
    assert "switch_off" not in shown
    assert alice.post(f"{LIST}{example.pk}/switch_on/", CONFIRMED).status_code == 302
    assert Example.objects.get().enabled
    verbs = AuditEntry.objects.filter(actor="user:alice", scope="sales").values_list("verb", flat=True)
    assert {"example.switched_off", "example.switched_on"} <= set(verbs)


def test_a_replaced_version_cannot_be_switched(alice: Client, access: DatabaseAccess) -> None:
    first = publish(access)
    publish(access, sql=NORTH)
    assert "newer version" in messages_of(alice.post(f"{LIST}{first.pk}/switch_off/", CONFIRMED))
    first.refresh_from_db()
    assert first.enabled


def test_a_lead_writes_an_example(alice: Client, access: DatabaseAccess) -> None:
    given = {
        "access": access.pk,
        "question": "How many\r\ncustomers?",
        "sql": "select count(*) as n\r\nfrom customers;",
    }
    assert alice.post(ADD, given).status_code == 302
    (example,) = Example.objects.all()
    assert (example.question, example.sql, example.tables) == ("How many\ncustomers?", COUNT, ["customers"])
    assert (example.number, example.actor, example.generation) == (1, "user:alice", None)
    assert AuditEntry.objects.get(verb="example.published").scope == "sales"
    assert "version 2" in messages_of(alice.post(ADD, given | {"sql": NORTH}))
    assert [row.sql for row in listed(alice)] == [NORTH]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("DELETE FROM customers", "SELECT"),
        ("SELECT nme FROM customers", "name"),
        ("SELECT email FROM customers", "email"),
        ("SELECT", ""),
        ("", "required"),
    ],
)
def test_sql_that_may_not_run_or_would_not_is_refused_in_the_form(
    alice: Client, access: DatabaseAccess, sql: str, told: str
) -> None:
    DatabaseAccess.objects.filter(pk=access.pk).update(hidden_columns=["customers.email"])
    refused = alice.post(ADD, {"access": access.pk, "question": "Who?", "sql": sql})
    assert told in str(errors(refused)["sql"])
    assert "Who?" in refused.content.decode()
    assert not Example.objects.exists()


def test_of_a_database_that_was_never_read_no_example_is_written(alice: Client, access: DatabaseAccess) -> None:
    access.database.catalog = None
    access.database.save()
    refused = alice.post(ADD, {"access": access.pk, "question": "Who?", "sql": COUNT})
    assert "not been read" in str(errors(refused)["access"])


def test_a_lead_meets_no_other_teams_examples(people: People, access: DatabaseAccess) -> None:
    mallory = people.signed_in(people.mallory)
    example = publish(access)
    assert listed(mallory) == []
    assert mallory.post(f"{LIST}{example.pk}/switch_off/", CONFIRMED).status_code == 404
    refused = mallory.post(ADD, {"access": access.pk, "question": "Who?", "sql": COUNT})
    assert "access" in errors(refused)
    assert f'value="{access.pk}"' not in body(mallory, ADD)
    assert Example.objects.count() == 1


def test_an_example_is_not_edited(alice: Client, access: DatabaseAccess) -> None:
    example = publish(access)
    assert alice.post(page(example), {"question": "Another?", "sql": NORTH}).status_code == 403
    example.refresh_from_db()
    assert example.sql == COUNT
    assert example.created_at > timezone.now() - timedelta(minutes=1)
