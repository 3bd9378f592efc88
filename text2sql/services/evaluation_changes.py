"""What has changed since the last run of the same questions."""

from dataclasses import dataclass

from text2sql.models import EvaluationItem, EvaluationRun


@dataclass(frozen=True)
class Change:
    """What differs from the run before, of the same team, database and source; questions are matched by their text."""

    before: EvaluationRun
    newly_right: int
    newly_wrong: int

    def accuracy(self, run: EvaluationRun) -> float:
        """From -1 to 1."""
        return (run.accuracy or 0.0) - (self.before.accuracy or 0.0)


def run_change(run: EvaluationRun) -> Change | None:
    """Against the last finished run before it; None for the first."""
    before = EvaluationRun.objects.filter(
        database=run.database_id, team=run.team_id, source=run.source, status=EvaluationRun.Status.FINISHED,
        created_at__lt=run.created_at,
    ).first()  # fmt: skip
    if before is None:
        return None
    newly_right, newly_wrong = (len(_only_right_in(*runs)) for runs in ((run, before), (before, run)))
    return Change(before, newly_right, newly_wrong)


def questions_newly_wrong(run: EvaluationRun, before: EvaluationRun) -> list[str]:
    """The questions of both that were answered right before and are not now, in their order."""
    return _only_right_in(before, run)


def _only_right_in(run: EvaluationRun, other: EvaluationRun) -> list[str]:
    right = EvaluationItem.Outcome.CORRECT
    outcomes, others = (dict(each.items.values_list("question", "outcome")) for each in (run, other))
    return [text for text, outcome in outcomes.items() if outcome == right != others.get(text, right)]
