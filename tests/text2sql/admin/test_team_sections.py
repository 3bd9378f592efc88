"""A team's page in the admin: its keys, databases and what this month went for, below the form."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from teams.services.keys import key_revoke
from tests.factories import make_key
from tests.people import People
from tests.teams.ledgers import charged
from text2sql.models import DatabaseAccess
from text2sql.services.databases import database_add
from text2sql.templatetags.team_sections import MOST_KEYS

pytestmark = pytest.mark.django_db

PAGE = "/admin/teams/team/sales/change/"


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_it_names_keys_databases_and_what_this_month_went_for(alice: Client, people: People, shop: Path) -> None:
    key, _, _ = make_key(people.sales)
    database = database_add(name="crm", url=f"sqlite:///{shop}", teams=[people.sales], actor="test")
    DatabaseAccess.objects.filter(database=database).update(tables=["orders"], hidden_columns=["orders.amount"])
    charged(people.sales, "3", timezone.now(), api_key_id=key.pk, end_user="ada", database="crm")
    charged(people.sales, "1", timezone.now(), end_user="bert", database="crm")
    shown = text(alice.get(PAGE))
    for piece in (
        f"/admin/teams/apikey/{key.pk}/change/", f"/admin/text2sql/database/{database.pk}/change/", "1 table,",
        "1 column hidden", f"test (t2s_{key.prefix})", "people, without a key", "ada", "bert", "$4.0000", "75 %",
    ):  # fmt: skip
        assert piece in shown, piece


def test_nothing_of_another_team_stands_there(alice: Client, people: People, shop: Path) -> None:
    key, _, _ = make_key(people.marketing)
    database_add(name="secret_db", url=f"sqlite:///{shop}", teams=[people.marketing], actor="test")
    charged(people.marketing, "77", timezone.now(), api_key_id=key.pk, end_user="mallory", database="secret_db")
    shown = text(alice.get(PAGE))
    for other in ("mallory", "secret_db", key.prefix, "$77"):
        assert other not in shown, other
    assert "No database is open to this team." in shown
    assert "This team has no API key yet." in shown


def test_valid_keys_come_first_and_the_rest_is_a_link(alice: Client, people: People) -> None:
    keys = [make_key(people.sales)[0] for _ in range(MOST_KEYS + 2)]
    key_revoke(key=keys[0], actor="test")
    shown = text(alice.get(PAGE))
    assert str(keys[0].pk) not in shown
    assert "2 more" in shown


def test_a_new_team_is_asked_for_its_terms_only(people: People) -> None:
    assert "This month" not in text(people.signed_in(people.root).get("/admin/teams/team/add/"))


def test_much_takes_no_more_queries_than_little(
    alice: Client, people: People, shop: Path, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        database_add(name=f"crm_{number}", url=f"sqlite:///{shop}", teams=[people.sales], actor="test")
        charged(people.sales, "1", timezone.now(), end_user=f"ada {number}", database=f"crm_{number}")
    with django_assert_max_num_queries(25):
        alice.get(PAGE)
