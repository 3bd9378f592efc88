"""The pages that a person opens: sign in, choose a database, ask."""

from typing import Any
from uuid import uuid4

from django.contrib.auth.views import LoginView, LogoutView, redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.generic import TemplateView
from django.views.generic.base import View

from teams.access import Principal
from teams.site import may_enter, request_principal
from text2sql.ask.budgets import budget_left
from text2sql.ask.conversations import conversation_turns, conversations_recent
from text2sql.ask.door import may_ask
from text2sql.ask.forms import SignInForm
from text2sql.ask.saved_questions import questions_saved
from text2sql.ask.serializers import SESSION_LENGTH
from text2sql.ask.set_up import access_to_set_up
from text2sql.ask.suggestions import suggestions_of
from text2sql.ask.tables import tables_find
from text2sql.models import DatabaseAccess
from text2sql.pipeline.prompt import QUESTION_LENGTH
from text2sql.problems import Problem
from text2sql.services.clients import claude_name
from text2sql.services.targets import target_find

LAST = "ask-last"
"""In the session: team and database that the person asked last."""


class Page(View):
    """Kept by no browser."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class SignInPage(Page, LoginView):
    template_name = "ask/sign_in.html"
    authentication_form = SignInForm
    next_page = "ask"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if may_ask(request_principal(request)):
            return redirect(self.get_success_url())
        return super().get(request, *args, **kwargs)


class SignOutPage(LogoutView):
    next_page = "ask-sign-in"


class SignedInPage(Page, TemplateView):
    principal: Principal

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.principal = request_principal(request)
        if not may_ask(self.principal):
            return redirect_to_login(request.get_full_path(), reverse("ask-sign-in"))
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(principal=self.principal, may_enter=may_enter(self.principal), **kwargs)

    def accesses(self) -> list[DatabaseAccess]:
        """The databases that the person may ask, with the teams by which they may."""
        opened = DatabaseAccess.objects.visible_to(self.principal).filter(team__active=True)
        return list(opened.select_related("team", "database").order_by("team__name", "database__name"))


class HomePage(SignedInPage):
    """The databases to choose from; straight to the only one or the last one, unless `?all` is asked for."""

    template_name = "ask/home.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        accesses = self.accesses()
        if "all" not in request.GET:
            last = request.session.get(LAST)
            for access in accesses:
                if len(accesses) == 1 or [access.team_id, access.database.name] == last:
                    return redirect("ask-page", access.team_id, access.database.name)
        return self.render_to_response(self.get_context_data(accesses=accesses))


class AskPage(SignedInPage):
    """One database of one team: its tables, the question box, the conversation, and what was asked before."""

    template_name = "ask/page.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        team_id, name = kwargs["team_id"], kwargs["name"]
        opened = DatabaseAccess.objects.visible_to(self.principal).filter(team=team_id, database__name=name)
        access = opened.select_related("team", "database__catalog").first()
        if access is None:
            raise Http404("There is no such database, or it is not your team's.")
        if request.session.get(LAST) != [team_id, name]:
            request.session[LAST] = [team_id, name]
        try:
            target = target_find(principal=self.principal, team_id=team_id, name=name)
        except Problem as problem:
            may_set_up = access_to_set_up(self.principal, team_id, name) is not None
            context = self.get_context_data(access=access, problem=problem, may_set_up=may_set_up)
            return TemplateResponse(request, "ask/unread.html", context, status=problem.type.status)
        session_id = request.GET.get("session", "")[:SESSION_LENGTH]
        turns = conversation_turns(self.principal, target, session_id)
        context = self.get_context_data(
            access=access,
            target=target,
            tables=tables_find(target.view()),
            suggestions=suggestions_of(target, access),
            conversations=conversations_recent(self.principal, target),
            saved=questions_saved(self.principal, team_id=team_id, name=name),
            budget=budget_left(team_id),
            turns=turns,
            session_id=session_id if turns else str(uuid4()),
            is_stand_in=claude_name() != "claude",
            question_length=QUESTION_LENGTH,
        )
        return self.render_to_response(context)
