"""An evaluation whose process is killed goes on where it was."""

import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from tests.processes import PROJECT, child_environment
from tests.text2sql.services.conftest import Asker
from tests.text2sql.services.test_evaluation import GOLD, RIGHT, Played, evaluate, questions
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import EvaluationItem, EvaluationRun
from text2sql.services.evaluation import LEASE

__all__ = ["questions"]


def judged() -> int:
    return EvaluationItem.objects.exclude(outcome="").count()


@pytest.mark.slow
def test_a_killed_run_goes_on_with_what_was_not_judged(
    asker: Asker, settings: Settings, questions: Path, tmp_path: Path
) -> None:
    with ClaudeStandIn(lookup=lambda _, text: Played(text, RIGHT[text]), delay=0.3) as stand_in:
        settings.CLAUDE_STAND_IN_URL = stand_in.base_url
        options = ["--database", "shop", "--file", str(questions), "--concurrency", "1", "--yes"]
        process = subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "manage.py", "evaluate", *options], cwd=PROJECT, env=child_environment(tmp_path),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            ends = time.monotonic() + 90
            while judged() < 3 and process.poll() is None and time.monotonic() < ends:
                time.sleep(0.05)
        finally:
            process.kill()
            process.wait()
        done = judged()
        assert 3 <= done < len(GOLD)
        run = EvaluationRun.objects.get()
        assert run.status == EvaluationRun.Status.RUNNING
        assert run.claimed_until is not None
        assert run.claimed_until <= timezone.now() + LEASE
        EvaluationRun.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
        billed = len(stand_in.billed)
        evaluate(resume=run.pk)
        assert len(stand_in.billed) - billed == len(GOLD) - done
    run.refresh_from_db()
    assert (run.status, run.accuracy) == (EvaluationRun.Status.FINISHED, 1.0)
