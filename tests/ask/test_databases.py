"""Adding a database on the page: by leads and admins only, tried out first, its URL told to nobody."""

import json
import re
import uuid
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings

from observability.models import AuditEntry
from teams.models import Membership, Team
from tests.ask.conftest import BASE, Browser, Place
from tests.factories import MembershipFactory, make_database
from tests.text2sql.targets.mariadb import MYSQL_SALES, MariaDb, temporary_mariadb
from text2sql.models import Database, DatabaseAccess
from text2sql.services.databases import database_url, database_url_set
from text2sql.services.starters import MOST_STARTERS
from text2sql.services.syncing import syncs_run

PASSWORD = "right-password"  # of the test's own server
ADD = "/ask/add/"


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDb]:
    with temporary_mariadb() as server:
        yield server


@pytest.fixture(scope="module")
def sales_url(mariadb: MariaDb) -> Iterator[str]:
    """Over TCP, of a role that may only read."""
    with mariadb.database(MYSQL_SALES) as name:
        role = f"reader_{uuid.uuid4().hex[:8]}"
        mariadb.execute(f"CREATE USER {role} IDENTIFIED BY '{PASSWORD}'; GRANT SELECT ON {name}.* TO {role}")
        yield mariadb.url(name, user=role, password=PASSWORD)
        mariadb.execute(f"DROP USER {role}")


@pytest.fixture(autouse=True)
def hosts(settings: Settings) -> None:
    settings.LEAD_DATABASE_HOSTS = ["127.0.0.1"]


@pytest.fixture
def root(place: Place) -> Browser:
    return Browser(place.people.root)


def post(browser: Browser, path: str, **fields: Any) -> Any:
    return browser.client.post(path, fields, headers={"X-CSRFToken": "t" * 32})


def add(browser: Browser, url: str, team: str = "sales", name: str = "orders_db", **fields: str) -> Any:
    return post(browser, ADD, team=team, name=name, url=url, **fields)


def errors(answer: Any) -> dict[str, str]:
    """What is said beside each field."""
    assert answer.status_code == 200
    shown = answer.content.decode()
    found = re.findall(r'<ul class="errorlist" id="id_(\w+)_error">(.*?)</ul>', shown, re.DOTALL)
    return {name: unescape(re.sub(r"<[^>]+>", " ", text)).strip() for name, text in found}


def questions(answer: Any) -> list[str]:
    return [
        unescape(text) for text in re.findall(r'<textarea name="question"[^>]*>\n?([^<]*)<', answer.content.decode())
    ]


def test_a_lead_adds_a_database_in_three_steps(place: Place, sales_url: str) -> None:
    added = add(place.alice, sales_url, description="What was ordered.")
    assert (added.status_code, added.headers["Location"]) == (302, "/ask/sales/orders_db/reading/")
    database = Database.objects.get(name="orders_db")
    assert database_url(database) == sales_url.replace("mysql:", "mysql+pymysql:")
    assert (database.description, database.sync_state) == ("What was ordered.", "requested")
    assert [access.team_id for access in DatabaseAccess.objects.filter(database=database)] == ["sales"]
    entry = AuditEntry.objects.get(verb="database.added", target="orders_db")
    assert entry.actor == "user:alice"

    reading = "/ask/sales/orders_db/reading/"
    assert "Waiting for the worker" in place.alice.get(reading).content.decode()
    assert place.alice.get("/ask/sales/orders_db/starters/").headers["Location"] == reading
    assert syncs_run() == 1
    assert "<strong>4 tables</strong> with 13 columns" in place.alice.get(f"{reading}state").content.decode()

    starters = "/ask/sales/orders_db/starters/"
    proposed = questions(place.alice.get(starters))
    assert len([text for text in proposed if text]) > 2
    wanted = ["Who ordered most?", proposed[1], " who ordered  most ", ""]
    saved = post(place.alice, starters, question=wanted)
    assert saved.headers["Location"] == "/ask/sales/orders_db/"
    database.refresh_from_db()
    assert database.starter_questions == ["Who ordered most?", proposed[1]]
    shown = place.bob.get("/ask/sales/orders_db/").content.decode().split('id="suggestions"')[1]
    assert shown.index("Who ordered most?") < shown.index(proposed[1])
    told = AuditEntry.objects.get(verb="database.changed", target="orders_db")
    assert (told.actor, told.data["now"]) == (
        "user:alice", {"starter_questions": ["Who ordered most?", proposed[1]]},
    )  # fmt: skip


def test_the_url_is_kept_and_told_nowhere(place: Place, sales_url: str, caplog: pytest.LogCaptureFixture) -> None:
    wrong = sales_url.replace(PASSWORD, "wrong-password")
    refused = add(place.alice, wrong, description="Kept on the page.")
    assert "refused the login" in errors(refused)["url"]
    assert "wrong-password" not in refused.content.decode()
    assert "reader_" not in re.search(r'<input type="password"[^>]*>', refused.content.decode())[0]  # type: ignore[index]
    assert "Kept on the page." in refused.content.decode()
    add(place.alice, sales_url)
    pages = [place.alice.get(f"/ask/sales/orders_db/{step}").content.decode() for step in ("reading/", "")]
    rows = [json.dumps(entry.data) for entry in AuditEntry.objects.all()]
    stored = repr(Database.objects.values().get(name="orders_db"))
    for text in [*pages, *rows, stored, caplog.text]:
        assert PASSWORD not in text
        assert "wrong-password" not in text
        assert "127.0.0.1" not in text


def test_an_error_in_another_field_does_not_send_the_url_back(place: Place, sales_url: str) -> None:
    answer = add(place.alice, sales_url, name="Not A Name")
    assert set(errors(answer)) == {"name"}
    assert PASSWORD not in answer.content.decode()
    assert "type the URL again" in answer.content.decode()
    assert re.search(r'<input type="text" name="name"[^>]* autofocus', answer.content.decode())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ((PASSWORD, "wrong"), "refused the login"),
        ((r":\d+/", ":1/"), "cannot be reached"),
        ((r":\d+/", ":99999/"), "port"),
        (("127.0.0.1", "10.255.255.1"), "No server in the internet"),
        (("mysql://", "oracle://"), "not supported"),
        ((r"/targets_\w+", ""), "names no database"),
        ((r"^.*$", "sqlite:////etc/passwd"), "FILE_FOLDERS"),
        ((r"^.*$", "not a url"), "not a database URL"),
        ((r"^.*$", ""), "required"),
        ((r"$", "?ssl_ca=/etc/passwd"), "option"),
        ((r"$", "x" * 2000), "2000 characters"),
    ],
)
def test_a_url_that_does_not_do_is_told_beside_its_field(
    change: tuple[str, str], sentence: str, place: Place, sales_url: str
) -> None:
    answer = add(place.alice, re.sub(change[0], change[1], sales_url, count=1))
    assert sentence in errors(answer)["url"]
    assert not Database.objects.filter(name="orders_db").exists()


def test_a_role_that_may_write_is_refused(place: Place, mariadb: MariaDb, sales_url: str) -> None:
    role, name = f"writer_{uuid.uuid4().hex[:8]}", sales_url.rpartition("/")[2]
    mariadb.execute(f"CREATE USER {role} IDENTIFIED BY 'w'; GRANT SELECT, INSERT ON {name}.* TO {role}")
    try:
        answer = add(place.alice, mariadb.url(name, user=role, password="w"))
    finally:
        mariadb.execute(f"DROP USER {role}")
    assert "The role may write." in errors(answer)["url"]
    assert not Database.objects.filter(name="orders_db").exists()


def test_a_lead_adds_no_files_and_an_admin_those_below_the_folders(place: Place, root: Browser, shop: Path) -> None:
    url = f"sqlite:///{shop}"
    assert "added by an admin" in errors(add(place.alice, url))["url"]
    assert "FILE_FOLDERS" in errors(add(root, "sqlite:////etc/passwd"))["url"]
    assert "no SQLite file" in errors(add(root, f"{url}.gone"))["url"]
    assert add(root, url, team="marketing").headers["Location"] == "/ask/marketing/orders_db/reading/"
    assert add(root, url.replace("sqlite:", "postgresql://u:p@127.0.0.1:1/x?x="), name="other").status_code == 200


def test_a_lead_adds_to_the_own_teams_only(place: Place, sales_url: str) -> None:
    assert "Marketing" not in place.alice.get(ADD).content.decode()
    theirs, none = add(place.alice, sales_url, team="marketing"), add(place.alice, sales_url, team="nowhere")
    assert errors(theirs) == errors(none) != {}
    assert not Database.objects.filter(name="orders_db").exists()
    Team.objects.filter(pk="marketing").update(active=False)
    assert "Marketing" not in Browser(place.people.root).get(ADD).content.decode()


def test_a_member_is_shown_no_way_and_finds_nothing_there(place: Place, sales_url: str) -> None:
    assert ADD in place.alice.get("/ask/", all="").content.decode()
    assert ADD not in place.bob.get("/ask/", all="").content.decode()
    nothing = place.bob.get("/ask/nothing/")
    for answer in (place.bob.get(ADD), add(place.bob, sales_url), place.bob.get(f"{BASE}reading/")):
        assert answer.status_code == nothing.status_code == 404
        assert answer.content == nothing.content
    Membership.objects.filter(user=place.people.alice).update(role=Membership.Role.MEMBER)
    assert add(place.alice, sales_url).status_code == 404
    assert not Database.objects.filter(name="orders_db").exists()


def test_another_team_s_name_is_told_only_to_who_has_a_database_to_add(
    place: Place, shop: Path, sales_url: str
) -> None:
    theirs = make_database(shop, place.people.marketing, name="secret_plans")
    wrong = sales_url.replace(PASSWORD, "wrong")
    assert set(errors(add(place.alice, wrong, name="secret_plans"))) == {"url"}
    told = errors(add(place.alice, sales_url, name="secret_plans"))
    assert told == {
        "name": "This name is taken. Names are the same for all teams; put your team's before it, as in"
        " “sales_secret_plans”."
    }
    assert add(place.alice, sales_url, name="sales_secret_plans").status_code == 302
    assert errors(add(place.alice, wrong, name="shop"))["name"] == "There is a database of this name already."
    theirs.refresh_from_db()
    assert (database_url(theirs), list(theirs.teams.all())) == (f"sqlite:///{shop}", [place.people.marketing])


def test_a_name_that_is_taken_meanwhile_is_told_beside_its_field(place: Place, sales_url: str) -> None:
    # As if somebody had stored it between the look and the storing.
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION taken() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE unique_violation; END $$;"
            "CREATE TRIGGER taken BEFORE INSERT ON text2sql_database FOR EACH ROW EXECUTE FUNCTION taken()"
        )
    try:
        assert "is taken" in errors(add(place.alice, sales_url))["name"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER taken ON text2sql_database; DROP FUNCTION taken()")


def test_a_reading_that_failed_says_why_and_is_tried_again(place: Place, root: Browser, shop: Path) -> None:
    add(root, f"sqlite:///{shop}")
    whole, reading = shop.read_bytes(), "/ask/sales/orders_db/reading/"
    shop.unlink()
    syncs_run()
    shown = place.alice.get(reading).content.decode()
    assert "could not be read" in shown
    assert "There is no SQLite file" in shown
    assert "/admin/" not in shown.split("<main")[1]
    assert "/admin/text2sql/database/" in root.get(reading).content.decode()
    shop.write_bytes(whole)
    assert post(place.alice, reading).headers["Location"] == reading
    assert AuditEntry.objects.get(verb="database.sync_requested").actor == "user:alice"
    post(place.alice, reading)  # one that waits is not asked for twice
    assert AuditEntry.objects.filter(verb="database.sync_requested").count() == 1
    syncs_run()
    assert "2 tables" in place.alice.get(f"{reading}state").content.decode()


def test_a_database_without_tables_is_told_what_it_lacks(place: Place) -> None:
    Database.objects.update(catalog=None, sync_state="done")
    assert "Grant the role SELECT" in place.alice.get(f"{BASE}reading/").content.decode()


@pytest.mark.parametrize(
    "part", [{"tables": ["customers"]}, {"hidden_columns": ["customers.email"]}, {"row_filters": {"orders": "1=1"}}]
)
def test_what_is_narrowed_for_the_team_or_shared_is_set_up_by_an_admin(
    part: dict[str, Any], place: Place, root: Browser
) -> None:
    paths = [f"{BASE}reading/", f"{BASE}reading/state", f"{BASE}starters/"]
    assert [place.alice.get(path).status_code for path in paths] == [200, 200, 200]
    DatabaseAccess.objects.update(**part)
    assert [place.alice.get(path).status_code for path in paths] == [404, 404, 404]
    assert [root.get(path).status_code for path in paths] == [200, 200, 200]
    DatabaseAccess.objects.update(tables=[], hidden_columns=[], row_filters={})
    DatabaseAccess.objects.create(database=place.database, team_id="marketing")
    assert [place.alice.get(path).status_code for path in paths] == [404, 404, 404]
    assert post(place.alice, f"{BASE}starters/", question=["Mine?"]).status_code == 404
    MembershipFactory(team=place.people.marketing, user=place.people.alice, role=Membership.Role.LEAD)
    assert [place.alice.get(path).status_code for path in paths] == [200, 200, 200]


def test_starter_questions_have_limits_and_a_mistake_keeps_what_was_typed(place: Place) -> None:
    before = Database.objects.get().starter_questions
    long = post(place.alice, f"{BASE}starters/", question=["Short?", "x" * 301])
    assert "300 characters" in long.content.decode()
    assert questions(long)[:2] == ["Short?", "x" * 301]
    many = post(place.alice, f"{BASE}starters/", question=[f"Number {n}?" for n in range(MOST_STARTERS + 1)])
    assert "10 questions at most" in many.content.decode()
    assert "Null characters" in post(place.alice, f"{BASE}starters/", question=["a\0b"]).content.decode()
    assert Database.objects.get().starter_questions == before


def test_questions_chosen_while_the_tables_are_read_stay(place: Place, shop: Path) -> None:
    post(place.alice, f"{BASE}starters/", question=["Mine?"])
    post(place.alice, f"{BASE}reading/")
    syncs_run()
    assert Database.objects.get().starter_questions == ["Mine?"]
    post(place.alice, f"{BASE}starters/", question=[""])
    database_url_set(database=place.database, url=f"sqlite:///{shop}", actor="test")
    syncs_run()
    assert "How many orders are there?" in Database.objects.get().starter_questions


def test_one_who_may_is_led_from_an_unread_database_to_its_reading(place: Place) -> None:
    Database.objects.update(catalog=None)
    assert "/ask/sales/shop/reading/" in place.alice.get().content.decode()
    assert "reading/" not in place.bob.get().content.decode()


def test_nothing_is_added_without_the_page_s_token(place: Place, sales_url: str) -> None:
    told = {"team": "sales", "name": "orders_db", "url": sales_url}
    assert place.alice.client.post(ADD, told).status_code == 403
    assert not Database.objects.filter(name="orders_db").exists()


@pytest.mark.parametrize("path", [ADD, f"{BASE}reading/", f"{BASE}starters/"])
def test_each_step_holds_no_inline_script_or_style_and_is_not_stored(path: str, place: Place) -> None:
    answer = place.alice.get(path)
    shown = answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert re.findall(r"\sstyle=|<style|\son\w+=|javascript:|https?://", shown) == []
    assert [tag for tag in re.findall(r"<script[^>]*>", shown) if "src=" not in tag] == []
