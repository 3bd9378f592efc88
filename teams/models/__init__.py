from teams.models.api_keys import ApiKey
from teams.models.budgets import Budget, BudgetWindow, Reservation, TopUp
from teams.models.charges import Charge
from teams.models.checks import BudgetCheck, LangfuseDay
from teams.models.model_limits import ModelLimit
from teams.models.teams import Membership, Team

__all__ = [
    "ApiKey",
    "Budget",
    "BudgetCheck",
    "BudgetWindow",
    "Charge",
    "LangfuseDay",
    "Membership",
    "ModelLimit",
    "Reservation",
    "Team",
    "TopUp",
]
