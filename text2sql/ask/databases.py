"""Adding a database in three steps: its URL, the reading of its tables by the worker, its starter questions.

Leads add to the teams that they lead, admins to every active one. To everybody else these addresses do not exist.
"""

from typing import Any

from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from rest_framework.request import Request

from teams.access import Principal
from teams.site import may_enter, request_principal
from text2sql.api.auth import principal_of
from text2sql.ask.door import may_ask
from text2sql.ask.forms import STARTER_LENGTH, DatabaseForm, StartersForm
from text2sql.ask.pages import SignedInPage
from text2sql.ask.set_up import access_to_set_up
from text2sql.ask.sides import SideView
from text2sql.models import Database, DatabaseAccess
from text2sql.problems import not_found
from text2sql.services.databases import database_add
from text2sql.services.starters import MOST_STARTERS, starters_set
from text2sql.services.syncing import sync_request

SPARE_ROWS = 2
"""Empty ones below the questions, for a browser without scripts."""
UNDER_WAY = (Database.SyncState.REQUESTED, Database.SyncState.RUNNING)


class LeadPage(SignedInPage):
    """A page that is not there for those who lead no team."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal = request_principal(request)
        if may_ask(principal) and not may_enter(principal):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


@method_decorator(sensitive_post_parameters("url"), name="dispatch")
class AddPage(LeadPage):
    """The URL, tried out before it is stored."""

    template_name = "ask/add_database.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._shown(DatabaseForm(principal=self.principal))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = DatabaseForm(request.POST, principal=self.principal)
        if form.is_valid() and (database := self._added(form)):
            return redirect("ask-reading", form.cleaned_data["team"].pk, database.name)
        for name in list(form.errors)[:1]:
            if name in form.fields:
                form.fields[name].widget.attrs["autofocus"] = True
        return self._shown(form)

    def _added(self, form: DatabaseForm) -> Database | None:
        told = form.cleaned_data
        try:
            return database_add(
                name=told["name"],
                url=told["url"],
                description=told["description"],
                teams=[told["team"]],
                actor=self.principal.actor,
            )
        except IntegrityError:  # somebody took the name while the database was tried out
            form.name_is_taken()
            return None

    def _shown(self, form: DatabaseForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form, step=1))


class SetUpPage(LeadPage):
    """A step of a database that the person may set up; else it is not there."""

    access: DatabaseAccess

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        principal = request_principal(request)
        if may_ask(principal):
            self.access = _access(principal, kwargs["team_id"], kwargs["name"])
        return super().dispatch(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(access=self.access, database=self.access.database, **kwargs)


class ReadingPage(SetUpPage):
    """How far the worker is with the tables; posting has it read them (again)."""

    template_name = "ask/read_database.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.render_to_response(self.get_context_data(step=2, **_reading(self.access)))

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        database = self.access.database
        if database.sync_state not in UNDER_WAY:
            sync_request(database=database, actor=self.principal.actor)
        return redirect("ask-reading", self.access.team_id, database.name)


class ReadingView(SideView):
    """The same, for the page's script to look at every second."""

    def get(self, request: Request, team_id: str, name: str) -> HttpResponse:
        principal = principal_of(request)
        access = access_to_set_up(principal, team_id, name)
        if access is None:
            raise not_found("database")
        return self.piece(
            "reading.html", access=access, database=access.database, principal=principal, **_reading(access)
        )


class StartersPage(SetUpPage):
    """The questions that are suggested first: those read off the tables, to keep, change and remove."""

    template_name = "ask/starters.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.access.database.catalog is None:
            return redirect("ask-reading", self.access.team_id, self.access.database.name)
        return self._shown(self.access.database.starter_questions)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        form = StartersForm(request.POST)
        if not form.is_valid():
            return self._shown(request.POST.getlist("question"), form)
        database = self.access.database
        starters_set(database=database, questions=form.cleaned_data["question"], actor=self.principal.actor)
        return redirect("ask-page", self.access.team_id, database.name)

    def _shown(self, questions: list[str], form: StartersForm | None = None) -> HttpResponse:
        spare = max(min(SPARE_ROWS, MOST_STARTERS - len(questions)), 0)
        context = self.get_context_data(
            rows=[*questions, *[""] * spare], form=form, most=MOST_STARTERS, length=STARTER_LENGTH, step=3
        )
        return self.render_to_response(context)


def _access(principal: Principal, team_id: str, name: str) -> DatabaseAccess:
    access = access_to_set_up(principal, team_id, name)
    if access is None:
        raise Http404
    return access


def _reading(access: DatabaseAccess) -> dict[str, Any]:
    database = access.database
    tables = database.catalog.schema.tables if database.catalog else ()
    return {
        "table_count": len(tables),
        "column_count": sum(len(table.columns) for table in tables),
        "is_under_way": database.sync_state in UNDER_WAY,
        "has_failed": database.sync_state == Database.SyncState.FAILED,
        "is_running": database.sync_state == Database.SyncState.RUNNING,
    }
