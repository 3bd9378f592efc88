"""Rows in the number of a busy year, made by the database itself: to see how lists and pages do with them."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from uuid import uuid4

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model

from observability.encryption import secret_encrypt
from teams.models import Charge, Team
from text2sql.models import Attempt, Database, DatabaseAccess, Generation, QuestionDay
from text2sql.services.question_days import days_count

DATABASES_PER_TEAM = 2
DAYS = 180
"""How far back the questions reach."""
TURNS = 5
"""Questions in a session."""
CHUNK = 10_000
"""Sessions in a transaction."""


@dataclass(frozen=True)
class Loaded:
    generations: int
    attempts: int
    charges: int
    feedback: int


def rows_known() -> int:
    """How many questions there are that nobody would want among made-up ones, or 1 for a team without any."""
    return Generation.objects.exclude(answered_by=ANSWERED_BY).count() or int(
        Team.objects.exclude(slug__startswith="load-").exists()
    )


def rows_load(*, generations: int, teams: int, now: datetime, tell: Callable[[int, int], None]) -> Loaded:
    """Make so many questions of so many teams, with all that hangs on them, and count their days.

    `tell` hears how many of how many are done. The first teams ask the most: the first one of 200 every fourteenth
    question. What is repeated adds further questions of the same teams.
    """
    _teams_make(teams)
    run, done = secrets.token_hex(8), Loaded(0, 0, 0, 0)
    sessions = -(-generations // TURNS)
    for first in range(0, sessions, CHUNK):
        asked: dict[str, int | str | datetime] = {
            "run": run, "teams": teams, "first": first, "last": min(first + CHUNK, sessions) - 1, "now": now,
            "generations": generations,
        }  # fmt: skip
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_statement(), asked)
            made = cursor.fetchone()
        done = Loaded(*(before + new for before, new in zip(_counts(done), made, strict=True)))
        tell(done.generations, generations)
    with connection.cursor() as cursor:
        for model in (Generation, Attempt, Charge, _feedback()):
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    days_count(now, since=date(2000, 1, 1))
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {QuestionDay._meta.db_table}")
    return done


def _teams_make(count: int) -> None:
    slugs = [f"load-{number:03}" for number in range(1, count + 1)]
    Team.objects.bulk_create([Team(slug=slug, name=slug.title()) for slug in slugs], ignore_conflicts=True)
    known = set(Database.objects.values_list("name", flat=True))
    file = Path(settings.DATA_DIR).resolve() / "load.sqlite"
    databases, accesses = [], []
    for slug in slugs:
        for number in range(1, DATABASES_PER_TEAM + 1):
            name = f"{slug.replace('-', '_')}_{number}"
            if name not in known:
                key = uuid4()
                url = secret_encrypt(f"sqlite:///{file}", bound_to=str(key))
                databases.append(Database(id=key, name=name, dialect=Database.Dialect.SQLITE, encrypted_url=url))
                accesses.append(DatabaseAccess(team_id=slug, database_id=key))
    Database.objects.bulk_create(databases)
    DatabaseAccess.objects.bulk_create(accesses)


def _counts(loaded: Loaded) -> tuple[int, int, int, int]:
    return loaded.generations, loaded.attempts, loaded.charges, loaded.feedback


def _feedback() -> type[Model]:
    return apps.get_model("feedback", "Feedback")  # its app stands above this one, so it is met by its name


def _statement() -> str:
    """Questions of some sessions, with their attempts, charges and feedback, in one statement."""
    return f"""
        WITH sessions AS MATERIALIZED (
            SELECT s, 1 + floor(%(teams)s * power(random(), 2))::int AS team, random() AS named, random() AS person,
                   random() AS which
            FROM generate_series(%(first)s::int, %(last)s::int) AS s
        ), questions AS MATERIALIZED (
            SELECT s.*, s * {TURNS} + turn AS number, md5(%(run)s || (s * {TURNS} + turn)) AS hex,
                   'load-' || lpad(team::text, 3, '0') AS slug, random() AS luck, random() AS hit, random() AS long,
                   random() AS much, random() AS word, random() AS place, random() AS year, random() AS other
            FROM sessions AS s, generate_series(0, {TURNS - 1}) AS turn
            WHERE s * {TURNS} + turn < %(generations)s
        ), told AS MATERIALIZED (
            SELECT q.*, d.id AS database_id, d.name AS database, {_pick("word", METRICS)} AS metric,
                   {_pick("place", PLACES)} AS region, {_pick("other", THINGS)} AS thing,
                   (2015 + floor(year * 12))::int AS period,
                   CASE WHEN luck < .88 THEN 'succeeded' WHEN luck < .92 THEN 'clarify'
                        WHEN luck < .95 THEN 'cannot_answer' ELSE 'failed' END AS status,
                   luck < .88 AND hit < .3 AS cached,
                   %(now)s::timestamptz - interval '{DAYS} days' * (1 - (number + 1) / (%(generations)s + 1)::float8)
                       AS asked_at
            FROM questions AS q JOIN text2sql_database AS d
                ON d.name = 'load_' || lpad(team::text, 3, '0') || '_' || 1 + floor(which * {DATABASES_PER_TEAM})::int
        ), priced AS MATERIALIZED (
            SELECT *,
                   CASE WHEN cached THEN 0.00000125 ELSE round((.002 - ln(1 - much) * .012)::numeric, 12) END AS cost,
                   CASE WHEN cached THEN 3 + floor(long * 9) ELSE 700 + floor(-ln(1 - long) * 2600) END::int AS took,
                   CASE WHEN hit > .9 THEN 'claude-opus-5-5' WHEN hit > .8 THEN 'claude-haiku-5-5'
                        ELSE 'claude-sonnet-5-5' END AS model,
                   'SELECT c.country, sum(o.' || metric || ') AS ' || metric || ' FROM ' || thing
                       || ' AS o JOIN customers AS c ON c.id = o.customer_id WHERE c.region = ''' || region
                       || ''' AND o.ordered_at >= ''' || period || '-01-01'' GROUP BY c.country ORDER BY 2 DESC LIMIT '
                       || 10 + number %% 90 AS sql
            FROM told
        ), made AS ({_insert(Generation, "priced", _GENERATION)}
        ), attempts AS ({_insert(Attempt, "priced WHERE NOT cached", _ATTEMPT)}
        ), charges AS ({_insert(Charge, "priced", _CHARGE)}
        ), said AS ({_insert(_feedback(), "priced WHERE status = 'succeeded' AND other < .05", _FEEDBACK)}
        )
        SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM attempts), (SELECT count(*) FROM charges),
               (SELECT count(*) FROM said)
    """  # noqa: S608  # all parts are written here


def _insert(model: type[Model], source: str, values: Mapping[str, str]) -> str:
    table = model._meta.db_table
    return f"INSERT INTO {table} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {source} RETURNING 1"  # noqa: S608  # as above


def _pick(number: str, words: tuple[str, ...]) -> str:
    array = ", ".join(f"'{word}'" for word in words)
    return f"(ARRAY[{array}])[1 + floor({number} * {len(words)})::int]"


ANSWERED_BY = "load"
METRICS = ("revenue", "profit", "quantity", "discount", "tax", "margin", "refunds", "freight", "weight", "visits")
PLACES = (
    "Europe", "Asia", "Africa", "Oceania", "Benelux", "Iberia", "Andes", "Balkans", "Nordics", "Caribbean", "Levant",
    "Maghreb", "Sahel", "Alps", "Baltics", "Caucasus",
)  # fmt: skip
THINGS = ("orders", "invoices", "returns", "shipments", "subscriptions", "contracts", "tickets", "campaigns")

_GENERATION = {
    "id": "hex::uuid", "team_id": "slug", "database_id": "database_id",
    "question": "'What was the ' || metric || ' of ' || thing || ' in ' || region || ' since ' || period"
    " || CASE WHEN number %% 1000 = 0 THEN ', for customer C' || number ELSE ' by country' END || '?'",
    "session_id": "CASE WHEN named < .6 THEN 'session-' || left(md5(%(run)s || s), 16) ELSE '' END",
    "end_user": "CASE WHEN named < .8 THEN 'reader-' || team || '-' || floor(person * 40)::int ELSE '' END",
    "status": "status", "sql": "CASE WHEN status = 'succeeded' THEN sql ELSE '' END",
    "explanation": "CASE WHEN status = 'succeeded' THEN 'Adds up the ' || metric || ' of each country.' ELSE '' END",
    "tables": "ARRAY[thing, 'customers']", "choices": "CASE WHEN status = 'clarify' THEN ARRAY['net', 'gross']"
    " ELSE ARRAY[]::text[] END",
    "problem": "CASE WHEN status = 'failed' THEN 'claude-overloaded' ELSE '' END",
    "problem_detail": "CASE WHEN status = 'failed' THEN 'Claude is overloaded.' ELSE '' END",
    "dialect": "'sqlite'", "schema_version": "left(md5(database), 16)", "prompt_version": "'load'", "model": "model",
    "answered_by": f"'{ANSWERED_BY}'", "cached": "cached", "cache_key": "hex || md5(hex)",
    "rung": "CASE WHEN cached THEN 'first' WHEN hit > .97 THEN 'degraded' WHEN hit > .9 THEN 'repair' ELSE 'first' END",
    "saved_usd": "CASE WHEN cached THEN 0.012 ELSE 0 END", "attempt_count": "(NOT cached)::int",
    "input_tokens": "CASE WHEN cached THEN 0 ELSE 300 + floor(much * 900)::int END", "cache_write_5m_tokens": "0",
    "cache_write_1h_tokens": "0", "cache_read_tokens": "CASE WHEN cached THEN 0 ELSE 8000 END",
    "output_tokens": "CASE WHEN cached THEN 0 ELSE 80 + floor(much * 400)::int END", "cost_usd": "cost",
    "strategy": "'whole_schema'", "strategy_reason": "''", "glossary_number": "0",
    "steps": "jsonb_build_array(jsonb_build_object('name', 'guard', 'started_at', asked_at, 'ended_at', asked_at))",
    "trace_id": "hex", "created_at": "asked_at", "lost_at": "asked_at + interval '2 minutes'",
    "finished_at": "asked_at + took * interval '1 ms'", "latency_ms": "took",
}  # fmt: skip

_ATTEMPT = {
    "id": "md5('attempt' || hex)::uuid", "generation_id": "hex::uuid", "number": "1", "model": "model",
    "effort": "'low'", "max_tokens": "4096", "is_shrunk": "false",
    "status": "CASE WHEN status = 'failed' THEN 'failed' ELSE 'succeeded' END", "kind": "'first'",
    "sql": "CASE WHEN status = 'succeeded' THEN sql ELSE '' END", "stop_reason": "'end_turn'",
    "problem": "CASE WHEN status = 'failed' THEN 'claude-overloaded' ELSE '' END",
    "problem_detail": "CASE WHEN status = 'failed' THEN 'Claude is overloaded.' ELSE '' END",
    "request_id": "'req_' || left(hex, 24)", "output": "''",
    "stack_trace": "CASE WHEN status = 'failed' THEN 'Traceback (most recent call last)' || chr(10)"
    " || 'OverloadedError: 529' ELSE '' END",
    "started_at": "asked_at", "first_token_at": "asked_at + took * interval '0.5 ms'",
    "finished_at": "asked_at + took * interval '1 ms'",
}  # fmt: skip

_CHARGE = {
    "id": "md5('charge' || hex)::uuid", "generation_id": "hex::uuid", "team_id": "slug", "database": "database",
    "attempt_id": "CASE WHEN cached THEN hex::uuid ELSE md5('attempt' || hex)::uuid END",
    "end_user": _GENERATION["end_user"], "model": "model", "cost_usd": "cost", "cached": "cached",
    "estimated": "status = 'failed' AND hit < .1", "started_at": "asked_at",
    "charged_at": "asked_at + took * interval '1 ms'",
    **{name: _GENERATION[name] for name in (
        "input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_read_tokens", "output_tokens",
    )},
}  # fmt: skip

_FEEDBACK = {
    "id": "md5('feedback' || hex)::uuid", "generation_id": "hex::uuid",
    "author": "'reader-' || team || '-' || floor(person * 40)::int",
    "rating": "CASE WHEN much < .7 THEN 'up' ELSE 'down' END",
    "comment": "CASE WHEN much < .7 THEN '' ELSE 'The ' || metric || ' is without ' || region || ' here.' END",
    "corrected_sql": "''", "state": "CASE WHEN much > .8 THEN 'new' WHEN much < .7 THEN 'approved' ELSE 'rejected' END",
    "review_note": "''", "created_at": "asked_at + interval '1 minute'", "updated_at": "asked_at + interval '1 minute'",
}  # fmt: skip
