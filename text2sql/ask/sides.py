"""The parts at the page's sides, each as the piece of HTML that the page was made with."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from rest_framework.request import Request

from text2sql.api.auth import principal_of
from text2sql.ask.budgets import budget_left
from text2sql.ask.conversations import conversations_recent
from text2sql.ask.door import AskView
from text2sql.ask.saved_questions import question_remove, question_save, questions_saved
from text2sql.ask.serializers import SaveSerializer
from text2sql.ask.tables import tables_find
from text2sql.services.targets import Target, target_find


class SideView(AskView):
    def target(self, team_id: str, name: str) -> Target:
        return target_find(principal=principal_of(self.request), team_id=team_id, name=name)

    def piece(self, template: str, **context: Any) -> HttpResponse:
        return render(self.request, f"ask/{template}", context)


class TablesView(SideView):
    """Tables, columns and comments that the team sees; `?q=` looks for words in them."""

    def get(self, request: Request, team_id: str, name: str) -> HttpResponse:
        found = tables_find(self.target(team_id, name).view(), request.query_params.get("q", "")[:100])
        return self.piece("tables.html", tables=found)


class HistoryView(SideView):
    def get(self, request: Request, team_id: str, name: str) -> HttpResponse:
        target = self.target(team_id, name)
        conversations = conversations_recent(principal_of(request), target)
        return self.piece("history.html", conversations=conversations, time_zone=target.time_zone)


class BudgetView(SideView):
    def get(self, request: Request, team_id: str, name: str) -> HttpResponse:
        target = self.target(team_id, name)
        return self.piece("budget.html", budget=budget_left(target.team_id), time_zone=target.time_zone)


class SavedView(SideView):
    def saved(self, team_id: str, name: str) -> HttpResponse:
        return self.piece("saved.html", saved=questions_saved(principal_of(self.request), team_id=team_id, name=name))


class SaveView(SavedView):
    def post(self, request: Request, team_id: str, name: str) -> HttpResponse:
        body = SaveSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        question_save(principal_of(request), self.target(team_id, name), body.validated_data["question"])
        return self.saved(team_id, name)


class RemoveView(SavedView):
    def delete(self, request: Request, team_id: str, name: str, saved_id: UUID) -> HttpResponse:
        question_remove(principal_of(request), team_id=team_id, name=name, saved_id=saved_id)
        return self.saved(team_id, name)
