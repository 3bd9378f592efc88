"""Where money and time go, and what each lever would have saved: counted from the questions and the ledger."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet, Sum
from psycopg.errors import QueryCanceled

from observability.models import Price
from observability.services.prices import ANYWHERE, PriceUnknown, TokenUsage, price_find
from text2sql.cache.keys import FINAL_MARKS, question_sql
from text2sql.models import QuestionDay
from text2sql.models.generations import OF_PEOPLE

ROWS_SHOWN = 10
QUESTIONS_COUNTED = 20_000
"""So many are counted while a person waits, unless all are asked for."""
SECONDS = 20.0
"""For each query."""


class Order(StrEnum):
    MONEY = "money"
    LATENCY = "latency"
    """By what 95 % of the questions stayed within."""


class Grouping(StrEnum):
    ALL = "all"
    DATABASES = "databases"
    PROMPTS = "prompts"
    MODELS = "models"
    SESSIONS = "sessions"
    QUESTIONS = "questions"
    """Asked more than once of a database, outside of conversations; the same but for case, outer space and final
    punctuation."""


class Cause(StrEnum):
    FAILURES = "failures"
    REPAIRS = "repairs"
    CACHE_READS = "cache_reads"
    REPEATS = "repeats"


@dataclass(frozen=True)
class Span:
    """Questions of some teams from `start` up to, without it, `end`."""

    team_ids: Sequence[str]
    start: datetime
    end: datetime


@dataclass(frozen=True)
class Lever:
    """What was paid for something, and what it would have cost at the least: both in USD, as the ledger has it.

    FAILURES: `count` failed questions; paid is their cost, needed is nothing.
    REPAIRS: `count` calls of kind repair of the other questions; paid is their charges, needed is nothing.
    CACHE_READS: `count` input tokens of the other calls that were not read from the cache, those fresh and those
    written; paid is each at its own price, needed is all of them at the cache-read price. A call counts at the price
    of its model, time, size and place; those whose bill was only estimated are left out.
    REPEATS: `count` answers by Claude to one question; paid is their cost, needed is that of the first.

    No charge is in two of the first three. What a repeated question cost may be in REPAIRS or CACHE_READS too.
    """

    cause: Cause
    count: int
    paid_usd: Decimal
    needed_usd: Decimal = Decimal(0)

    @property
    def saving_usd(self) -> Decimal:
        return self.paid_usd - self.needed_usd


@dataclass(frozen=True)
class Group:
    """Finished questions that have something in common; rates are shares of 1, times in milliseconds."""

    key: tuple[str, str]
    """DATABASES: its id; PROMPTS and MODELS: its name; SESSIONS: team and session; QUESTIONS: database and text."""
    label: str
    """One of the questions as it was written, else empty."""
    questions: int
    cost_usd: Decimal
    p50_ms: float | None
    p95_ms: float | None
    asked: int
    """Those that Claude was asked, the others were given from the answer cache."""
    input_tokens: int
    cache_read_tokens: int
    repaired: int
    failed: int
    levers: tuple[Lever, ...]
    """Those with a saving, the greatest first."""

    @property
    def tokens_per_question(self) -> float | None:
        return self.input_tokens / self.asked if self.asked else None

    @property
    def cache_read_share(self) -> float | None:
        return self.cache_read_tokens / self.input_tokens if self.input_tokens else None

    @property
    def hit_rate(self) -> float:
        return 1 - self.asked / self.questions

    @property
    def repair_rate(self) -> float:
        return self.repaired / self.questions

    @property
    def failure_rate(self) -> float:
        return self.failed / self.questions

    @property
    def saving_usd(self) -> Decimal:
        return sum((lever.saving_usd for lever in self.levers), Decimal(0))


@dataclass(frozen=True)
class Ranking:
    """The first of the groups, in the order that was asked for."""

    groups: tuple[Group, ...]
    found: int
    repeats_usd: Decimal
    """QUESTIONS: what the lever REPEATS would have saved over all that were found."""


class TooMuch(Exception):
    """More than can be counted in SECONDS."""


def first_counted(days: QuerySet[QuestionDay], first: date, last: date, *, most: int = QUESTIONS_COUNTED) -> date:
    """The first of the newest of these days that have `most` questions together, and at least the newest one of all."""
    counts = days.filter(day__gte=first, day__lte=last).order_by("-day").values_list("day").annotate(Sum("questions"))
    counted, since = 0, last
    for day, questions in counts:
        counted += questions
        if counted > most and day < since:
            return since if counted > questions else day
        since = day
    return first


def groups_ranked(span: Span, order: Order, *, rows: int = ROWS_SHOWN) -> dict[Grouping, Ranking]:
    """Five queries, however many rows there are; questions of evaluations and unfinished ones are left out.

    Raises:
        TooMuch: One of them took longer than SECONDS.
    """
    try:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = {SECONDS * 1000:.0f}")
            found, charges = _figures(span, order, rows), _charges(span)
            sessions = [_key(row) for row in found[Grouping.SESSIONS]]
            charges[Grouping.SESSIONS] = _session_charges(span, sessions)
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooMuch from error
        raise
    return {grouping: _ranking(found[grouping], charges[grouping]) for grouping in Grouping}


Rows = list[dict[str, Any]]
Charges = dict[tuple[str, str], Rows]

_KEYS = {Grouping.DATABASES: "database", Grouping.PROMPTS: "prompt", Grouping.MODELS: "model"}
_ORDERS = {Order.MONEY: "cost_usd DESC", Order.LATENCY: "p95_ms DESC NULLS LAST"}

# By the index on team and time; attempts are only looked up where there was more than one.
_ASKED = f"""
    SELECT g.id, g.database_id::text AS database, g.prompt_version AS prompt, g.model, g.team_id AS team,
           g.session_id AS session, g.parent_id, g.question, g.cost_usd, g.latency_ms, g.created_at, g.cached,
           g.status = 'failed' AS failed, g.cache_read_tokens,
           g.input_tokens + g.cache_write_5m_tokens + g.cache_write_1h_tokens + g.cache_read_tokens AS tokens,
           g.status = 'succeeded' AND NOT g.cached AS missed,
           g.attempt_count > 1 AND EXISTS (
               SELECT FROM text2sql_attempt a WHERE a.generation_id = g.id AND a.kind = 'repair'
           ) AS repaired
      FROM text2sql_generation g
     WHERE g.team_id = ANY(%(teams)s) AND g.created_at >= %(start)s AND g.created_at < %(end)s AND {OF_PEOPLE}
"""  # noqa: S608  # all parts are written here
_SUMS = """
       count(*) AS questions, sum(cost_usd) AS cost_usd,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY latency_ms) AS p50_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY latency_ms) AS p95_ms,
       count(*) FILTER (WHERE NOT cached) AS asked,
       sum(tokens) AS input_tokens, sum(cache_read_tokens) AS cache_read_tokens,
       count(*) FILTER (WHERE repaired) AS repaired, count(*) FILTER (WHERE failed) AS failed,
       coalesce(sum(cost_usd) FILTER (WHERE failed), 0) AS failed_usd
"""
_NO_REPEATS = "'' AS label, 0 AS misses, 0 AS misses_usd, 0 AS first_usd, 0 AS all_repeats_usd"
# In one reading; what a row is about is the column that is not null.
_FIGURES = f"""
WITH asked AS ({_ASKED}), sums AS (
    SELECT CASE WHEN database IS NOT NULL THEN 'databases' WHEN prompt IS NOT NULL THEN 'prompts'
                WHEN model IS NOT NULL THEN 'models' ELSE 'all' END AS grouping,
           coalesce(database, prompt, model, '') AS first, '' AS second, {_SUMS}, {_NO_REPEATS}
      FROM asked GROUP BY GROUPING SETS ((), (database), (prompt), (model)) HAVING count(*) > 0
), placed AS (
    SELECT *, count(*) OVER (PARTITION BY grouping) AS found,
           row_number() OVER (PARTITION BY grouping ORDER BY {{order}}, first) AS place
      FROM sums
)
SELECT * FROM placed WHERE place <= %(rows)s ORDER BY grouping, place
"""  # noqa: S608  # all parts are written here
_SESSIONS = f"""
WITH asked AS ({_ASKED} AND g.session_id <> '')
SELECT team AS first, session AS second, {_SUMS}, {_NO_REPEATS}, count(*) OVER () AS found
  FROM asked GROUP BY 1, 2 ORDER BY {{order}}, first, second LIMIT %(rows)s
"""  # noqa: S608  # as above
_FIRST_USD = "(array_agg(cost_usd ORDER BY created_at, id) FILTER (WHERE missed))[1]"
# Most questions are asked once: they are left out before anything is sorted.
_REPEATED = f"""
WITH asked AS ({_ASKED} AND g.parent_id IS NULL), named AS MATERIALIZED (
    SELECT *, database AS first, {question_sql("question")} AS second FROM asked
), repeated AS (SELECT first, second FROM named GROUP BY 1, 2 HAVING count(*) > 1)
SELECT first, second, max(question) AS label, {_SUMS},
       count(*) FILTER (WHERE missed) AS misses, sum(cost_usd) FILTER (WHERE missed) AS misses_usd,
       {_FIRST_USD} AS first_usd, sum(sum(cost_usd) FILTER (WHERE missed) - {_FIRST_USD}) OVER () AS all_repeats_usd,
       count(*) OVER () AS found
  FROM repeated JOIN named USING (first, second) GROUP BY 1, 2
 ORDER BY {{order}}, first, second LIMIT %(rows)s
"""  # noqa: S608  # as above
# Charges that have the same price are summed up here, and priced outside: the price table's rules stay in one place.
_LEDGER = f"""
WITH asked AS ({_ASKED} {{only}})
SELECT {{keys}}, c.model AS priced, coalesce(a.inference_geo, '') AS geo, coalesce(a.kind = 'repair', false) AS repair,
       c.estimated, count(*) AS calls, sum(c.cost_usd) AS cost_usd, max(c.started_at) AS at,
       max(prompt.tokens) AS prompt_tokens,
       sum(c.input_tokens) AS input, sum(c.cache_write_5m_tokens) AS cache_write_5m,
       sum(c.cache_write_1h_tokens) AS cache_write_1h
  FROM asked
  JOIN teams_charge c ON c.generation_id = asked.id
 CROSS JOIN LATERAL (
     SELECT c.input_tokens + c.cache_write_5m_tokens + c.cache_write_1h_tokens + c.cache_read_tokens AS tokens
 ) prompt
  LEFT JOIN text2sql_attempt a ON a.id = c.attempt_id
 WHERE NOT asked.failed AND NOT c.cached
 GROUP BY {{keys}}, priced, geo, repair, c.estimated, width_bucket(c.started_at, %(moments)s::timestamptz[]),
          width_bucket(prompt.tokens - 1, %(tiers)s::int[])
"""  # noqa: S608  # all parts are written here
_OF_SESSIONS = "AND (g.team_id, g.session_id) IN (SELECT * FROM unnest(%(names)s::text[], %(sessions)s::text[]))"


def _figures(span: Span, order: Order, rows: int) -> dict[Grouping, Rows]:
    found: dict[Grouping, Rows] = defaultdict(list)
    for row in _rows(_FIGURES.format(order=_ORDERS[order]), span, {"rows": rows}):
        found[Grouping(row["grouping"])].append(row)
    for grouping, sql in ((Grouping.SESSIONS, _SESSIONS), (Grouping.QUESTIONS, _REPEATED)):
        values = {"rows": rows, "marks": f"{FINAL_MARKS} "}
        found[grouping] = _rows(sql.format(order=_ORDERS[order]), span, values)
    return found


def _charges(span: Span) -> dict[Grouping, Charges]:
    """By all that they may be grouped by at once, and then by each."""
    found: dict[Grouping, Charges] = {grouping: defaultdict(list) for grouping in Grouping}
    sql = _LEDGER.format(only="", keys="asked.database, asked.prompt, asked.model")
    for row in _rows(sql, span, _price_steps()):
        found[Grouping.ALL]["", ""].append(row)
        for grouping, name in _KEYS.items():
            found[grouping][row[name], ""].append(row)
    return found


def _session_charges(span: Span, keys: Sequence[tuple[str, str]]) -> Charges:
    found: Charges = defaultdict(list)
    sql = _LEDGER.format(only=_OF_SESSIONS, keys="asked.team, asked.session")
    names = {"names": [team for team, _ in keys], "sessions": [session for _, session in keys]}
    for row in _rows(sql, span, _price_steps() | names):
        found[row["team"], row["session"]].append(row)
    return found


def _price_steps() -> dict[str, list[Any]]:
    """Where prices change: by time, and by the size of a prompt."""
    prices = list(Price.objects.values_list("effective_from", "above_tokens"))
    return {
        "moments": sorted({moment for moment, _ in prices}), "tiers": sorted({tokens for _, tokens in prices if tokens})
    }  # fmt: skip


def _rows(sql: str, span: Span, values: dict[str, Any]) -> Rows:
    with connection.cursor() as cursor:
        # Lists go as arrays, which the stubs of Django's cursor do not know.
        given: dict[str, Any] = {"teams": list(span.team_ids), "start": span.start, "end": span.end} | values
        cursor.execute(sql, given)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _ranking(found: Rows, charges: Charges) -> Ranking:
    return Ranking(
        groups=tuple(_group(row, charges.get(_key(row), [])) for row in found),
        found=found[0]["found"] if found else 0,
        repeats_usd=(found[0]["all_repeats_usd"] if found else None) or Decimal(0),
    )


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["first"], row["second"]


def _group(row: dict[str, Any], charges: list[dict[str, Any]]) -> Group:
    repairs = [charge for charge in charges if charge["repair"]]
    repairs_usd = sum((charge["cost_usd"] for charge in repairs), Decimal(0))
    levers = [
        Lever(Cause.FAILURES, row["failed"], row["failed_usd"]),
        Lever(Cause.REPAIRS, sum(charge["calls"] for charge in repairs), repairs_usd),
        _cache_reads([charge for charge in charges if not (charge["repair"] or charge["estimated"])]),
        Lever(Cause.REPEATS, row["misses"], Decimal(row["misses_usd"] or 0), Decimal(row["first_usd"] or 0)),
    ]  # fmt: skip
    return Group(
        key=_key(row), label=row["label"], questions=row["questions"], cost_usd=row["cost_usd"], p50_ms=row["p50_ms"],
        p95_ms=row["p95_ms"], asked=row["asked"], input_tokens=int(row["input_tokens"]),
        cache_read_tokens=int(row["cache_read_tokens"]), repaired=row["repaired"], failed=row["failed"],
        levers=tuple(sorted((one for one in levers if one.saving_usd > 0), key=lambda one: -one.saving_usd)),
    )  # fmt: skip


def _cache_reads(charges: list[dict[str, Any]]) -> Lever:
    tokens, paid, needed = 0, Decimal(0), Decimal(0)
    for charge in charges:
        usage = TokenUsage(*(int(charge[kind]) for kind in ("input", "cache_write_5m", "cache_write_1h")))
        try:
            price = price_find(model=charge["priced"], at=charge["at"], prompt_tokens=charge["prompt_tokens"])
        except PriceUnknown:
            continue  # its row was taken away since
        times = Decimal(1) if charge["geo"] in ANYWHERE else price.geo_us_multiplier or Decimal(1)
        tokens += usage.prompt
        each = (
            usage.input * price.input
            + usage.cache_write_5m * price.cache_write_5m
            + usage.cache_write_1h * price.cache_write_1h
        )
        paid += (each * times).scaleb(-6)
        needed += (usage.prompt * price.cache_read * times).scaleb(-6)
    return Lever(Cause.CACHE_READS, tokens, paid, needed)
