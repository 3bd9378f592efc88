"""Doors for Celery; what is done is in the services."""

from celery import shared_task

from teams.services.budget_checks import budgets_check


@shared_task
def check_budgets() -> int:
    return budgets_check()
