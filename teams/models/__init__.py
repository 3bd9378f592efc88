from teams.models.api_keys import ApiKey
from teams.models.budgets import Budget, BudgetCheck, BudgetWindow, Reservation
from teams.models.charges import Charge
from teams.models.teams import Membership, Team

__all__ = ["ApiKey", "Budget", "BudgetCheck", "BudgetWindow", "Charge", "Membership", "Reservation", "Team"]
