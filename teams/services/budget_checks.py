"""The scheduled check: every window counted anew, Langfuse's figures by day beside our ledger, what others spent.

Langfuse down, slow or wrong never stops the gate: it goes on with the ledger, and with the figures that were read last.
"""

import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from observability.langfuse.client import LangfuseUnavailable, langfuse_configured
from observability.models import Alert
from observability.services.alerts import alert_raise
from observability.services.costs import Questions, questions_per_hour
from observability.services.sightings import traces_since
from teams.models import Budget, BudgetCheck, BudgetWindow, LangfuseDay, Team
from teams.services.budget_alerts import recipients, thresholds_tell
from teams.services.drift import drifts_tell
from teams.services.langfuse_days import (
    FINAL_AFTER,
    QUESTIONS_PER_DAY,
    Day,
    day_read,
    days_covered,
    days_due,
    window_days,
)
from teams.services.model_limits import model_limits_observe
from teams.services.spend_alerts import spend_alerts_raise
from teams.services.windows import window_external, window_recount, windows_open

logger = logging.getLogger(__name__)

ROUND_QUESTIONS = 60
ROUND_SECONDS = 180.0
FAILURES = 3
KEEP = timedelta(days=30)
KEEP_STRANGERS = timedelta(days=90)
"""For so long the days of users without a team are kept."""
LONGEST_PERIOD = timedelta(days=32)


def budgets_check(*, now: datetime | None = None, paced: bool = True) -> BudgetCheck:
    """One round; what went wrong with Langfuse is in its `error`.

    `paced`: keep to what Langfuse allows in an hour, and leave what does not fit to later rounds.
    """
    now = now or timezone.now()
    check = BudgetCheck.objects.create(started_at=now)
    windows = _windows(now)
    for window in windows:
        if off := window_recount(window):
            logger.warning("Budget window %s was off by %s USD from its charges", window.pk, off)
    check.windows = len(windows)
    if langfuse_configured():
        questions = Questions(left=_allowed(now) if paced else ROUND_QUESTIONS)
        check.error, check.days_left = _days_read(days_due(days_covered(windows, now=now), now=now), questions, now)
        check.calls = questions.asked
        _externals_count(windows, now)
        drifts_tell(now=now)
    _thresholds_tell_late(windows)
    check.finished_at = max(timezone.now(), now)
    check.save()
    if check.error:
        _failure_tell(check)
    spend_alerts_raise(now)
    _day_begin(now)
    return check


def windows_present(now: datetime) -> list[BudgetWindow]:
    """The windows of the organisation's and all active teams' budgets that hold this moment."""
    return windows_open(_budgets(), at=now)


def _budgets() -> QuerySet[Budget]:
    return Budget.objects.filter(Q(team=None) | Q(team__active=True)).select_related("team", "api_key")


def _windows(now: datetime) -> list[BudgetWindow]:
    """The present windows, and those that have ended since the last complete round could have read their last day."""
    complete = BudgetCheck.objects.filter(started_at__lt=now, finished_at__isnull=False, error="", days_left=0)
    last = complete.values_list("started_at", flat=True).first()
    since = max(last - FINAL_AFTER if last else now - timedelta(days=2), now - LONGEST_PERIOD)
    ended = BudgetWindow.objects.filter(budget__in=_budgets().order_by(), ends_at__gt=since, ends_at__lte=now)
    return [
        *windows_present(now),
        *ended.select_related("budget__team", "budget__api_key").order_by("starts_at", "pk"),
    ]


def _allowed(now: datetime) -> int:
    per_hour = questions_per_hour()
    if per_hour is None:
        return ROUND_QUESTIONS
    # A little less than an hour: rounds that are an hour apart are never so to the millisecond.
    lately = BudgetCheck.objects.filter(started_at__gt=now - timedelta(minutes=59), started_at__lte=now)
    asked: int = lately.aggregate(calls=Sum("calls", default=0))["calls"]
    return max(min(per_hour - asked, ROUND_QUESTIONS), 0)


def _days_read(days: Sequence[Day], questions: Questions, now: datetime) -> tuple[str, int]:
    """Read what may be read; why it ended early, and how many days are left for later rounds."""
    users = list(Team.objects.filter(active=True).values_list("pk", flat=True))
    since, ends = traces_since(), time.monotonic() + ROUND_SECONDS
    for number, day in enumerate(days):
        if questions.left < QUESTIONS_PER_DAY or time.monotonic() > ends:
            return "", len(days) - number
        try:
            day_read(day, users=users, questions=questions, since=since, now=now)
        except LangfuseUnavailable as trouble:
            # It is not asked for the other days: what is slow or busy for one is so for all.
            logger.warning("Langfuse does not tell what was spent: %s", trouble)
            return str(trouble), len(days) - number
    return "", 0


_EXTERNAL = """
    WITH locked AS (SELECT id, external_usd FROM teams_budgetwindow WHERE id = %(window)s FOR UPDATE)
    UPDATE teams_budgetwindow w SET external_usd = %(external)s, external_at = %(at)s
    FROM locked, teams_budget b
    WHERE w.id = locked.id AND b.id = w.budget_id
    RETURNING w.external_usd - locked.external_usd AS added, w.budget_id, w.starts_at, w.ends_at, w.spent_usd,
        w.external_usd, b.limit_usd + w.top_up_usd AS limit_usd, b.thresholds
"""


def _externals_count(windows: Sequence[BudgetWindow], now: datetime) -> None:
    read = {day.bounds: day for day in days_covered(windows, now=now)}
    for window in windows:
        if window.budget.api_key_id is None:
            external, at = window_external(window), _external_at(window, read, now)
            if (external, at) != (window.external_usd, window.external_at):
                _external_count(window, external, at)


def _external_at(window: BudgetWindow, read: dict[tuple[datetime, datetime], Day], now: datetime) -> datetime | None:
    """How old the figure is: the oldest reading of a day that may still change, as before while one was never read."""
    days = [read[bounds] for bounds in window_days(window, now=now)]
    moments = [day.read_at for day in days if day.read_at]
    if len(moments) < len(days):
        return window.external_at
    open_moments = [day.read_at for day in days if day.read_at and day.is_due]
    return min(open_moments) if open_moments else max(moments, default=None)


@transaction.atomic
def _external_count(window: BudgetWindow, external: Decimal, at: datetime | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_EXTERNAL, {"window": window.pk, "external": external, "at": at})
        columns = [column.name for column in cursor.description or ()]
        rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    for row in rows:  # none, where the budget was deleted meanwhile
        thresholds_tell([row], added=row["added"])


def _thresholds_tell_late(windows: Sequence[BudgetWindow]) -> None:
    """Tell of lines that were not crossed by spending: a limit was lowered, or a window's sum set right."""
    rows = BudgetWindow.objects.filter(pk__in=[window.pk for window in windows]).values(
        "pk", "budget_id", "starts_at", "ends_at", "spent_usd", "external_usd",
        limit_usd=F("budget__limit_usd") + F("top_up_usd"), thresholds=F("budget__thresholds"),
    )  # fmt: skip
    for row in rows.order_by("pk"):
        used, named = row["spent_usd"] + row["external_usd"], f"{row['budget_id']}:{row['starts_at']:%Y%m%dT%H%M%SZ}"
        reached = [line for line in row["thresholds"] if 0 < row["limit_usd"] * line <= used * 100]
        told = Alert.objects.filter(key__in=[f"budget:{named}:{line}" for line in reached]) if reached else ()
        if len(told) < len(reached):
            with transaction.atomic():
                # Locked, its budget cannot be deleted meanwhile.
                if BudgetWindow.objects.select_for_update(of=["self"]).filter(pk=row["pk"]).exists():
                    thresholds_tell([row], added=used)


def _failure_tell(check: BudgetCheck) -> None:
    """Tell people once when several rounds in a row have failed."""
    done = BudgetCheck.objects.filter(finished_at__isnull=False, started_at__lte=check.started_at)
    good = done.filter(error="").first()
    failed = done.exclude(error="")
    failures = failed.filter(started_at__gt=good.started_at).count() if good else failed.count()
    if failures < FAILURES:
        return
    alert_raise(
        key=f"budget_check_failing:{good.pk if good else 0}",
        kind="budget_check_failing",
        scope="",
        level=Alert.Level.WARNING,
        subject="Langfuse does not tell what was spent",
        body=(
            f"The check of budgets has failed {failures} times in a row: {check.error}\n"
            "Budgets go on with our own ledger; what is spent outside this platform is counted as it was read last.\n"
        ),
        recipients=recipients(None),
    )


def _day_begin(now: datetime) -> None:
    """What is done with the first round of a day."""
    earlier = BudgetCheck.objects.filter(finished_at__isnull=False, started_at__lt=now, started_at__date=now.date())
    if earlier.exists():
        return
    model_limits_observe(now=now)
    last_good = BudgetCheck.objects.filter(error="", finished_at__isnull=False).values("pk")[:1]
    BudgetCheck.objects.filter(started_at__lt=now - KEEP).exclude(pk__in=last_good).delete()
    LangfuseDay.objects.filter(team=None, ends_at__lt=now - KEEP_STRANGERS).delete()
