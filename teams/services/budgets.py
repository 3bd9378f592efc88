"""The gate: hold the worst case, call, settle the true cost. Each step is the caller's short transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from observability.services.prices import TokenUsage
from teams.models import Budget
from teams.services.budget_alerts import thresholds_tell
from teams.services.windows import budgets_applying, windows_open


@dataclass(frozen=True)
class Spender:
    """Who spends: a team, by one of its keys or (no key) by a person."""

    team_id: str
    api_key_id: UUID | None = None
    end_user: str = ""


@dataclass(frozen=True)
class BudgetState:
    """The window that leaves a spender the least, as it was at one moment."""

    budget_id: int
    starts_at: datetime
    scope: str
    """`organisation`, `team` or `key`."""
    period: str
    limit_usd: Decimal
    """With the window's top-ups."""
    spent_usd: Decimal
    external_usd: Decimal
    reserved_usd: Decimal
    resets_at: datetime

    @property
    def remaining_usd(self) -> Decimal:
        """Never below zero."""
        return max(self.limit_usd - self.spent_usd - self.external_usd - self.reserved_usd, Decimal(0))


@dataclass
class BudgetExceeded(Exception):
    """A budget does not allow this call."""

    reason: str
    """`budget_exhausted`, `requests_exhausted`, `in_flight` (other questions hold the rest), `request_too_expensive`
    or `degrade` (the cheaper model may be asked)."""
    state: BudgetState
    needed_usd: Decimal
    at: datetime
    cap_usd: Decimal | None = None
    may_degrade: bool = False
    """A budget that applies would rather have the cheaper model asked than refuse."""

    def __str__(self) -> str:
        period = f"{self.state.period}'s budget of the {self.state.scope}"
        sentences = {
            "budget_exhausted": f"This {period} is spent.",
            "requests_exhausted": f"This {period} allows no further questions.",
            "in_flight": f"The rest of this {period} is held by running questions; try again shortly.",
            "request_too_expensive": f"This question could cost more than {self._allowed()} allows.",
            "degrade": f"This {period} is nearly spent; only the cheaper model may be asked.",
        }
        return sentences[self.reason]

    def _allowed(self) -> str:
        whole = f"the whole {self.state.period}'s budget of the {self.state.scope}"
        return whole if self.cap_usd is None else f"the budget of the {self.state.scope} for one call"


def budget_reserve(
    *,
    attempt_id: UUID,
    generation_id: UUID,
    spender: Spender,
    least: Decimal,
    most: Decimal,
    now: datetime,
    expires_at: datetime,
    degraded: bool = False,
    is_new_question: bool = True,
) -> Decimal:
    """Hold between `least` and `most` USD in every window that applies, or nothing in any; returns what is held.

    One statement, in the caller's transaction. `degraded`: this call already is of the cheaper model.

    Raises:
        BudgetExceeded: At least one window has too little left.
    """
    values = {
        "team": spender.team_id, "key": spender.api_key_id, "least": least, "most": most, "attempt": attempt_id,
        "generation": generation_id, "now": now, "expires": expires_at, "degraded": degraded,
        "questions": int(is_new_question),
    }  # fmt: skip
    rows = _rows(_RESERVE, values)
    while not rows[0]["complete"]:
        # The first question of a period opens its windows; again where a budget was made meanwhile.
        windows_open(budgets_applying(team_id=spender.team_id, api_key_id=spender.api_key_id), at=now)
        rows = _rows(_RESERVE, values)
    if not rows[0]["granted"]:
        raise _refusal(rows, least=least, degraded=degraded, questions=int(is_new_question), now=now)
    held: Decimal = rows[0]["amount"]
    return held


def charge_settle(
    *,
    attempt_id: UUID,
    spender: Spender,
    model: str,
    database: str,
    usage: TokenUsage,
    cost: Decimal | None,
    estimated: bool = False,
    now: datetime,
) -> Decimal | None:
    """Turn a reservation into a charge in the windows that held it, and give the rest back.

    `cost` None books the whole reservation: the bill will never be known, so its upper bound stands (give `estimated`).
    Settling twice changes nothing. Returns what was charged, None where there was no reservation any more. Alerts for
    the thresholds that this crosses are raised in the same transaction.
    """
    with connection.cursor() as cursor:
        # First alone: who opens a window hands running reservations over to it, and the booking below must see that.
        cursor.execute(
            "DELETE FROM teams_reservation WHERE attempt_id = %s"
            " RETURNING generation_id, amount_usd, window_ids, created_at",
            [attempt_id],
        )
        lease = cursor.fetchone()
    if lease is None:
        return None
    generation_id, amount, window_ids, started_at = lease
    charged: Decimal = amount if cost is None else cost
    _book(
        spender, usage, attempt=attempt_id, generation=generation_id, windows=window_ids, held=amount, cost=charged,
        model=model, database=database, estimated=estimated, started=started_at, now=now, cached=False,
    )  # fmt: skip
    return charged


def charge_cached(
    *, generation_id: UUID, spender: Spender, model: str, database: str, cost: Decimal, now: datetime
) -> None:
    """Book what reading a cached answer cost; never refused."""
    windows = windows_open(budgets_applying(team_id=spender.team_id, api_key_id=spender.api_key_id), at=now)
    _book(
        spender, TokenUsage(), attempt=generation_id, generation=generation_id, windows=[w.pk for w in windows],
        held=Decimal(0), cost=cost, model=model, database=database, estimated=False, started=now, now=now, cached=True,
    )  # fmt: skip


def budget_state(spender: Spender, *, now: datetime) -> BudgetState | None:
    """The window that leaves the spender the least; None where no budget limits it."""
    rows = _rows(_STATE, _whose(spender, now))
    if any(row["window_id"] is None for row in rows):
        # Nothing was asked in this period yet, or only what was cached.
        windows_open(budgets_applying(team_id=spender.team_id, api_key_id=spender.api_key_id), at=now)
        rows = _rows(_STATE, _whose(spender, now))
    limits = [row for row in rows if row["window_id"] is not None and row["at_limit"] != Budget.AtLimit.ALERT]
    return _state(min(limits, key=_free)) if limits else None


def _book(spender: Spender, usage: TokenUsage, *, windows: Sequence[int], **values: Any) -> None:
    tokens = {name: count for name, count in asdict(usage).items() if name != "thinking"}
    values |= {"windows": list(windows), "team": spender.team_id, "key": spender.api_key_id} | tokens
    rows = _rows(_BOOK, values | {"end_user": spender.end_user})
    thresholds_tell([row for row in rows if row["budget_id"] is not None], added=values["cost"])


def _whose(spender: Spender, now: datetime) -> dict[str, Any]:
    return {"team": spender.team_id, "key": spender.api_key_id, "now": now}


def _rows(statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        columns = [column.name for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


_APPLYING = """
    SELECT id, team_id, api_key_id, period, limit_usd, at_limit, degrade_from, request_limit, request_cap_usd
    FROM teams_budget
    WHERE team_id IS NULL OR (team_id = %(team)s AND (api_key_id IS NULL OR api_key_id = %(key)s::uuid))
"""

_WINDOWS = """
    SELECT w.id AS window_id, w.budget_id, w.starts_at, w.ends_at, w.spent_usd, w.external_usd, w.reserved_usd,
        w.requests, b.limit_usd + w.top_up_usd AS limit_usd, b.period, b.at_limit, b.degrade_from, b.request_limit,
        b.request_cap_usd, b.team_id, b.api_key_id,
        b.at_limit = 'degrade' AND (
            (w.spent_usd + w.external_usd) * 100 >= (b.limit_usd + w.top_up_usd) * b.degrade_from
            OR coalesce(w.requests * 100 >= b.request_limit::numeric * b.degrade_from, false)
        ) AS nearly_used
    FROM teams_budgetwindow w JOIN applying b ON b.id = w.budget_id
    WHERE w.starts_at <= %(now)s AND w.ends_at > %(now)s
"""

_STATE = f"""
    WITH applying AS ({_APPLYING}), present AS ({_WINDOWS})
    SELECT present.* FROM applying LEFT JOIN present ON present.budget_id = applying.id
"""  # noqa: S608  # put together from the constants above

# Windows are locked in the order of their ids, so that questions under several budgets cannot deadlock. Under READ
# COMMITTED a row that was waited for is read anew, so `locked` sees what the transaction before has booked. Where a
# window is missing none is locked: opening it waits for those that settle, and they wait for the windows.
_RESERVE = f"""
    WITH applying AS ({_APPLYING}), present AS ({_WINDOWS}),
    locked AS (
        {_WINDOWS} AND (SELECT count(*) FROM present) = (SELECT count(*) FROM applying)
        ORDER BY w.id FOR UPDATE OF w
    ), room AS (
        SELECT
            least(
                %(most)s::numeric,
                min(limit_usd - spent_usd - external_usd - reserved_usd) FILTER (WHERE at_limit <> 'alert'),
                min(request_cap_usd)
            ) AS amount,
            count(*) = (SELECT count(*) FROM applying) AS complete,
            coalesce(bool_or(nearly_used), false) AND NOT %(degraded)s AS degrade,
            coalesce(bool_or(at_limit <> 'alert' AND requests + %(questions)s > request_limit), false) AS asked_out
        FROM locked
    ), verdict AS (
        SELECT amount, complete,
            complete AND NOT degrade AND NOT asked_out AND amount >= %(least)s::numeric AS granted
        FROM room
    ), held AS (
        UPDATE teams_budgetwindow w
        SET reserved_usd = w.reserved_usd + verdict.amount, requests = w.requests + %(questions)s
        FROM verdict, locked WHERE verdict.granted AND w.id = locked.window_id
    ), lease AS (
        INSERT INTO teams_reservation (
            attempt_id, generation_id, team_id, api_key_id, amount_usd, window_ids, created_at, expires_at
        )
        SELECT %(attempt)s, %(generation)s, %(team)s, %(key)s, amount,
            coalesce((SELECT array_agg(window_id ORDER BY window_id) FROM locked), '{{}}'), %(now)s, %(expires)s
        FROM verdict WHERE verdict.granted
    )
    SELECT verdict.*, locked.* FROM verdict LEFT JOIN locked ON true
"""  # noqa: S608  # put together from the constants above

_BOOK = """
    WITH locked AS (
        SELECT w.id, w.budget_id, w.starts_at, w.ends_at, w.external_usd, w.spent_usd + %(cost)s::numeric AS spent_usd,
            b.limit_usd + w.top_up_usd AS limit_usd, b.thresholds
        FROM teams_budgetwindow w JOIN teams_budget b ON b.id = w.budget_id
        WHERE w.id = ANY(%(windows)s) ORDER BY w.id FOR UPDATE OF w
    ), booked AS (
        UPDATE teams_budgetwindow w
        SET reserved_usd = w.reserved_usd - %(held)s, spent_usd = w.spent_usd + %(cost)s
        FROM locked WHERE w.id = locked.id
    ), charge AS (
        INSERT INTO teams_charge (
            id, attempt_id, generation_id, team_id, api_key_id, end_user, database, model, cost_usd, cached, estimated,
            started_at, charged_at,
            input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens, output_tokens
        ) VALUES (
            gen_random_uuid(), %(attempt)s, %(generation)s, %(team)s, %(key)s, %(end_user)s, %(database)s, %(model)s,
            %(cost)s, %(cached)s, %(estimated)s, %(started)s, %(now)s,
            %(input)s, %(cache_write_5m)s, %(cache_write_1h)s, %(cache_read)s, %(output)s
        ) RETURNING id
    )
    SELECT locked.* FROM charge LEFT JOIN locked ON true
"""


def _free(row: Mapping[str, Any]) -> Decimal:
    free: Decimal = row["limit_usd"] - row["spent_usd"] - row["external_usd"] - row["reserved_usd"]
    return free


def _state(row: Mapping[str, Any]) -> BudgetState:
    return BudgetState(
        budget_id=row["budget_id"],
        starts_at=row["starts_at"],
        scope="organisation" if row["team_id"] is None else "team" if row["api_key_id"] is None else "key",
        period=row["period"],
        limit_usd=row["limit_usd"],
        spent_usd=row["spent_usd"],
        external_usd=row["external_usd"],
        reserved_usd=row["reserved_usd"],
        resets_at=row["ends_at"],
    )


def _refusal(
    rows: list[dict[str, Any]], *, least: Decimal, degraded: bool, questions: int, now: datetime
) -> BudgetExceeded:
    """The reason that waiting helps least comes first."""
    limits = sorted((row for row in rows if row["at_limit"] != Budget.AtLimit.ALERT), key=_free)
    may_degrade = not degraded and any(row["at_limit"] == Budget.AtLimit.DEGRADE for row in limits)
    for row in sorted(rows, key=_free):
        cap = row["request_cap_usd"]
        if cap is not None and least > cap:
            return BudgetExceeded("request_too_expensive", _state(row), least, now, cap, may_degrade)
    for row in limits:
        if row["request_limit"] is not None and row["requests"] + questions > row["request_limit"]:
            return BudgetExceeded("requests_exhausted", _state(row), least, now, may_degrade=may_degrade)
    tightest = limits[0]
    spent_out = [row for row in limits if _free(row) + row["reserved_usd"] < least]
    if may_degrade and any(row["nearly_used"] for row in limits):
        reason = "degrade"
    elif any(least > row["limit_usd"] for row in spent_out):
        reason, tightest = "request_too_expensive", next(row for row in spent_out if least > row["limit_usd"])
    elif spent_out:
        reason, tightest = "budget_exhausted", max(spent_out, key=lambda row: row["ends_at"])
    else:
        reason = "in_flight"
    return BudgetExceeded(reason, _state(tightest), least, now, may_degrade=may_degrade)
