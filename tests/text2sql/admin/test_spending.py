"""The page Spending and its file, as a lead and an admin meet them."""

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from teams.admin.sheets import csv_lines
from teams.models import Team
from teams.services.top_ups import window_top_up
from teams.services.windows import window_open
from tests.factories import BudgetFactory, make_key
from tests.people import People
from tests.teams.ledgers import charged, charged_daily, langfuse_day

pytestmark = pytest.mark.django_db

PAGE = "/admin/spending/sales/"
FILE = "/admin/spending/sales/charges.csv"


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def text(answer: Any) -> str:
    assert answer.status_code == 200
    return str(answer.content.decode())


def rows_of(answer: Any) -> list[dict[str, str]]:
    body = b"".join(answer.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(body)))


def test_the_page_shows_windows_days_and_groups_of_the_team(alice: Client, people: People) -> None:
    now, yesterday = timezone.now(), timezone.now() - timedelta(days=1)
    key, _, _ = make_key(people.sales)
    charged_daily(people.sales, "2", now, days=28, api_key_id=key.pk, end_user="ada", input_tokens=1500)
    charged(people.marketing, "77", now, end_user="mallory", database="secret_db")
    langfuse_day(people.sales, yesterday, ours_usd=Decimal("2.5"), external_usd=Decimal(1), drift_usd=Decimal("0.5"))
    budget = BudgetFactory(team=people.sales, limit_usd=Decimal(10))
    window = window_open(budget=budget, at=yesterday)
    window_top_up(window=window, amount=Decimal(5), reason="Month's end", actor="user:root")
    BudgetFactory(team=None, limit_usd=Decimal(4321))
    shown = text(alice.get(f"{PAGE}?from={yesterday - timedelta(days=3):%Y-%m-%d}&to={yesterday:%Y-%m-%d}"))
    assert "<strong>$8.0000</strong> for 4 questions" in shown
    for piece in ("$5.00: Month&#x27;s end", "$15.00", "+$0.5000", "20 %", "ada", f"test (t2s_{key.prefix})", "6,000"):
        assert piece in shown
    assert "Organisation" not in shown
    assert "4,321" not in shown
    for other in ("mallory", "secret_db", "77"):
        assert other not in re.sub(r"<svg.*?</svg>|csrf\S+ value=\S+", "", shown, flags=re.DOTALL).partition("<main")[2]
    assert len(re.findall(r'class="money-chart-ours"', shown)) == 4


def test_the_span_is_this_month_of_the_teams_clock_unless_told(alice: Client, people: People) -> None:
    Team.objects.filter(pk="sales").update(time_zone="Pacific/Auckland")
    today = timezone.now().astimezone(ZoneInfo("Pacific/Auckland")).date()
    shown = text(alice.get(PAGE))
    assert f'name="from" value="{today.replace(day=1)}"' in shown
    assert f'name="to" value="{today}"' in shown


@pytest.mark.parametrize(
    "query",
    [
        "from=yesterday&to=today", "from=2026-11-30&to=2026-11-01", "from=0001-01-01&to=0001-01-02",
        "from=2020-01-01&to=2026-01-01", "from=9999-12-31&to=9999-12-31", "to=2026-13-01",
    ],
)  # fmt: skip
def test_a_span_that_makes_no_sense_is_told_and_this_month_is_shown(query: str, alice: Client) -> None:
    shown = text(alice.get(f"{PAGE}?{query}"))
    assert 'role="alert"' in shown
    assert f'name="from" value="{timezone.now():%Y-%m}-01"' in shown
    assert alice.get(f"{FILE}?{query}").status_code == 200


def test_a_new_team_has_a_page_that_says_so(people: People) -> None:
    shown = text(people.signed_in(people.root).get("/admin/spending/marketing/"))
    for words in ("no budget of its own", "Nothing was spent in these days", "No period has ended yet"):
        assert words in shown
    assert "<svg viewBox" not in shown


def test_the_first_page_lists_the_teams_that_one_may_see(alice: Client, people: People) -> None:
    charged(people.sales, "3", timezone.now())
    shown = text(alice.get("/admin/spending/"))
    assert "$3.00" in shown
    assert "Marketing" not in shown
    assert "Marketing" in text(people.signed_in(people.root).get("/admin/spending/"))


def test_another_teams_page_is_like_one_that_does_not_exist(people: People) -> None:
    mallory = people.signed_in(people.mallory)
    for path in (PAGE, FILE, "/admin/spending/nobody/", "/admin/spending/nobody/charges.csv"):
        assert mallory.get(path).status_code == 404


def test_the_file_is_streamed_with_the_teams_clock_and_no_cell_is_a_formula(alice: Client, people: People) -> None:
    for user in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "ada,\nbert", "o'neill"):
        charged(people.sales, "1", timezone.now(), end_user=user)
    charged(people.marketing, "9", timezone.now())
    answer = alice.get(FILE)
    assert answer.streaming
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(
        r'attachment; filename="spending-sales-\d{4}-\d\d-01-\d{4}-\d\d-\d\d\.csv"',
        answer.headers["Content-Disposition"],
    )
    assert "no-store" in answer.headers["Cache-Control"]
    rows = rows_of(answer)
    assert {row["end_user"] for row in rows} == {
        "'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\t=1", "'\r=1", "ada,\nbert", "o'neill",
    }  # fmt: skip
    assert {(row["team"], row["time_zone"]) for row in rows} == {("sales", "UTC")}
    assert sum(Decimal(row["cost_usd"]) for row in rows) == 8


def test_lines_are_written_as_they_are_read() -> None:
    read: list[int] = []

    def rows() -> Any:
        for number in range(3):
            read.append(number)
            yield [number]

    lines = csv_lines([["number"]], rows())
    assert (next(lines), next(lines), read) == ("number\r\n", "0\r\n", [0])
