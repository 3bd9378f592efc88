"""`manage.py check_budgets`: one round of the scheduled check, now, and every budget's figures."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.core.management import BaseCommand
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from teams.models import BudgetCheck, BudgetWindow
from teams.services.budget_checks import budgets_check, windows_present
from teams.services.langfuse_days import DaySums, window_sums


@dataclass(frozen=True)
class Line:
    """One budget's present window; money in USD, `age` in seconds, Langfuse's figures null where it was never read."""

    scope: str
    period: str
    starts_at: datetime
    ends_at: datetime
    limit_usd: Decimal
    spent_usd: Decimal
    reserved_usd: Decimal
    external_usd: Decimal
    percent: float
    langfuse_usd: Decimal | None
    ledger_usd: Decimal | None
    drift_usd: Decimal | None
    age: int | None


class Command(BaseCommand):
    """Exit code 1 when Langfuse could not be asked; budgets then go on with our ledger."""

    help = "Check every budget against Langfuse now, whatever the schedule says, and print their figures."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print an object instead of a table")

    def handle(self, *, json: bool, **options: Any) -> None:
        check = budgets_check(paced=False)
        now = timezone.now()
        lines = [_line(window, window_sums(window, now=now), now) for window in windows_present(now)]
        self.stdout.write(_document(check, lines) if json else _table(check, lines))
        if check.error:
            sys.exit(1)


def _line(window: BudgetWindow, sums: DaySums | None, now: datetime) -> Line:
    used, limit = window.used_usd, window.limit_usd
    return Line(
        scope=window.budget.scope_name,
        period=window.budget.period,
        starts_at=window.starts_at,
        ends_at=window.ends_at,
        limit_usd=limit,
        spent_usd=window.spent_usd,
        reserved_usd=window.reserved_usd,
        external_usd=window.external_usd,
        percent=round(float(used / limit * 100), 1) if limit else 100.0,
        langfuse_usd=sums.ours_usd if sums else None,
        ledger_usd=sums.ledger_usd if sums else None,
        drift_usd=sums.drift_usd if sums else None,
        age=int((now - window.external_at).total_seconds()) if window.external_at else None,
    )


def _document(check: BudgetCheck, lines: Sequence[Line]) -> str:
    told = {
        "error": check.error, "questions": check.calls, "days_left": check.days_left,
        "budgets": [asdict(line) for line in lines],
    }  # fmt: skip
    return json.dumps(told, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)


HEAD = (
    "scope",
    "period",
    "window",
    "limit",
    "spent",
    "reserved",
    "external",
    "%",
    "Langfuse",
    "ledger",
    "drift",
    "age",
)
LEFT = 3
"""So many columns are texts."""


def _table(check: BudgetCheck, lines: Sequence[Line]) -> str:
    rows = [HEAD, *(_cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    printed = [
        "  ".join(
            f"{cell:<{w}}" if n < LEFT else f"{cell:>{w}}" for n, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    told = f"{check.windows} windows, {check.calls} questions to Langfuse, {check.days_left} days left for later rounds"
    failed = f"\nFAILED: {check.error}" if check.error else ""
    return "\n".join([*(line.rstrip() for line in printed), "", told]) + failed


def _cells(line: Line) -> tuple[str, ...]:
    return (
        line.scope, line.period, f"{line.starts_at:%Y-%m-%d %H:%M} UTC", *map(_usd, (
            line.limit_usd, line.spent_usd, line.reserved_usd, line.external_usd
        )), f"{line.percent:.1f}", *map(_usd, (line.langfuse_usd, line.ledger_usd, line.drift_usd)),
        "never" if line.age is None else f"{line.age // 60} min",
    )  # fmt: skip


def _usd(amount: Decimal | None) -> str:
    return "–" if amount is None else f"{amount:.4f}"
