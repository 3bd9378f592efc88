"""The demo's content: three teams with their databases, people, keys and budgets. Made once; again changes nothing."""

import secrets
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from psycopg.conninfo import make_conninfo

from teams.models import Budget, Membership, Team
from teams.services.keys import key_issue
from text2sql.demo.data import DATABASE_NAMES, DemoDatabase, build
from text2sql.demo.load import load_postgres, load_sqlite
from text2sql.demo.questions import RECORDED
from text2sql.models import Database
from text2sql.services.connections import connection_release
from text2sql.services.databases import database_add, database_url_set
from text2sql.services.syncing import schema_sync

ACTOR = "command:seed_demo"
DAILY_BUDGET = Decimal(5)
TEAMS = {"sales": "Sales", "marketing": "Marketing", "operations": "Operations"}
OPEN_TO = {
    "sales_db": ["sales"],
    "marketing_db": ["marketing"],
    "operations_db": ["operations"],
    "support_db": ["sales", "operations"],
}
STARTER_COUNT = 5


@dataclass(frozen=True)
class SeededAccess:
    """What can be shown once: only what this call has made."""

    logins: dict[str, dict[str, str]]
    keys: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        first = RECORDED["sales_db"][0].question
        return {**self.logins, "keys": self.keys, "question": first, "database": "sales_db"}


def demo_seed(*, today: date) -> SeededAccess:
    """Load the demo databases and make what leads to them.

    Raises:
        DemoLoadDenied: The server does not let us create databases.
    """
    contents = [build(name, today) for name in DATABASE_NAMES]
    connection_release()
    urls = {content.name: _load(content) for content in contents}
    with transaction.atomic(durable=True):
        seeded = _people_and_teams()
        for content in contents:
            _database(content, urls[content.name])
    for database in Database.objects.filter(name__in=urls):
        schema_sync(database.pk)
    return seeded


def _load(content: DemoDatabase) -> str:
    """The URL under which the loaded database is asked, by a role that may only read."""
    name = content.name
    if content.dialect == "sqlite":
        path = Path(settings.DATA_DIR).resolve() / "demo" / f"{name}.sqlite"
        path.parent.mkdir(parents=True, exist_ok=True)
        load_sqlite(path, content)
        return f"sqlite:///{path}"
    reader, password = f"{name}_reader", secrets.token_urlsafe(24)
    values = settings.DATABASES["default"]
    host, port = values["HOST"], values.get("PORT") or 5432
    owner = {"user": values["USER"], "password": values["PASSWORD"], "dbname": values["NAME"]}
    known = {key: value for key, value in {"host": host, "port": port, **owner}.items() if value}
    load_postgres(make_conninfo(**known), content, reader=reader, password=password)
    if host.startswith("/"):
        return f"postgresql://{reader}:{password}@/{name}?host={quote(host, safe='')}&port={port}"
    return f"postgresql://{reader}:{password}@{host or 'localhost'}:{port}/{name}"


def _people_and_teams() -> SeededAccess:
    logins, keys = {}, {}
    for slug, name in TEAMS.items():
        team, is_new = Team.objects.get_or_create(slug=slug, defaults={"name": name})
        if not is_new:
            continue
        Budget.objects.create(team=team, period=Budget.Period.DAY, limit_usd=DAILY_BUDGET)
        _, keys[slug] = key_issue(team=team, name="demo", actor=ACTOR)
    if not User.objects.filter(is_superuser=True).exists():
        logins["admin"] = _user("admin", is_superuser=True, is_staff=True)
    if not User.objects.filter(username="sales-lead").exists():
        logins["lead"] = _user("sales-lead")
        lead = User.objects.get(username="sales-lead")
        Membership.objects.create(team_id="sales", user=lead, role=Membership.Role.LEAD)
    return SeededAccess(logins, keys)


def _user(username: str, **rights: bool) -> dict[str, str]:
    password = secrets.token_urlsafe(12)
    User.objects.create_user(username, f"{username}@localhost", password, **rights)
    return {"username": username, "password": password}


def _database(content: DemoDatabase, url: str) -> None:
    name = content.name
    starters = [recorded.question for recorded in RECORDED[name][:STARTER_COUNT]]
    database = Database.objects.filter(name=name).first()
    if database is not None:
        # The reader's password is new, so the stored URL must be too.
        database_url_set(database=database, url=url, actor=ACTOR)
        return
    teams = Team.objects.filter(pk__in=OPEN_TO[name])
    database = database_add(name=name, url=url, description=content.description, teams=teams, actor=ACTOR)
    Database.objects.filter(pk=database.pk).update(starter_questions=starters)
