"""What people are told when a team's questions fail."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, QuerySet

from observability.models import Alert
from observability.services.alerts import alert_raise
from teams.models import Team
from teams.services.budget_alerts import recipients
from text2sql.models import Generation
from text2sql.problems import PROBLEMS

HOUR = timedelta(hours=1)
LEAST_QUESTIONS = 10
PERCENT = 20

# A budget that refuses does what it is there for.
_REFUSED_BY_A_BUDGET = [name for name, problem in PROBLEMS.items() if problem.status == 402]


def error_alerts_raise(now: datetime) -> int:
    """Tell of the teams of whose questions in the last hour one in five or more failed; returns how many were told.

    Not again within an hour, and only where there were ten questions. Call it outside a transaction.
    """
    # The index is by team and creation; no question takes an hour.
    teams = list(Team.objects.filter(active=True).values_list("pk", flat=True))
    asked = Generation.objects.filter(team__in=teams, created_at__gt=now - 2 * HOUR)
    ended = asked.filter(finished_at__gt=now - HOUR, finished_at__lte=now).exclude(problem__in=_REFUSED_BY_A_BUDGET)
    failed = Count("pk", filter=Q(status=Generation.Status.FAILED))
    failing: Iterable[Mapping[str, Any]] = (
        ended.order_by().values("team").annotate(count=Count("pk"), failed=failed)
        .filter(count__gte=LEAST_QUESTIONS, failed__gte=F("count") * PERCENT / 100.0).order_by("team")
    )  # fmt: skip
    return sum(_tell(row, ended, now) for row in failing)


def _tell(row: Mapping[str, Any], ended: QuerySet[Generation], now: datetime) -> bool:
    team = Team.objects.get(pk=row["team"])
    if Alert.objects.filter(kind="error_rate", scope=team.pk, created_at__gt=now - HOUR).exists():
        return False
    failures = ended.filter(team=team, status=Generation.Status.FAILED).order_by().values_list("problem")
    kinds = failures.annotate(count=Count("pk")).order_by("-count", "problem")
    lines = [f"- {problem}: {count}" for problem, count in kinds]
    raised = alert_raise(
        # Two workers that look at the same moment tell it once.
        key=f"error_rate:{team.pk}:{now:%Y%m%dT%HZ}",
        kind="error_rate",
        scope=team.pk,
        level=Alert.Level.CRITICAL,
        subject=f"{team.name}: {row['failed']} of {row['count']} questions failed in the last hour",
        body="The questions failed for these reasons:\n" + "\n".join(lines) + "\n",
        recipients=recipients(team.pk),
        details={"failed": row["failed"], "questions": row["count"]},
    )
    return raised is not None
