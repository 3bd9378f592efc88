"""Doors for Celery. The schedule is in settings; what is done is in the services."""

from celery import shared_task
from django.utils import timezone

from text2sql.cache.postgres import entries_purge
from text2sql.services.databases import syncs_run
from text2sql.services.forgetting import removals_run
from text2sql.services.sweeping import questions_sweep


@shared_task
def sync_schemas() -> int:
    return syncs_run()


@shared_task
def sweep_questions() -> int:
    return questions_sweep()


@shared_task
def forget_answers() -> int:
    return removals_run()


@shared_task
def purge_cache() -> int:
    return entries_purge(timezone.now())
