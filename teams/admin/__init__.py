"""The admin's rooms for teams, people, keys, money and what observability keeps for them."""

from teams.admin import alerts, api_keys, budgets, checks, model_limits, prices, records, schedules, teams, users

__all__ = [
    "alerts",
    "api_keys",
    "budgets",
    "checks",
    "model_limits",
    "prices",
    "records",
    "schedules",
    "teams",
    "users",
]
