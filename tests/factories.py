"""Rows for tests. Everything that a service makes in real life is made by that service here too."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import factory
from django.contrib.auth.models import User
from django.utils import timezone
from factory.django import DjangoModelFactory

from feedback.models import Feedback
from teams.access import Principal, Scope
from teams.models import ApiKey, Budget, Membership, Team
from teams.services.keys import key_issue, key_principal
from text2sql.models import Database, Generation
from text2sql.services.databases import database_add
from text2sql.services.syncing import schema_sync


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User
        skip_postgeneration_save = True

    username = factory.Sequence(lambda n: f"person{n}")
    email = factory.LazyAttribute(lambda user: f"{user.username}@example.com")
    password = factory.django.Password("a long enough password")


class TeamFactory(DjangoModelFactory[Team]):
    class Meta:
        model = Team
        django_get_or_create = ("slug",)

    slug = factory.Sequence(lambda n: f"team{n}")
    name = factory.LazyAttribute(lambda team: team.slug.title())


class MembershipFactory(DjangoModelFactory[Membership]):
    class Meta:
        model = Membership

    team = factory.SubFactory(TeamFactory)
    user = factory.SubFactory(UserFactory)
    role = Membership.Role.MEMBER


class BudgetFactory(DjangoModelFactory[Budget]):
    class Meta:
        model = Budget

    team = factory.SubFactory(TeamFactory)
    limit_usd = Decimal(5)


class GenerationFactory(DjangoModelFactory[Generation]):
    """A question that was answered; give `team` and `database`."""

    class Meta:
        model = Generation

    question = "How many customers are there?"
    status = Generation.Status.SUCCEEDED
    sql = "SELECT count(*) AS customers FROM customers"
    dialect = "sqlite"
    schema_version = "0" * 16
    prompt_version = "test"
    model = "claude-sonnet-5-5"
    answered_by = "stand-in"
    trace_id = factory.LazyFunction(lambda: uuid4().hex)
    created_at = factory.LazyFunction(timezone.now)
    lost_at = factory.LazyFunction(timezone.now)
    finished_at = factory.LazyFunction(timezone.now)
    latency_ms = 5


class FeedbackFactory(DjangoModelFactory[Feedback]):
    """A thumbs-down that waits for review; give `generation`."""

    class Meta:
        model = Feedback

    author = factory.Sequence(lambda n: f"reader{n}")
    rating = Feedback.Rating.DOWN
    comment = "Revenue is without VAT here."
    updated_at = factory.LazyFunction(timezone.now)


def make_key(team: Team, **values: Any) -> tuple[ApiKey, str, Principal]:
    """A key, its text and its Principal."""
    key, token = key_issue(team=team, name="test", actor="test", **values)
    scopes = values.get("scopes", tuple(Scope))
    return key, token, key_principal(key_id=key.pk, prefix=key.prefix, team_id=team.pk, scopes=scopes)


def make_database(path: Path, *teams: Team, name: str = "shop") -> Database:
    """A SQLite target whose tables have been read; `path` is a file below settings.FILE_FOLDERS."""
    database = database_add(name=name, url=f"sqlite:///{path}", teams=teams, actor="test")
    schema_sync(database.pk)
    database.refresh_from_db()
    return database
