"""Doors for Celery. The schedule is in settings; what is done is in the services."""

from celery import shared_task
from django.utils import timezone

from observability.services.deliveries import drain
from text2sql.cache.postgres import entries_purge
from text2sql.services.drafts import drafts_run
from text2sql.services.error_alerts import error_alerts_raise
from text2sql.services.evaluation_export import evaluations_export
from text2sql.services.evaluation_plans import plans_start
from text2sql.services.flights import flights_prune
from text2sql.services.forgetting import removals_prune, removals_run
from text2sql.services.idempotency import keys_prune
from text2sql.services.jobs import questions_answer
from text2sql.services.prefixes import prefixes_count, prefixes_prune
from text2sql.services.question_days import days_count
from text2sql.services.retention import questions_prune
from text2sql.services.retrieval import indexes_build, indexes_prune
from text2sql.services.sweeping import questions_sweep
from text2sql.services.syncing import syncs_run
from text2sql.services.warmth import prefixes_cold


@shared_task
def export_evaluations() -> None:
    drain(evaluations_export)


@shared_task
def run_evaluation_plans() -> bool:
    return plans_start()


@shared_task
def sync_schemas() -> int:
    return syncs_run()


@shared_task
def sweep_questions() -> int:
    return questions_sweep()


@shared_task
def answer_queued() -> int:
    return questions_answer()


@shared_task
def prune_idempotency_keys() -> int:
    return keys_prune(timezone.now())


@shared_task
def forget_answers() -> int:
    return removals_run()


@shared_task(time_limit=120)  # an answer that trickles in for ever; its row comes due when its lease ends
def count_prefixes() -> int:
    return prefixes_count()


@shared_task
def prune_prefixes() -> int:
    now = timezone.now()
    return prefixes_prune(now) + prefixes_cold(now)


@shared_task
def draft_descriptions() -> int:
    return drafts_run()


@shared_task
def build_indexes() -> int:
    return indexes_build()


@shared_task
def prune_indexes() -> int:
    return indexes_prune(timezone.now())


@shared_task
def purge_cache() -> int:
    now = timezone.now()
    return entries_purge(now) + flights_prune(now) + removals_prune(now)


@shared_task
def count_days() -> int:
    return days_count(timezone.now())


@shared_task
def prune_questions() -> int:
    return questions_prune(timezone.now())


@shared_task
def watch_errors() -> int:
    return error_alerts_raise(timezone.now())
