"""Everything that a team owns, one row of each kind, with a word in every text by which it is recognised."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from uuid import uuid4

from django.contrib.auth.models import User
from django.db import models
from django.utils import timezone

from feedback.models import Feedback
from observability.models import AlertChannel, ManagedPrompt, Price, Schedule, Score, Trace
from observability.services.alerts import alert_raise
from observability.services.audit import audit_record
from teams.access import Scope
from teams.models import (
    ApiKey,
    Budget,
    BudgetCheck,
    BudgetWindow,
    Charge,
    LangfuseDay,
    Membership,
    ModelLimit,
    Team,
)  # fmt: skip
from teams.services.keys import key_issue
from teams.services.windows import window_open
from tests.factories import (
    BudgetFactory,
    FeedbackFactory,
    GenerationFactory,
    MembershipFactory,
    TeamFactory,
    UserFactory,
)
from tests.people import People
from text2sql.models import (
    Attempt,
    Catalog,
    Database,
    DatabaseAccess,
    EvaluationItem,
    EvaluationPlan,
    EvaluationRun,
    Execution,
    Generation,
    SchemaNote,
)
from text2sql.services.databases import database_add
from text2sql.services.examples import example_publish
from text2sql.services.glossaries import glossary_save
from text2sql.services.notes import note_save
from text2sql.targets.introspect import read_schema


@dataclass
class Estate:
    word: str
    """Stands in each text of the team and nowhere else."""
    team: Team
    database: Database
    generation: Generation
    key: ApiKey
    token: str
    feedback: Feedback
    budget: Budget
    window: BudgetWindow
    rows: dict[str, models.Model] = field(default_factory=dict)
    """By label, such as `teams.budget`: what an admin page's address may name."""


@dataclass
class World:
    people: People
    sales: Estate
    marketing: Estate
    shared: Database
    """Open to both teams, with a view of its own for each."""


def make_world(path: Path) -> World:
    """The people of tests/people.py, under names that occur nowhere in the product's own texts."""
    sales = TeamFactory(slug="atlantis", name="Atlantis Sales")
    marketing = TeamFactory(slug="borneo", name="Borneo Marketing")
    people = People(
        sales=sales,
        marketing=marketing,
        alice=UserFactory(username="alice-atlantis"),
        bob=UserFactory(username="bob-atlantis"),
        mallory=UserFactory(username="mallory-borneo"),
        charlie=UserFactory(username="charlie"),
        root=UserFactory(username="root", is_superuser=True, is_staff=True),
    )
    MembershipFactory(team=sales, user=people.alice, role=Membership.Role.LEAD)
    MembershipFactory(team=sales, user=people.bob)
    MembershipFactory(team=marketing, user=people.mallory, role=Membership.Role.LEAD)
    shared = stored_database(path, sales, marketing, name="shared_db")
    shared.accesses.filter(team=sales).update(tables=["customers"], hidden_columns=["customers.email"])
    return World(
        people,
        make_estate(sales, people.bob, people.alice, path),
        make_estate(marketing, people.mallory, people.mallory, path),
        shared,
    )


def stored_database(path: Path, *teams: Team, name: str, description: str = "") -> Database:
    """A SQLite target whose tables stand in the catalog; unlike the worker it does so inside a test's transaction."""
    url = f"sqlite:///{path}"
    database = database_add(name=name, url=url, description=description, teams=teams, actor="test")
    schema, now = read_schema(url, timeout=5), timezone.now()
    database.catalog = Catalog.objects.create(
        database=database, schema_version=schema.version, content=schema.as_json(), read_at=now
    )
    database.sync_state, database.synced_at = Database.SyncState.DONE, now
    database.save()
    return database


def make_estate(team: Team, member: User, lead: User, path: Path) -> Estate:
    word, now = team.pk, timezone.now()
    database = stored_database(path, team, name=f"{word}_db", description=f"What {word} sells.")
    access = DatabaseAccess.objects.get(team=team, database=database)
    glossary = glossary_save(access=access, text=f"buyer: who {word} sells to", actor=f"user:{lead.username}")
    note = note_save(note=SchemaNote(database=database, table="customers", text=f"Who {word} sells to."), actor="test")
    key, token = key_issue(team=team, name=f"{word} dashboard", created_by=lead, actor=f"user:{lead.username}")
    generation = GenerationFactory(
        team=team, database=database, api_key=key, question=f"How many {word} customers are there?",
        explanation=f"Counts what {word} has.", session_id=f"{word}-session", end_user=f"{word}-reader",
        model=f"claude-{word}",
    )  # fmt: skip
    Attempt.objects.create(
        generation=generation, number=1, model=f"claude-{word}", max_tokens=100, status=Attempt.Status.SUCCEEDED,
        request_id=f"req-{word}", started_at=now,
    )  # fmt: skip
    Execution.objects.create(generation=generation, actor=f"key:{word}", status="succeeded", executed_at=now)
    feedback = FeedbackFactory(generation=generation, author=f"{word}-author", comment=f"Not what {word} means.")
    budget = BudgetFactory(team=team, limit_usd=Decimal(10))
    window = window_open(budget=budget, at=now)
    BudgetWindow.objects.filter(pk=window.pk).update(spent_usd=Decimal(8), reserved_usd=Decimal(1))
    day = LangfuseDay.objects.create(
        team=team, user_id=team.pk, day=now.date(), time_zone="UTC", starts_at=window.starts_at, ends_at=window.ends_at,
        ours_usd=Decimal("7.5"), read_at=now,
    )  # fmt: skip
    charge = Charge.objects.create(
        attempt_id=uuid4(), generation_id=generation.pk, team=team, database=database.name, model=f"claude-{word}",
        cost_usd=Decimal(8), started_at=now, charged_at=now,
    )  # fmt: skip
    alert = alert_raise(
        key=f"{word}-80", kind="budget", scope=team.pk, level="warning", subject=f"{word} has spent 80 %",
        body=f"{word}, {word}", recipients=[lead.email],
    )  # fmt: skip
    assert alert is not None
    audit = audit_record(
        actor=f"user:{lead.username}", verb=f"{word}.did", target=f"{word} thing", scope=team.pk, data={"of": word}
    )
    trace = Trace.objects.create(trace_id=generation.trace_id, user_id=team.pk, started_at=now, payload={"of": word})
    score = Score.objects.create(
        id=str(feedback.pk), trace_id=generation.trace_id, name="user_feedback", data_type="BOOLEAN", value=0,
        comment=f"Not what {word} means.", timestamp=now,
    )  # fmt: skip
    run = EvaluationRun.objects.create(
        database=database, team=team, api_key=key, source=f"{word}.csv", model=f"claude-{word}", prompt_version="test",
        rules=f"Mind what {word} wants.", answered_by="stand-in", actor=f"command:{word}", question_count=1,
        created_at=now, status="finished", accuracy=0.0, stop_reason=f"{word} said so",
    )  # fmt: skip
    item = EvaluationItem.objects.create(
        run=run, number=1, question=f"Who buys at {word}?", gold=f"SELECT '{word}'", outcome="wrong",
        why=f"{word} is missing.", generation=generation, trace_id=generation.trace_id,
    )  # fmt: skip
    example = example_publish(
        access=access, question=f"How much did {word} sell?", sql="SELECT sum(amount) FROM orders", tables=["orders"],
        generation=generation, actor=f"user:{lead.username}",
    )  # fmt: skip
    plan = EvaluationPlan.objects.create(access=access, run=run, problem=f"{word} was away")
    owned: list[models.Model] = [
        example,
        plan,
        team,
        database,
        generation,
        key,
        feedback,
        budget,
        day,
        charge,
        alert,
        audit,
        trace,
        score,
        member,
        glossary,
        note,
        run,
        item,
    ]
    channel, _ = AlertChannel.objects.get_or_create(name="on call", kind="email", addresses=["on-call@example.com"])
    prompt, _ = ManagedPrompt.objects.get_or_create(name="rules")
    check = BudgetCheck.objects.first() or BudgetCheck.objects.create(started_at=now)
    limit, _ = ModelLimit.objects.get_or_create(model="claude-sonnet-5-5")
    schedule = Schedule.objects.get(name="check budgets")
    shared: list[models.Model] = [Price.objects.all()[0], prompt, channel, check, limit, schedule]
    rows = {row._meta.label_lower: row for row in [*owned, *shared]}
    return Estate(word, team, database, generation, key, token, feedback, budget, window, rows)


def issued(team: Team, *scopes: Scope, days: int | None = None) -> str:
    """A further key of the team that may do this; it expired or will expire so many days from now."""
    key, token = key_issue(team=team, name="further", scopes=scopes, actor="test")
    if days is not None:
        ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() + timedelta(days=days))
    return token
