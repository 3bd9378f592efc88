"""An evaluation read back from Langfuse's stand-in: the data set, the experiment on it, and the scores."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from observability.models import Channel, Score, Trace
from observability.services.scores import scores_export
from observability.services.traces import traces_export
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse_sender import client_of
from tests.text2sql.services.conftest import Asker
from tests.text2sql.services.test_evaluation import FAULTS, GOLD, RIGHT, evaluate, playing, questions
from text2sql.models import Database, EvaluationItem, EvaluationRun
from text2sql.services.evaluation_export import evaluations_export
from text2sql.tasks import export_evaluations

__all__ = ["questions"]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
DATASETS, ITEMS = "/api/public/v2/datasets", "/api/public/dataset-items"


def export_all() -> None:
    export_evaluations()
    traces_export()
    scores_export()


def due_now() -> None:
    Channel.objects.update(closed_until=None)
    EvaluationItem.objects.exclude(state="delivered").update(next_try_at=timezone.now())


def test_a_run_becomes_an_experiment_on_the_databases_data_set(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    with playing(settings, RIGHT | FAULTS):
        evaluate(file=questions)
    export_all()
    run, client = EvaluationRun.objects.get(), client_of(langfuse)
    dataset = client.datasets.get("text2sql:shop")
    listed = client.dataset_items.list(dataset_name="text2sql:shop", limit=100).data
    assert {item.input["question"]: item.expected_output["sql"] for item in listed} == GOLD
    (experiment,) = client.experiments.list(from_start_time=LONG_AGO, fields="core,metadata").data
    assert (experiment.id, experiment.dataset_id, experiment.item_count) == (run.pk.hex, dataset.id, len(GOLD))
    assert experiment.name.startswith(f"{run.model} {run.prompt_version} 20")
    assert experiment.metadata == {
        "model": run.model, "effort": run.effort, "prompt_version": run.prompt_version, "source": questions.name,
    }  # fmt: skip
    items = client.experiments.list_items(from_start_time=LONG_AGO, fields="core,dataset,io,scores", limit=100).data
    assert {item.experiment_item_id for item in items} == {item.id for item in listed}
    outcomes = {item.trace_id: item.outcome for item in run.items.all()}
    for item in items:
        assert item.scores is not None
        scores = {score.name: score.value for score in item.scores}
        assert scores["accuracy"] == (outcomes[item.trace_id] == "correct")
    assert sum(outcome == "correct" for outcome in outcomes.values()) == len(GOLD) - len(FAULTS)


def test_a_second_run_shares_the_items_and_is_an_experiment_of_its_own(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions)
        evaluate(file=questions)
    export_all()
    client = client_of(langfuse)
    assert len(client.dataset_items.list(dataset_name="text2sql:shop", limit=100).data) == len(GOLD)
    assert len(client.experiments.list(from_start_time=LONG_AGO).data) == 2


def test_langfuse_being_down_delays_the_export_and_not_the_run(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    langfuse.refuse()
    with playing(settings, RIGHT):
        assert "100.0%" in evaluate(file=questions)
    outcome = evaluations_export()
    assert (outcome.delivered, outcome.postponed) == (0, len(GOLD))
    assert evaluations_export().claimed == 0  # the channel is closed
    langfuse.accept()
    due_now()
    assert evaluations_export().delivered == len(GOLD)
    assert not EvaluationItem.objects.exclude(state="delivered").exists()


def test_an_answer_that_is_lost_is_asked_for_again_and_nothing_is_doubled(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions, limit=3)
    langfuse.fail(status=503, path=ITEMS)
    assert evaluations_export().postponed == 3
    due_now()
    assert evaluations_export().delivered == 3
    export_all()
    (experiment,) = client_of(langfuse).experiments.list(from_start_time=LONG_AGO).data
    assert experiment.item_count == 3


def test_what_langfuse_refuses_is_not_sent_again(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions, limit=2)
    langfuse.fail(status=400, path=ITEMS)
    outcome = evaluations_export()
    assert (outcome.failed, outcome.delivered) == (1, 1)
    assert "400" in EvaluationItem.objects.get(state="failed").last_error
    due = EvaluationItem.objects.filter(state="pending")
    assert not due.exists()


def test_of_a_database_that_shares_no_text_only_the_scores_are_told(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, questions: Path
) -> None:
    Database.objects.update(share_text=False)
    with playing(settings, RIGHT):
        evaluate(file=questions, limit=2)
    export_all()
    assert not client_of(langfuse).datasets.list().data
    assert [score.name for score in langfuse.scores()].count("accuracy") == 2
    assert not any("customers" in str(payload) for payload in Trace.objects.values_list("payload", flat=True))


def test_nothing_is_told_where_langfuse_is_not_configured(asker: Asker, settings: Settings, questions: Path) -> None:
    with playing(settings, RIGHT):
        evaluate(file=questions, limit=1)
    export_evaluations()
    assert EvaluationItem.objects.get().state == "pending"
    assert not Score.objects.exists()


@pytest.mark.parametrize("failed", [True, False])
def test_only_what_was_judged_is_exported(
    asker: Asker, settings: Settings, langfuse: LangfuseStandIn, tmp_path: Path, *, failed: bool
) -> None:
    path = tmp_path / "one.jsonl"
    sql = "SELECT nothing FROM nowhere" if failed else GOLD["How many customers are there?"]
    path.write_text(f'{{"question": "How many customers are there?", "sql": "{sql}"}}')
    with playing(settings, RIGHT):
        evaluate(file=path)
    assert evaluations_export().claimed == (0 if failed else 1)
