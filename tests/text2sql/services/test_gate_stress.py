"""Processes at budgets that run out, killed in between: `python -m tests.benchmarks.gate`, but small."""

from pathlib import Path

import pytest

from teams.models import Budget
from tests.benchmarks.audit import TOLD_SPENT, Audit
from tests.benchmarks.stress import Stress


@pytest.mark.slow
@pytest.mark.services
@pytest.mark.timeout(300)
@pytest.mark.django_db(transaction=True)
def test_no_budget_is_passed_and_no_money_stays_held_whoever_is_killed(shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "processes"
    folder.mkdir()
    stress = Stress(shop, folder, questions=240, processes=2, threads=8, kills=2)
    stress.run(patient=False)
    audit = Audit(stress)
    overspent = audit.overspent()
    assert overspent.keys() == {str(budget) for budget in Budget.objects.exclude(at_limit="alert")}
    assert set(overspent.values()) == {0}
    assert audit.faults() == []
    # It was about something: processes died, questions were answered, and others were refused for want of money.
    assert stress.killed == 2
    assert len(stress.outcomes) < stress.questions
    assert sum(one.billed > 0 for one in audit.attempts) > 50
    assert sum(audit.refusals().values()) > 20
    assert audit.phantoms()[TOLD_SPENT] == 0
