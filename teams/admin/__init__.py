"""The admin's rooms for teams, people, keys, money and what observability keeps for them."""

from teams.admin import api_keys, budgets, prices, records, teams, users

__all__ = ["api_keys", "budgets", "prices", "records", "teams", "users"]
