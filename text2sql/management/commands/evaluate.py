import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from observability.langfuse.client import LangfuseUnavailable
from observability.services.prices import PriceUnknown
from teams.access import Principal
from teams.models import ApiKey
from teams.services.keys import key_principal
from text2sql.models import DatabaseAccess, EvaluationItem, EvaluationRun
from text2sql.problems import Problem
from text2sql.services.evaluation import RunTaken, run_open, run_work
from text2sql.services.evaluation_changes import run_change
from text2sql.services.evaluation_estimates import evaluation_estimate
from text2sql.services.evaluation_sources import (
    SourceUnreadable,
    VerifiedQuestion,
    questions_approved,
    questions_of_file,
    questions_recorded,
)
from text2sql.services.generation import Trial
from text2sql.services.rules import rules_current, rules_of
from text2sql.services.targets import Rung, Target, target_find
from text2sql.services.usage import money_text

ACTOR = "command:evaluate"
BELOW, STOPPED = 1, 3
BAR = 30
TOLD = 20

HELP = """Asks verified questions of a database and tells how many answers are right, what they cost and how long they
took. Each question goes the whole way of an ordinary one, but past the answer cache; both queries are run read-only,
and their rows are compared.

Exit status: 0; 1 if the accuracy is below --fail-under, or nothing could be started; 3 if the run was stopped (by the
budget, or by Ctrl-C) and can go on with --resume.
"""


class Command(BaseCommand):
    help = HELP

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        return super().create_parser(prog_name, subcommand, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--database", metavar="NAME")
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--examples", action="store_true", help="the questions that the team has approved")
        source.add_argument("--recorded", action="store_true", help="the questions that a demo database comes with")
        source.add_argument(
            "--file", type=Path, help="CSV or a JSON object a line, with question and sql; Defog's format too"
        )
        source.add_argument("--resume", type=UUID, metavar="RUN", help="go on with a run that was stopped or killed")
        parser.add_argument("--team", metavar="SLUG", help="who pays; needed where several teams have the database")
        parser.add_argument("--key", metavar="PREFIX", help="the API key whose team and budgets pay, t2s_…")
        parser.add_argument("--model", default="", help="the team's own unless given")
        parser.add_argument("--effort", default="", help="the team's own unless a model or this is given")
        parser.add_argument(
            "--prompt-version", default="", metavar="V", help="a number of the prompt managed in Langfuse, or ours"
        )
        parser.add_argument("--concurrency", type=int, default=4, metavar="N")
        parser.add_argument("--fail-under", type=float, metavar="X", help="percent of right answers")
        parser.add_argument("--limit", type=int, metavar="N", help="the first N questions only")
        parser.add_argument("--yes", action="store_true", help="start without asking")

    def handle(self, *args: Any, **options: Any) -> None:
        given = Namespace(**options)
        if not 1 <= given.concurrency <= 64:  # more threads than that wait for each other
            raise CommandError("--concurrency must be from 1 to 64.")
        if given.limit is not None and given.limit < 1:
            raise CommandError("--limit must be 1 or more.")
        run, target, principal = self._resumed(given) if given.resume else self._opened(given)
        progress = Progress(run, self.stderr)
        try:
            run = run_work(
                run, target=target, principal=principal, concurrency=given.concurrency, listener=progress.note
            )
        except RunTaken as taken:
            raise CommandError(str(taken)) from taken
        progress.end()
        self._report(run)
        if run.status == EvaluationRun.Status.STOPPED:
            told = f"Stopped: {run.stop_reason} Go on with: manage.py evaluate --resume {run.pk}"
            raise CommandError(told, returncode=STOPPED)
        if given.fail_under is not None and 100 * (run.accuracy or 0) < given.fail_under:
            raise CommandError(f"Below {given.fail_under:g} %.", returncode=BELOW)

    def _opened(self, given: Namespace) -> tuple[EvaluationRun, Target, Principal]:
        if not given.database:
            raise CommandError("Name the --database, or a run to --resume.")
        principal, team_id = _payer(given)
        try:
            target = target_find(principal=principal, team_id=team_id, name=given.database)
            trial = _trial(target, given)
            source, questions = _questions(target, given)
        except (Problem, SourceUnreadable, LangfuseUnavailable, ValueError) as error:
            raise CommandError(getattr(error, "detail", "") or str(error)) from error
        self._confirm(target, trial, questions, given)
        run = run_open(target=target, principal=principal, trial=trial, source=source, questions=questions, actor=ACTOR)
        self.stderr.write(f"Run {run.pk}: {run.question_count} questions, {trial.rung.model}, {trial.rules.version}")
        return run, target, principal

    def _resumed(self, given: Namespace) -> tuple[EvaluationRun, Target, Principal]:
        run = EvaluationRun.objects.filter(pk=given.resume).select_related("database", "api_key").first()
        if run is None:
            raise CommandError(f"There is no run {given.resume}.")
        principal = _of_key(run.api_key) if run.api_key else _of_team(run.team_id)
        try:
            return run, target_find(principal=principal, team_id=run.team_id, name=run.database.name), principal
        except Problem as problem:
            raise CommandError(problem.detail) from problem

    def _confirm(self, target: Target, trial: Trial, questions: list[VerifiedQuestion], given: Namespace) -> None:
        try:
            estimate = evaluation_estimate(target, trial, [question.text for question in questions])
        except PriceUnknown as unknown:
            raise CommandError(str(unknown)) from unknown
        self.stderr.write(
            f"{len(questions)} questions to {trial.rung.model}: about ${money_text(estimate.likely)}"
            f" ({estimate.basis}); at most ${money_text(estimate.bound)},"
            " and more only for answers that are sent back for repair."
        )
        if given.yes:
            return
        if not sys.stdin.isatty():
            raise CommandError("Start it with --yes where nobody can be asked.")
        if input("Start? [y/N] ").strip().lower() not in ("y", "yes"):
            raise CommandError("Not started.")

    def _report(self, run: EvaluationRun) -> None:
        share = "–" if run.accuracy is None else f"{run.accuracy:.1%}"
        others = ", ".join(f"{getattr(run, f'{name}_count')} {name}" for name in ("wrong", "refused", "failed"))
        self.stdout.write(f"accuracy  {share} ({run.correct_count} of {run.question_count} correct; {others})")
        if run.weak_count:
            self.stdout.write(f"weak      {run.weak_count} of the correct ones prove little: no rows were expected")
        self.stdout.write(f"cost      ${money_text(run.cost_usd)}")
        self.stdout.write(f"latency   p50 {run.latency_p50_ms or 0:,} ms, p95 {run.latency_p95_ms or 0:,} ms")
        self.stdout.write(f"answered  by {run.model} ({run.answered_by}), rules {run.prompt_version}")
        if change := run_change(run):
            self.stdout.write(
                f"change    {100 * change.accuracy(run):+.1f} points since {change.before}:"
                f" {change.newly_right} newly right, {change.newly_wrong} newly wrong"
            )
        bad = run.items.exclude(outcome__in=["", EvaluationItem.Outcome.CORRECT])
        for item in bad[:TOLD]:
            self.stdout.write(f"{item.outcome:9} {item.number}. {item}: {item.why}")
        if (more := bad.count() - TOLD) > 0:
            self.stdout.write(f"… and {more} more; the admin lists them.")


class Progress:
    """A bar on a terminal, and a line for each tenth elsewhere."""

    def __init__(self, run: EvaluationRun, out: Any) -> None:
        self.out, self.total = out, run.question_count
        self.done = run.items.exclude(outcome__in=["", EvaluationItem.Outcome.FAILED]).count()
        self.right = run.items.filter(outcome=EvaluationItem.Outcome.CORRECT).count()
        self.cost = run.cost_usd
        self.started_at = timezone.now()

    def note(self, item: EvaluationItem) -> None:
        self.done, self.cost = self.done + 1, self.cost + item.cost_usd
        self.right += item.outcome == EvaluationItem.Outcome.CORRECT
        told = f"{self.done}/{self.total}  {self.right} right  ${money_text(self.cost)}"
        if self.out.isatty():
            filled = BAR * self.done // self.total
            self.out.write(f"\r[{'#' * filled}{'.' * (BAR - filled)}] {told} ", ending="")
            self.out.flush()
        elif self.done * 10 // self.total > (self.done - 1) * 10 // self.total:
            self.out.write(told)

    def end(self) -> None:
        if self.out.isatty():
            self.out.write("")


def _payer(given: Namespace) -> tuple[Principal, str]:
    if given.key:
        key = ApiKey.objects.filter(prefix=given.key.removeprefix("t2s_")).first()
        if key is None or key.revoked_at or (key.expires_at and key.expires_at <= timezone.now()):
            raise CommandError(f"There is no API key {given.key} that can be used.")
        if given.team not in (None, key.team_id):
            raise CommandError(f"The key {given.key} belongs to {key.team_id}.")
        return _of_key(key), key.team_id
    teams = sorted(DatabaseAccess.objects.filter(database__name=given.database).values_list("team_id", flat=True))
    if given.team is None and len(teams) != 1:
        raise CommandError(f"Name the --team that pays. {given.database} is open to: {', '.join(teams) or 'none'}.")
    team_id = given.team or teams[0]
    return _of_team(team_id), team_id


def _of_key(key: ApiKey) -> Principal:
    return key_principal(key_id=key.pk, prefix=key.prefix, team_id=key.team_id, scopes=key.scopes)


def _of_team(team_id: str) -> Principal:
    return Principal(actor=ACTOR, team_ids=frozenset({team_id}))


def _trial(target: Target, given: Namespace) -> Trial:
    own = target.ladder.first
    rung = Rung(given.model or own.model, given.effort or ("" if given.model else own.effort))
    return Trial(rung, rules_of(given.prompt_version) if given.prompt_version else rules_current())


def _questions(target: Target, given: Namespace) -> tuple[str, list[VerifiedQuestion]]:
    if given.examples:
        source, found = "examples", questions_approved(team_id=target.team_id, database=target.name)
    elif given.recorded:
        source, found = "recorded", questions_recorded(target.name)
    elif given.file:
        source, found = given.file.name, questions_of_file(given.file, database=target.name)
    else:
        raise SourceUnreadable("Say where the questions are from: --file, --recorded or --examples.")
    return source, found[: given.limit]
