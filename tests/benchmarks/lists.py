"""How fast the admin's lists are: `python -m tests.benchmarks.lists`. Ends with 1 where one is not under its limit.

On a throw-away PostgreSQL (or TEST_DATABASE_URL) with so many made-up questions of 200 teams. The times are the
server's, from the request to the whole page, in this process and without a network; the median of five after a first
look that is not counted.
"""

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.run import database

if TYPE_CHECKING:
    from django.contrib.auth.models import User

LIMIT_MS = 300.0
ROUNDS = 5
QUESTIONS = "/admin/text2sql/generation/"


@dataclass(frozen=True)
class Look:
    """One page as one person saw it; milliseconds."""

    page: str
    who: str
    ms: float
    status: int

    @property
    def is_kept(self) -> bool:
        return self.status == 200 and self.ms < LIMIT_MS

    def __str__(self) -> str:
        return f"{self.ms:7.0f} ms  {self.who:<10}  {self.page}" + (
            "" if self.is_kept else f"   NOT KEPT ({self.status})"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=1_000_000)
    parser.add_argument("--teams", type=int, default=200)
    arguments = parser.parse_args()
    with database() as url, tempfile.TemporaryDirectory(prefix="lists-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "FILE_FOLDERS": folder, "DATABASE_URL": url}
        return _run(arguments.generations, arguments.teams)


def _run(generations: int, teams: int) -> int:
    import django  # noqa: PLC0415  # the settings are named first

    django.setup()
    logging.disable()  # a line for each request would stand among the results
    from django.core.management import call_command  # noqa: PLC0415  # as above
    from django.test.utils import override_settings, setup_databases, teardown_databases  # noqa: PLC0415  # as above

    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        with override_settings(DEBUG=True):
            call_command("seed_load", generations=generations, teams=teams)
        looks = []
        with override_settings(ALLOWED_HOSTS=["testserver"]):
            for look in _looks(teams):
                sys.stdout.write(f"{look}\n")
                sys.stdout.flush()
                looks.append(look)
    finally:
        teardown_databases(databases, verbosity=0)
    missed = [look for look in looks if not look.is_kept]
    sys.stdout.write(f"{len(looks)} pages, limit {LIMIT_MS:.0f} ms: {'NOT KEPT' if missed else 'kept'}\n")
    return 1 if missed else 0


def _looks(teams: int) -> Iterator[Look]:
    from django.contrib import admin  # noqa: PLC0415  # the settings are named first
    from django.test import Client  # noqa: PLC0415  # as above
    from django.urls import reverse  # noqa: PLC0415  # as above

    lists = [
        reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist") for model in admin.site._registry
    ]
    for who, user in _people(teams).items():
        client = Client()
        client.force_login(user)
        for page in ["/admin/", *lists, *_questions(user), "/admin/spending/"]:
            status = client.get(page).status_code
            if status in (302, 403) and not user.is_superuser:
                continue  # not for leads, or a page that a short list does not have
            yield Look(page, who, statistics.median(_milliseconds(client, page) for _ in range(ROUNDS)), status)


def _people(teams: int) -> "dict[str, User]":
    """An admin, and leads of the team that asks the most and of one that asks little."""
    from teams.models import Membership, Team  # noqa: PLC0415  # the settings are named first
    from tests.factories import MembershipFactory, UserFactory  # noqa: PLC0415  # as above

    def lead(number: int) -> "User":
        user: User = UserFactory()
        MembershipFactory(team=Team.objects.get(pk=f"load-{number:03}"), user=user, role=Membership.Role.LEAD)
        return user

    return {
        "admin": UserFactory(username="root", is_superuser=True, is_staff=True),
        "big team": lead(1),
        "small team": lead(teams),
    }


def _questions(user: "User") -> Iterator[str]:
    """The list of questions in all the ways there are to look at it, by what this person finds there."""
    from teams.services.members import user_principal  # noqa: PLC0415  # the settings are named first
    from text2sql.admin.generations import GenerationAdmin  # noqa: PLC0415  # as above
    from text2sql.models import Generation  # noqa: PLC0415  # as above

    cost, latency = (GenerationAdmin.list_display.index(name) for name in ("rounded_cost", "latency_ms"))
    one = Generation.objects.led_by(user_principal(user)).exclude(session_id="").exclude(end_user="")[0]
    for query in (
        f"o=-{cost}", f"o={cost}", f"o=-{latency}&latency_ms__gte=0", f"o={latency}", "status__exact=failed",
        "status__exact=queued", "status__exact=cannot_answer", "rung__exact=degraded", "cached__exact=1",
        "model=claude-opus-5-5", "model=claude-fable-5", f"session_id={one.session_id}", f"end_user={one.end_user}",
        "end_user=nobody", "cost_usd__gte=0.05", "cost_usd__gte=50", "latency_ms__gte=20000&cost_usd__gte=0.04",
        "feedback=down", "feedback=none", f"created_at__gte={one.created_at:%Y-%m-%d}",
        f"database__id__exact={one.database_id}", "p=100", "q=revenue", "q=select", "q=reven", "q=revenue+europe+2019",
        "q=sum+o.tax", "q=C1000", "q=nowhere", "q=rev&status__exact=failed",
    ):  # fmt: skip
        yield f"{QUESTIONS}?{query}"
    yield f"{QUESTIONS}{one.pk}/change/"
    yield "/admin/sessions/"
    yield f"/admin/sessions/?team={one.team_id}"
    yield "/admin/teams/charge/?model=claude-opus-5-5"
    yield "/admin/teams/charge/?estimated__exact=1"
    yield "/admin/teams/charge/?corrected_at__isempty=0"
    yield "/admin/teams/charge/?o=-4"
    yield "/admin/feedback/feedback/?q=freight"
    yield "/admin/feedback/feedback/?q=C1000"
    yield "/admin/feedback/feedback/?state__exact=new"
    yield "/admin/answer-cache/"
    yield f"/admin/answer-cache/{one.team_id}/"
    yield "/admin/savings/"
    yield f"/admin/savings/?team={one.team_id}"
    yield f"/admin/spending/{one.team_id}/"
    yield f"/admin/teams/team/{one.team_id}/change/"


def _milliseconds(client: object, page: str) -> float:
    began = time.perf_counter()
    client.get(page)  # type: ignore[attr-defined]  # Django's client, which is imported once the settings are named
    return (time.perf_counter() - began) * 1000


if __name__ == "__main__":
    sys.exit(main())
