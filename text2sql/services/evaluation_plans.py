"""Scheduled evaluations: a team's approved examples are asked again every so often, and people are told of a drop.

A plan is claimed by one worker, and its run has a claim of its own, which is renewed every few seconds while somebody
works on it. So a plan whose worker was killed is taken up by the next one, and its run goes on where it was.
"""

import logging
import time
from datetime import timedelta
from functools import lru_cache
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from observability.encryption import UnreadableSecret
from observability.models import Alert
from observability.services.alerts import alert_raise
from observability.services.audit import change_audited
from teams.access import Principal
from teams.services.budget_alerts import recipients
from text2sql.models import EvaluationItem, EvaluationPlan, EvaluationRun
from text2sql.problems import Problem
from text2sql.services.crew import Crew
from text2sql.services.databases import target_probe
from text2sql.services.evaluation import PAUSED, RunTaken, run_open, run_work
from text2sql.services.evaluation_changes import Change, questions_newly_wrong, run_change
from text2sql.services.evaluation_sources import SourceUnreadable, questions_approved
from text2sql.services.generation import Trial
from text2sql.services.rules import rules_current
from text2sql.services.targets import Target, target_find
from text2sql.targets.errors import TargetError

logger = logging.getLogger(__name__)

ACTOR, SOURCE = "schedule", "examples"
CONCURRENCY = 2
SLICE_SECONDS = 300.0
"""How long a run is worked on at a time, so that other plans have their turn and one that is switched off ends."""
LEASE = timedelta(minutes=2)
"""Long enough to begin a run; from then on the run's own claim keeps other workers away."""
WAIT = timedelta(hours=1)
"""Before a run that was stopped, as by a budget, is tried again."""
GIVE_UP = timedelta(days=1)
TOLD = 10
PLAN_TERMS = ["enabled", "every_days", "question_limit", "drop_points"]


def plan_save(*, plan: EvaluationPlan, actor: str) -> EvaluationPlan:
    """Store what people may set, and nothing that the worker writes; a shorter time also holds for the next run."""
    with change_audited(
        plan, actor=actor, target=plan.access.database.name, scope=plan.access.team_id, fields=PLAN_TERMS
    ):
        if plan._state.adding:
            plan.save(force_insert=True)
        else:
            stored = EvaluationPlan.objects.get(pk=plan.pk)
            soonest = timezone.now() + timedelta(days=plan.every_days)
            plan.next_run_at = min(stored.next_run_at, soonest) if stored.next_run_at else None
            plan.save(update_fields=[*PLAN_TERMS, "next_run_at"])
    return plan


@lru_cache(maxsize=1)
def plan_crew() -> Crew:
    """The thread of this process that evaluates: the worker's own stay free for its other tasks."""
    return Crew(1, name="evaluation-plan")


def plans_start() -> bool:
    """Set the thread to work on what is due; False where nothing is, or it is at work."""
    return bool(_due_ids()) and plan_crew().start(_work_off)


def _work_off() -> None:
    try:
        plans_run()
    finally:
        connection.close()


def plans_run(*, slice_seconds: float = SLICE_SECONDS) -> int:
    """Give each plan that is due one slice of time. Returns how many had theirs."""
    served = 0
    for plan_id in _due_ids():
        if (plan := _claim(plan_id)) is None:
            continue
        served += 1
        try:
            _serve(plan, slice_seconds)
        except Exception:
            logger.exception("A scheduled evaluation failed, and goes on in an hour: %s", plan)
            EvaluationPlan.objects.filter(pk=plan.pk).update(problem="It failed unexpectedly; the log tells why.")
            _hold(plan, WAIT)
    return served


def _due() -> Q:
    now = timezone.now()
    return (
        Q(enabled=True)
        & (Q(next_run_at=None) | Q(next_run_at__lte=now))
        & (Q(claimed_until=None) | Q(claimed_until__lt=now))
    )


def _due_ids() -> list[UUID]:
    due = EvaluationPlan.objects.filter(_due(), access__team__active=True)
    return list(due.order_by("next_run_at", "pk").values_list("pk", flat=True))


def _claim(plan_id: UUID) -> EvaluationPlan | None:
    # By the row's own columns alone: then of two workers the second sees what the first has written.
    if not EvaluationPlan.objects.filter(_due(), pk=plan_id).update(claimed_until=timezone.now() + LEASE):
        return None
    return EvaluationPlan.objects.select_related("access__team", "access__database", "run").filter(pk=plan_id).first()


def _serve(plan: EvaluationPlan, slice_seconds: float) -> None:
    """Begin the plan's run or go on with it, and note what comes of it."""
    run, principal = _run_in_hand(plan), Principal(actor=ACTOR, team_ids=frozenset({plan.access.team_id}))
    if run is not None and run.status == EvaluationRun.Status.FINISHED:
        _finish(plan, run)
        return
    if run is not None and run.created_at < timezone.now() - GIVE_UP:
        _move_on(plan, problem=f"The run of {run.created_at:%Y-%m-%d %H:%M} UTC was given up. {run.stop_reason}")
        return
    try:
        target = target_find(principal=principal, team_id=plan.access.team_id, name=plan.access.database.name)
        if run is None:
            run = _begin(plan, target, principal)
    except (Problem, SourceUnreadable, TargetError, UnreadableSecret) as error:
        if run is None:
            _move_on(plan, problem=error.detail if isinstance(error, Problem) else str(error))
        else:
            _hold(plan, WAIT)
        return
    ends = time.monotonic() + slice_seconds
    try:
        run = run_work(run, target=target, principal=principal, concurrency=CONCURRENCY, listener=_nobody, ends=ends)
    except RunTaken:  # who works on it will note what comes of it, or this plan comes due again
        return
    if run.status == EvaluationRun.Status.FINISHED:
        _finish(plan, run)
    else:
        _hold(plan, timedelta(0) if run.stop_reason == PAUSED else WAIT)


def _run_in_hand(plan: EvaluationPlan) -> EvaluationRun | None:
    """The run that was begun for the present date and not yet noted as over."""
    run = plan.run
    is_of_before = run is not None and plan.next_run_at is not None and run.created_at <= plan.next_run_at
    return None if is_of_before else run


def _begin(plan: EvaluationPlan, target: Target, principal: Principal) -> EvaluationRun:
    """Raises SourceUnreadable, TargetError or UnreadableSecret."""
    questions = questions_approved(team_id=target.team_id, database=target.name)[: plan.question_limit]
    target_probe(target.url)  # else all would be asked, and none could be judged
    run = _begun(plan) or run_open(
        target=target, principal=principal, trial=Trial(target.ladder.first, rules_current()), source=SOURCE,
        questions=questions, actor=ACTOR,
    )  # fmt: skip
    EvaluationPlan.objects.filter(pk=plan.pk).update(run=run, problem="")
    plan.run = run
    return run


def _begun(plan: EvaluationPlan) -> EvaluationRun | None:
    """One whose worker died before the plan knew of it."""
    mine = EvaluationRun.objects.filter(
        database=plan.access.database_id, team=plan.access.team_id, source=SOURCE, actor=ACTOR
    )
    since = plan.next_run_at or timezone.now() - GIVE_UP
    return mine.exclude(status=EvaluationRun.Status.FINISHED).filter(created_at__gt=since).first()


def _nobody(_item: EvaluationItem) -> None:
    """Nobody watches."""


def _hold(plan: EvaluationPlan, how_long: timedelta) -> None:
    """Leave it alone for so long."""
    EvaluationPlan.objects.filter(pk=plan.pk).update(claimed_until=timezone.now() + how_long if how_long else None)


def _move_on(plan: EvaluationPlan, *, problem: str = "") -> bool:
    """Set the date of the next run; False where another worker has."""
    at = timezone.now() + timedelta(days=plan.every_days)
    mine = EvaluationPlan.objects.filter(pk=plan.pk, next_run_at=plan.next_run_at)
    return bool(mine.update(next_run_at=at, claimed_until=None, problem=problem))


@transaction.atomic
def _finish(plan: EvaluationPlan, run: EvaluationRun) -> None:
    if _move_on(plan) and (change := run_change(run)) is not None:
        fall = round(-100 * change.accuracy(run), 6)
        if fall >= plan.drop_points:
            _tell(plan, run, change)


def _tell(plan: EvaluationPlan, run: EvaluationRun, change: Change) -> None:
    team, database, before = plan.access.team, plan.access.database, change.before
    was, now = (f"{100 * (each.accuracy or 0):.1f} %" for each in (before, run))
    lines = ["The approved questions were asked again.", f"Now: {_told(run)}", f"Before: {_told(before)}"]
    lines.append(f"Newly wrong: {change.newly_wrong}")
    if database.share_text:
        wrong = questions_newly_wrong(run, before)
        lines += [f"- {question[:200]}" for question in wrong[:TOLD]]
        if len(wrong) > TOLD:
            lines.append(f"… and {len(wrong) - TOLD} more")
    lines.append("The admin lists them under Evaluated questions.")
    alert_raise(
        key=f"accuracy_drop:{run.pk}",
        kind="accuracy_drop",
        scope=team.pk,
        level=Alert.Level.WARNING,
        subject=f"{database.name}, {team.name}: accuracy {was} → {now}",
        body="\n".join(lines) + "\n",
        recipients=recipients(team.pk),
        details={"database": database.name, "run": str(run.pk), "before": str(before.pk)},
    )


def _told(run: EvaluationRun) -> str:
    asked = f"{run.correct_count} of {run.question_count} right, {run.failed_count} could not be judged"
    return f"{asked}; by {run.model} under the rules {run.prompt_version}, {run.created_at:%Y-%m-%d %H:%M} UTC"
