"""An evaluation: verified questions through the whole pipeline, each stored as it comes; what is left goes on later."""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Count, F, Q, Sum
from django.utils import timezone

from teams.access import Principal
from text2sql.models import EvaluationItem, EvaluationRun
from text2sql.services.clients import claude_name
from text2sql.services.connections import connection_release
from text2sql.services.evaluation_sources import VerifiedQuestion
from text2sql.services.generation import Trial
from text2sql.services.judging import Judgement, question_judge
from text2sql.services.rules import Rules
from text2sql.services.targets import Rung, Target

LEASE = timedelta(seconds=30)
"""How long a run whose process was killed looks as if it were still worked on."""
RENEWAL_SECONDS = 5.0
TRIES_IN_FLIGHT = 10
"""How often a question is asked again where the evaluation's own running questions hold the budget."""
STOPPING = frozenset(
    {
        "budget-exhausted", "requests-exhausted", "request-too-expensive", "model-unpriced", "claude-misconfigured",
        "claude-spend-limit",
    }
)  # fmt: skip
"""What would keep every further question from being asked: the run stops and can go on later."""
PAUSED = "Its time was up before all were asked."

Listener = Callable[[EvaluationItem], None]


class RunTaken(Exception):
    """Another process works on the run, or it is finished."""


def run_open(
    *,
    target: Target,
    principal: Principal,
    trial: Trial,
    source: str,
    questions: Sequence[VerifiedQuestion],
    actor: str,
) -> EvaluationRun:
    with transaction.atomic(durable=True):
        run = EvaluationRun.objects.create(
            database_id=target.database_id,
            team_id=target.team_id,
            api_key_id=principal.api_key_id,
            source=source[:200],
            model=trial.rung.model,
            effort=trial.rung.effort,
            prompt_version=trial.rules.version,
            rules=trial.rules.text,
            answered_by=claude_name(),
            actor=actor,
            question_count=len(questions),
            created_at=timezone.now(),
        )
        EvaluationItem.objects.bulk_create(
            EvaluationItem(run=run, number=number, question=each.text, gold=each.sql)
            for number, each in enumerate(questions, 1)
        )
    return run


def run_trial(run: EvaluationRun) -> Trial:
    """How the run's questions are answered; the rules are those it began with."""
    return Trial(Rung(run.model, run.effort), Rules(run.rules, run.prompt_version, run.prompt_version))


def run_work(
    run: EvaluationRun, *, target: Target, principal: Principal, concurrency: int, listener: Listener,
    ends: float = math.inf,
) -> EvaluationRun:  # fmt: skip
    """Ask what was not asked, and then again what failed. Ends finished, or stopped with the reason.

    `ends`: the time.monotonic() from which no further question is asked; where some are left the reason is PAUSED.

    Raises:
        RunTaken: Nothing was done.
    """
    _claim(run)
    open_items = run.items.filter(outcome__in=["", EvaluationItem.Outcome.FAILED]).order_by("outcome", "number")
    working = _Working(run.pk, target, principal, run_trial(run), list(open_items), ends)
    connection_release()
    try:
        working.run(concurrency, listener)
    except KeyboardInterrupt:
        working.reason = "It was interrupted."
    if not working.reason and run.items.filter(outcome="").exists():
        working.reason = PAUSED
    return _close(run, working.reason)


class _Working:
    """The questions of a run, several at a time, until all are asked or nothing more can be."""

    def __init__(
        self, run_id: UUID, target: Target, principal: Principal, trial: Trial, items: list[EvaluationItem],
        ends: float,
    ) -> None:  # fmt: skip
        self.run_id, self.target, self.principal, self.trial, self.items = run_id, target, principal, trial, items
        self.ends = ends
        self.reason = ""
        self._stopped = threading.Event()

    def run(self, concurrency: int, listener: Listener) -> None:
        with ThreadPoolExecutor(concurrency, thread_name_prefix="evaluation") as pool:
            waiting = {pool.submit(self._work, item) for item in self.items}
            try:
                while waiting:
                    done, waiting = wait(waiting, timeout=RENEWAL_SECONDS, return_when=FIRST_COMPLETED)
                    _renew(self.run_id)
                    self._tell(done, listener)
                    if time.monotonic() >= self.ends:
                        self._stopped.set()
            except BaseException:
                self._stopped.set()
                raise

    def _tell(self, done: set[Future[EvaluationItem | None]], listener: Listener) -> None:
        for future in done:
            if (item := future.result()) is not None:
                listener(item)

    def _work(self, item: EvaluationItem) -> EvaluationItem | None:
        """Ask one question and store its outcome; None where it was not asked."""
        try:
            judged = self._judge(item)
            problem = judged.problem if judged else None
            if problem is not None and problem.kind in STOPPING:
                self.reason = str(problem)
                self._stopped.set()
                return None
            return _store(item, judged) if judged else None
        finally:
            connection.close()

    def _judge(self, item: EvaluationItem) -> Judgement | None:
        judged = None
        for _ in range(TRIES_IN_FLIGHT):
            if self._stopped.is_set():
                return None
            judged = question_judge(
                principal=self.principal, target=self.target, trial=self.trial, text=item.question, gold=item.gold
            )
            if judged.problem is None or judged.problem.kind != "budget-in-flight":
                break
            self._stopped.wait(judged.problem.retry_after or 1.0)
        return judged


def _store(item: EvaluationItem, judged: Judgement) -> EvaluationItem:
    generation = judged.generation
    EvaluationItem.objects.filter(pk=item.pk).update(
        outcome=judged.outcome,
        why=judged.why.replace("\x00", "\ufffd"),
        is_weak=judged.is_weak,
        sql=judged.sql,
        generation=generation,
        trace_id=generation.trace_id if generation else "",
        cost_usd=F("cost_usd") + judged.cost_usd,
        latency_ms=generation.latency_ms if generation else None,
        finished_at=timezone.now(),
        next_try_at=timezone.now(),
    )
    item.refresh_from_db()
    return item


def _claim(run: EvaluationRun) -> None:
    now = timezone.now()
    free = EvaluationRun.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), pk=run.pk)
    changes = {"claimed_until": now + LEASE, "status": EvaluationRun.Status.RUNNING, "stop_reason": ""}
    if not free.exclude(status=EvaluationRun.Status.FINISHED, failed_count=0).update(**changes):
        raise RunTaken(
            f"Run {run.pk} is finished, or another process works on it. One that was killed can go on after"
            f" {LEASE.total_seconds():.0f} seconds."
        )


def _renew(run_id: UUID) -> None:
    EvaluationRun.objects.filter(pk=run_id).update(claimed_until=timezone.now() + LEASE)
    connection_release()


def _close(run: EvaluationRun, reason: str) -> EvaluationRun:
    by_outcome = {f"{outcome}_count": Count("pk", filter=Q(outcome=outcome)) for outcome in EvaluationItem.Outcome}
    counts = run.items.aggregate(
        **by_outcome, weak_count=Count("pk", filter=Q(is_weak=True)), cost=Sum("cost_usd"), total=Count("pk")
    )
    cost, total = counts.pop("cost"), counts.pop("total")
    latencies = sorted(ms for ms in run.items.values_list("latency_ms", flat=True) if ms is not None)
    EvaluationRun.objects.filter(pk=run.pk).update(
        **counts,
        status=EvaluationRun.Status.STOPPED if reason else EvaluationRun.Status.FINISHED,
        stop_reason=reason,
        accuracy=None if reason else counts["correct_count"] / total,
        cost_usd=cost,
        latency_p50_ms=_percentile(latencies, 0.5),
        latency_p95_ms=_percentile(latencies, 0.95),
        claimed_until=None,
        finished_at=timezone.now(),
    )
    run.refresh_from_db()
    return run


def _percentile(ordered: Sequence[int], share: float) -> int | None:
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
