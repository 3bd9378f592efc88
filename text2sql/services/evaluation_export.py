"""Evaluations in Langfuse: the questions as a data set, each run as an experiment on it, with a score for each answer.

What is sent at once is the data set; the experiment's items are spans of the answers' own traces, and they and the
scores go out with all the others.
"""

import hashlib
import json
import time

from django.db import transaction

from observability.langfuse.client import langfuse_configured
from observability.langfuse.datasets import DatasetItem
from observability.services.datasets import DatasetSender, ItemSending, ItemSent, datasets_are_open
from observability.services.deliveries import LEASE, SENDING, ExportOutcome
from observability.services.traces import ObservationRecord
from text2sql.models import EvaluationItem, EvaluationRun, Generation
from text2sql.services.outcomes import generation_score, generation_trace_add

SCORE = "accuracy"
Outcome = EvaluationItem.Outcome


def evaluations_export(*, limit: int = 100) -> ExportOutcome:
    """Send what is due; what was judged only. Running twice is harmless: all ids follow from ours."""
    if not langfuse_configured() or not datasets_are_open():
        return ExportOutcome()
    judged = EvaluationItem.objects.filter(outcome__in=[Outcome.CORRECT, Outcome.WRONG, Outcome.REFUSED])
    items = judged.claim(limit=limit, lease=LEASE)
    outcome, sender, ends = ExportOutcome(claimed=len(items)), DatasetSender(), time.monotonic() + SENDING
    for place, item in enumerate(items):
        if time.monotonic() > ends or outcome.postponed:
            EvaluationItem.objects.release(items[place:])
            outcome.postponed += len(items[place:])
            break
        _export(item, sender, outcome)
    return outcome


def dataset_name(database: str) -> str:
    return f"text2sql:{database}"


def experiment_name(run: EvaluationRun) -> str:
    return f"{run.model} {run.prompt_version} {run.created_at:%Y-%m-%d %H:%M:%S} UTC"


def _export(item: EvaluationItem, sender: DatasetSender, outcome: ExportOutcome) -> None:
    run = EvaluationRun.objects.select_related("database").get(pk=item.run_id)
    generation = item.generation
    sending = ItemSending(ItemSent.TAKEN)
    if run.database.share_text:
        sending = sender.send(_dataset_item(item, run))
    match sending.sent:
        case ItemSent.TAKEN:
            with transaction.atomic(durable=True):
                if generation is not None:
                    _tell(item, run, generation, sending.dataset_id)
                EvaluationItem.objects.note_delivered([item])
            outcome.delivered += 1
        case ItemSent.REJECTED:
            EvaluationItem.objects.note_failed([item], error=sending.error)
            outcome.failed, outcome.error = outcome.failed + 1, sending.error
        case ItemSent.POSTPONED:
            EvaluationItem.objects.note_postponed([item], error=sending.error)
            outcome.postponed, outcome.error = outcome.postponed + 1, sending.error


def _dataset_item(item: EvaluationItem, run: EvaluationRun) -> DatasetItem:
    return DatasetItem(
        id=_item_id(item, run),
        dataset=dataset_name(run.database.name),
        input={"question": item.question},
        expected_output={"sql": item.gold},
        metadata={"source": run.source, "database": run.database.name},
    )


def _item_id(item: EvaluationItem, run: EvaluationRun) -> str:
    return hashlib.sha256(f"{run.database_id}:{item.question}".encode()).hexdigest()[:32]


def _tell(item: EvaluationItem, run: EvaluationRun, generation: Generation, dataset_id: str) -> None:
    """The experiment's item and the score. Nothing of the experiment where the database shares no text."""
    generation_score(generation, SCORE, passed=item.outcome == Outcome.CORRECT, comment=item.why)
    judged_at = item.finished_at
    if not dataset_id or judged_at is None:
        return
    conditions = {"model": run.model, "effort": run.effort, "prompt_version": run.prompt_version, "source": run.source}
    observation = ObservationRecord(
        key=f"evaluation:{item.pk}",
        parent="root",
        name="evaluate_sql",
        started_at=judged_at,
        ended_at=judged_at,
        input={"question": item.question},
        output=item.sql,
        metadata={"outcome": item.outcome, "weak": item.is_weak, "evaluation_run": str(run.pk)},
        experiment={
            "id": run.pk.hex,
            "name": experiment_name(run),
            "metadata": json.dumps(conditions),
            "dataset_id": dataset_id,
            "item_id": _item_id(item, run),
            "item_expected_output": item.gold,
        },
    )
    generation_trace_add(generation, observation)
