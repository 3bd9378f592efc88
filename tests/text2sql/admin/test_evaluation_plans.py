"""The plans' pages: leads of the team and admins set them, off unless told, and see how the last run went."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from observability.models import AuditEntry
from tests.people import People
from tests.permissions.estate import stored_database
from text2sql.models import DatabaseAccess, EvaluationPlan, EvaluationRun

pytestmark = pytest.mark.django_db

LIST, ADD = "/admin/text2sql/evaluationplan/", "/admin/text2sql/evaluationplan/add/"
SET = {"every_days": "7", "question_limit": "50", "drop_points": "5"}


@pytest.fixture
def access(people: People, shop: Path) -> DatabaseAccess:
    stored_database(shop, people.sales, people.marketing, name="shop")
    return DatabaseAccess.objects.get(team=people.sales)


@pytest.fixture
def alice(people: People) -> Client:
    return people.signed_in(people.alice)


def page(plan: EvaluationPlan) -> str:
    return reverse("admin:text2sql_evaluationplan_change", args=[plan.pk])


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def test_a_lead_makes_a_plan_which_is_off_unless_switched_on(alice: Client, access: DatabaseAccess) -> None:
    assert alice.post(ADD, {"access": access.pk, **SET}).status_code == 302
    (plan,) = EvaluationPlan.objects.all()
    assert (plan.enabled, plan.access, plan.next_run_at) == (False, access, None)
    assert alice.post(page(plan), {**SET, "enabled": "on", "every_days": "1"}).status_code == 302
    changed = EvaluationPlan.objects.get()
    assert (changed.enabled, changed.every_days, changed.access) == (True, 1, access)
    entries = AuditEntry.objects.filter(actor="user:alice", scope="sales", target="shop")
    assert set(entries.values_list("verb", flat=True)) == {"evaluation_plan.added", "evaluation_plan.changed"}


def test_saving_leaves_what_the_worker_wrote(alice: Client, access: DatabaseAccess) -> None:
    soon, now = timezone.now() + timedelta(hours=5), timezone.now()
    plan = EvaluationPlan.objects.create(access=access, next_run_at=soon, claimed_until=now, problem="It was away.")
    assert alice.post(page(plan), {**SET, "enabled": "on"}).status_code == 302
    plan = EvaluationPlan.objects.get()
    assert (plan.next_run_at, plan.claimed_until, plan.problem) == (soon, now, "It was away.")


def test_the_pages_tell_of_the_newest_run_and_of_what_kept_it(alice: Client, access: DatabaseAccess) -> None:
    run = EvaluationRun.objects.create(
        database=access.database, team=access.team, source="examples", model="m", prompt_version="p", rules="r",
        answered_by="stand-in", actor="schedule", question_count=3, accuracy=2 / 3, status="finished",
        created_at=timezone.now(),
    )  # fmt: skip
    plan = EvaluationPlan.objects.create(access=access, run=run, problem="Nothing is approved.")
    for path in (LIST, page(plan)):
        shown = alice.get(path).content.decode()
        assert "66.7%" in shown
        assert f"/evaluationrun/{run.pk}/change/" in shown
        assert "Nothing is approved." in shown


@pytest.mark.parametrize("field", SET)
@pytest.mark.parametrize("value", ["0", "-1", "9999", ""])
def test_numbers_out_of_bounds_are_refused(alice: Client, access: DatabaseAccess, field: str, value: str) -> None:
    assert field in errors(alice.post(ADD, {"access": access.pk, **SET, field: value}))
    assert not EvaluationPlan.objects.exists()


def test_a_team_has_one_plan_for_a_database(alice: Client, access: DatabaseAccess) -> None:
    EvaluationPlan.objects.create(access=access)
    assert "access" in errors(alice.post(ADD, {"access": access.pk, **SET}))


def test_a_lead_sets_no_other_teams_plan(people: People, access: DatabaseAccess) -> None:
    mallory = people.signed_in(people.mallory)
    assert "access" in errors(mallory.post(ADD, {"access": access.pk, **SET}))
    plan = EvaluationPlan.objects.create(access=access)
    assert str(plan.pk) not in mallory.get(LIST).content.decode()
    mallory.post(page(plan), {**SET, "enabled": "on"})
    assert not EvaluationPlan.objects.get().enabled
