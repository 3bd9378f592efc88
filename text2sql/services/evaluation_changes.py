"""What has changed since the last run of the same questions."""

from dataclasses import dataclass

from text2sql.models import EvaluationItem, EvaluationRun


@dataclass(frozen=True)
class Change:
    """What differs from the run before, of the same database and source; questions are matched by their text."""

    before: EvaluationRun
    newly_right: int
    newly_wrong: int

    def accuracy(self, run: EvaluationRun) -> float:
        """From -1 to 1."""
        return (run.accuracy or 0.0) - (self.before.accuracy or 0.0)


def run_change(run: EvaluationRun) -> Change | None:
    """Against the last finished run before it; None for the first."""
    before = EvaluationRun.objects.filter(
        database=run.database_id, source=run.source, status=EvaluationRun.Status.FINISHED, created_at__lt=run.created_at
    ).first()
    if before is None:
        return None
    right = EvaluationItem.Outcome.CORRECT
    now, then = (dict(each.items.values_list("question", "outcome")) for each in (run, before))
    common = now.keys() & then.keys()
    return Change(
        before,
        newly_right=sum(now[text] == right and then[text] != right for text in common),
        newly_wrong=sum(now[text] != right and then[text] == right for text in common),
    )
