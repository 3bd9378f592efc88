"""Drift: what Langfuse says of our own questions, beside our ledger. Shown, looked into, told, never charged."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Q, Sum
from django.db.models.functions import Coalesce

from observability.models import Alert
from observability.services.alerts import alert_raise
from observability.services.sightings import traces_look_again
from teams.models import Budget, Charge, LangfuseDay, Team
from teams.services.budget_alerts import recipients
from teams.services.windows import window_bounds

LAG = timedelta(minutes=2)
"""What was charged within it may not be shown by Langfuse yet."""
EDGE = timedelta(seconds=5)
"""A call begins so much after its money was held, perhaps on the other side of midnight."""
NOISE = Decimal("1e-9")
"""What Langfuse's binary numbers are off by, for each charge."""
DRIFT_LASTS = timedelta(hours=1)
TOLD_FOR = timedelta(days=7)
CENT, PERCENT = Decimal("0.01"), Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Ledger:
    """A team's charges on one day in USD: their sum, and between what bounds Langfuse's figure may lie."""

    usd: Decimal = Decimal(0)
    least: Decimal = Decimal(0)
    most: Decimal = Decimal(0)


def ledgers_of(starts_at: datetime, ends_at: datetime, *, since: datetime | None, now: datetime) -> dict[str, Ledger]:
    """The ledger by team. What was booked is what was told to Langfuse, so corrections do not count.

    `since`: charges before it were never traced, None: none was.
    """
    charges = Charge.objects.filter(cached=False, started_at__gte=starts_at - EDGE, started_at__lt=ends_at + EDGE)
    surely = Q(started_at__gte=max(starts_at + EDGE, since or ends_at), started_at__lt=ends_at - EDGE)
    cost = Coalesce("booked_usd", "cost_usd")
    sums = charges.order_by().values("team").annotate(
        usd=Sum(cost, filter=Q(started_at__gte=starts_at, started_at__lt=ends_at), default=Decimal(0)),
        least=Sum(cost, filter=surely & Q(charged_at__lte=now - LAG), default=Decimal(0)),
        most=Sum(cost),
        count=Count("pk"),
    )  # fmt: skip
    return {
        row["team"]: Ledger(row["usd"], row["least"] - row["count"] * NOISE, row["most"] + row["count"] * NOISE)
        for row in sums
    }


def drift_of(ours: Decimal, ledger: Ledger) -> Decimal:
    """How far Langfuse's figure lies outside what the ledger and the lag explain; negative where Langfuse has less."""
    if ours < ledger.least:
        return ours - ledger.least
    return max(ours - ledger.most, Decimal(0)) if ours > ledger.most + NOISE else Decimal(0)


def is_drifting(day: LangfuseDay) -> bool:
    """Whether the drift is more than a cent and 1 % of the larger figure."""
    line: Decimal = max(CENT, PERCENT * max(day.ours_usd, day.ledger_usd))
    return bool(abs(day.drift_usd) > line)


def drifts_tell(*, now: datetime) -> int:
    """Raise an alert for each team and day that has drifted for an hour; returns how many."""
    lasting = LangfuseDay.objects.filter(drift_since__lte=now - DRIFT_LASTS, drift_since__gt=now - TOLD_FOR)
    days = {_key(day): day for day in lasting.exclude(team=None).select_related("team") if _is_told(day, day.team)}
    told = set(Alert.objects.filter(key__in=days).values_list("key", flat=True))
    return sum(_tell(key, day, day.team) for key, day in sorted(days.items()) if key not in told)


def _key(day: LangfuseDay) -> str:
    return f"drift:{day.team_id}:{day.starts_at:%Y%m%dT%H%M%SZ}"


def _is_told(day: LangfuseDay, team: Team | None) -> bool:
    """The same drift is seen in days by other clocks too: the team's own tells of it, where it is read."""
    if team is None:
        return False
    own = window_bounds(Budget.Period.DAY, team.time_zone, day.starts_at)
    if own == (day.starts_at, day.ends_at):
        return True
    return not LangfuseDay.objects.filter(user_id="", starts_at=own[0], ends_at=own[1]).exists()


@transaction.atomic
def _tell(key: str, day: LangfuseDay, team: Team | None) -> bool:
    less, name = day.drift_usd < 0, str(team)
    alert = alert_raise(
        key=key,
        kind="drift",
        scope=day.user_id,
        level=Alert.Level.WARNING,
        subject=f"{name}: Langfuse and our ledger differ for {day.day}",
        body=(
            f"On {day.day} ({day.time_zone}) {name} spent {day.ledger_usd:.4f} USD by our ledger and"
            f" {day.ours_usd:.4f} USD by Langfuse: {abs(day.drift_usd):.4f} USD {'less' if less else 'more'}"
            " than its delay explains, for an hour.\n"
            "Our ledger is what budgets go by; nothing is charged for the difference.\n"
            + (
                "What Langfuse does not show is being looked for and sent again.\n"
                if less
                else "A batch that Langfuse stored twice counts twice until it merges it.\n"
            )
        ),
        recipients=recipients(day.user_id),
        details={"ledger_usd": day.ledger_usd, "langfuse_usd": day.ours_usd, "drift_usd": day.drift_usd},
    )
    if alert is not None and less:
        traces_look_again(user_id=day.user_id, starts_at=day.starts_at, ends_at=day.ends_at)
    return alert is not None
