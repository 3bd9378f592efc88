"""Every tenant-owned model has one door, `visible_to`, and it shows a principal's rows only."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.utils import timezone

from teams.access import Principal
from teams.models import Charge, LangfuseDay, Reservation
from teams.services.top_ups import window_top_up
from teams.services.windows import window_open
from tests.factories import (
    BudgetFactory,
    FeedbackFactory,
    GenerationFactory,
    MembershipFactory,
    TeamFactory,
    make_database,
    make_key,
)
from text2sql.models import (
    Attempt,
    EvaluationItem,
    EvaluationPlan,
    EvaluationRun,
    ExampleUse,
    Execution,
    IdempotencyKey,
    QuestionDay,
)
from text2sql.services.examples import example_publish
from text2sql.services.glossaries import glossary_save
from text2sql.services.notes import draft_request

NOT_OWNED = {
    "BudgetCheck", "CacheEntry", "CacheRemoval", "Catalog", "Flight", "ModelLimit", "PrefixCount", "PrefixWarmth",
    "RetrievalIndex", "SavedQuestion", "SchemaNote",
}  # fmt: skip
"""Reached only through a database or a generation that is, or a person's own, or of the whole installation."""

OWNED = [
    model
    for label in ("teams", "text2sql", "feedback")
    for model in apps.get_app_config(label).get_models()
    if model.__name__ not in NOT_OWNED
]


@pytest.mark.django_db(transaction=True)
def test_a_principal_sees_the_rows_of_its_own_team_and_no_others(shop: Path) -> None:
    sales, marketing = _rows(shop, "sales"), _rows(shop, "marketing")
    for model in OWNED:
        everything = set(model._default_manager.values_list("pk", flat=True))
        seen = {team: _seen(model, team) for team in (sales, marketing)}
        assert seen[sales], f"the test makes no {model.__name__}"
        assert not seen[sales] & seen[marketing], model.__name__
        assert seen[sales] | seen[marketing] == everything, model.__name__
        admin = Principal(actor="admin", is_admin=True)
        assert set(_visible(model, admin).values_list("pk", flat=True)) == everything
        assert not _visible(model, Principal(actor="nobody")).exists()


def _seen(model: type[models.Model], team: str) -> set[object]:
    return set(_visible(model, Principal(actor="key", team_ids=frozenset({team}))).values_list("pk", flat=True))


def _visible(model: type[models.Model], principal: Principal) -> models.QuerySet[models.Model]:
    visible: models.QuerySet[models.Model] = model.objects.visible_to(principal)  # type: ignore[attr-defined]  # the point
    return visible


def _rows(shop: Path, slug: str) -> str:
    """One row of every model, all of one team."""
    now, team = timezone.now(), TeamFactory(slug=slug)
    key, _, _ = make_key(team)
    window = window_open(budget=BudgetFactory(team=team), at=now)
    window_top_up(window=window, amount=Decimal(1), reason="Fair week", actor="test")
    LangfuseDay.objects.create(
        team=team, user_id=slug, day=now.date(), time_zone="UTC", starts_at=now, ends_at=now, read_at=now
    )
    database = make_database(shop, team, name=f"{slug}_shop")
    generation = GenerationFactory(team=team, database=database, api_key=key)
    attempt = Attempt.objects.create(generation=generation, number=1, model="m", max_tokens=1, started_at=now)
    Execution.objects.create(generation=generation, actor="key", status="succeeded", executed_at=now)
    money = {"attempt_id": attempt.pk, "generation_id": generation.pk, "team": team}
    Charge.objects.create(**money, database="d", model="m", cost_usd=0, started_at=now, charged_at=now)
    Reservation.objects.create(**money, amount_usd=0, window_ids=[], created_at=now, expires_at=now)
    IdempotencyKey.objects.create(
        api_key=key, key="once", body_digest="0" * 64, generation_id=generation.pk, claimed_at=now
    )
    access = database.accesses.get()
    glossary_save(access=access, text="revenue: paid orders", actor="test")
    example = example_publish(
        access=access, question="How many?", sql="SELECT 1", tables=[], generation=generation, actor="test"
    )
    ExampleUse.objects.create(example=example, generation=generation)
    QuestionDay.objects.create(team=team, database=database, day=now.date())
    draft_request(database=database, team=team, actor="test")
    run = EvaluationRun.objects.create(
        database=database, team=team, source="file", model="m", prompt_version="1", rules="", answered_by="stand-in",
        actor="test", question_count=1, created_at=now,
    )  # fmt: skip
    EvaluationPlan.objects.create(access=access, run=run)
    EvaluationItem.objects.create(run=run, number=1, question="How many?", gold="SELECT 1")
    FeedbackFactory(generation=generation)
    MembershipFactory(team=team)
    return slug
