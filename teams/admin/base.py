"""The two base classes of every admin page. Whatever door a lead tries, only rows of their own teams are behind it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.contrib.auth.models import User
from django.core import checks
from django.core.exceptions import PermissionDenied
from django.db import models, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import action
from unfold.views import ChangeList

from observability.services.audit import change_audited
from teams.access import Principal, TenantQuerySet
from teams.admin.lists import BoundedChangeList, BoundedPaginator
from teams.models import Team
from teams.site import request_principal

Row = models.Model


def rows_of(principal: Principal, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
    """The rows that a principal may meet in the admin: an admin all, a lead those of the teams they lead."""
    if principal.is_admin:
        return rows
    if isinstance(rows, TenantQuerySet):
        return rows.led_by(principal)
    if rows.model is User:
        return rows.filter(memberships__team__in=principal.lead_team_ids).distinct()
    return rows.none()


class ScopedRelatedFilter(admin.RelatedFieldListFilter):
    """A filter over a foreign key that offers only rows the person may see; Django's own offers all."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        rows = rows_of(request_principal(request), field.remote_field.model._default_manager.all())
        return [(row.pk, str(row)) for row in rows]


class _Scoped:
    """What list pages, forms and inlines have in common."""

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        return rows_of(request_principal(request), super().get_queryset(request))  # type: ignore[misc]  # a mixin

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self._choices(db_field, request))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)  # type: ignore[misc]  # a mixin

    def formfield_for_manytomany(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs.setdefault("queryset", self._choices(db_field, request))
        return super().formfield_for_manytomany(db_field, request, **kwargs)  # type: ignore[misc]  # a mixin

    def _choices(self, db_field: Any, request: HttpRequest) -> models.QuerySet[Any]:
        return rows_of(request_principal(request), db_field.remote_field.model._default_manager.all())


class TeamScopedAdmin(_Scoped, ModelAdmin):
    """Admins may what `admin_may` names with every row, leads what `lead_may` names with rows of their teams.

    The verbs are view, add, change, delete, act: use the page's actions on a row, and export: take its list along
    as a file (teams/admin/exports.py).
    """

    admin_may: ClassVar[frozenset[str]] = frozenset({"view", "add", "change", "delete"})
    lead_may: ClassVar[frozenset[str]] = frozenset()
    # Fields of which the audit tells only that they have changed.
    secrets: ClassVar[frozenset[str]] = frozenset()
    list_per_page = 30
    paginator: ClassVar[Any] = BoundedPaginator
    show_full_result_count = False

    def may(self, verb: str, request: HttpRequest, obj: Any = None) -> bool:
        principal = request_principal(request)
        if verb not in (self.admin_may if principal.is_admin else self.lead_may):
            return False
        if principal.is_admin:
            return True
        if not principal.lead_team_ids:
            return False
        # A form or an action hands over a row that may have been named by a forged request.
        return not isinstance(obj, Row) or self.get_queryset(request).filter(pk=obj.pk).exists()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.may("view", request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may("view", request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may("add", request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may("change", request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may("delete", request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return BoundedChangeList

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> BoundedPaginator:
        paginator: BoundedPaginator = super().get_paginator(request, *args, **kwargs)
        paginator.is_search = bool(request.GET.get(SEARCH_VAR))
        return paginator

    def has_act_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Unfold asks with an id or with nothing, which is about the button; `object_action` asks with the row."""
        return self.may("act", request, obj)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """The query string filters by what the page offers, else it could ask rows about their hidden columns."""
        filters = [_filter_name(entry) for entry in self.list_filter]
        offered = [name for name in (*filters, self.date_hierarchy) if name]
        if not any(lookup == name or lookup.startswith(f"{name}__") for name in offered):
            return False
        allowed: bool = super().lookup_allowed(lookup, value, request)
        return allowed

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # The history of what several teams share names all of them; leads have their teams' audit entries.
        if not request_principal(request).is_admin:
            raise PermissionDenied
        response: HttpResponse = super().history_view(request, object_id, extra_context)
        return response

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        with self.audited(request, obj):
            super().save_model(request, obj, form, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Each row beside the page's own has an entry of its own."""
        rows = formset.save(commit=False)
        for row in formset.deleted_objects:
            with self.audited(request, row):
                row.delete()
        for row in rows:
            with self.audited(request, row):
                row.save()
        formset.save_m2m()

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        with self.audited(request, obj):
            super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        with transaction.atomic():
            for row in queryset:
                self.delete_model(request, row)

    def audited(self, request: HttpRequest, row: Row) -> AbstractContextManager[None]:
        """For what is done to a row without a service that writes its own entry."""
        scope = str(row.pk) if isinstance(row, Team) else getattr(row, "team_id", None) or ""
        return change_audited(row, actor=request_principal(request).actor, scope=scope, secrets=self.secrets)

    def check(self, **kwargs: Any) -> list[checks.CheckMessage]:
        return [*super().check(**kwargs), *self._check_filters()]

    def _check_filters(self) -> list[checks.CheckMessage]:
        errors: list[checks.CheckMessage] = []
        for entry in self.list_filter:
            name, kind = entry if isinstance(entry, tuple | list) else (entry, None)
            if not isinstance(name, str) or not _crosses_a_relation(self.model, name):
                continue
            if not (isinstance(kind, type) and issubclass(kind, ScopedRelatedFilter)):
                hint = "Use (name, ScopedRelatedFilter): other filters offer every team's rows."
                errors.append(checks.Error(f"The filter {name!r} is not scoped.", hint=hint, obj=self, id="teams.E001"))
        return errors


class ReadOnlyAdmin(TeamScopedAdmin):
    """For what nobody edits, admins included: history, money, traces."""

    admin_may = frozenset({"view"})
    lead_may = frozenset({"view"})
    actions: ClassVar[list[Any]] = []


class TeamScopedInline(_Scoped, TabularInline):
    """Children of a page. Only admins edit them; a lead sees those of their teams."""

    extra = 0

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True  # the page around it decides; its rows are scoped

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset = super().get_formset(request, obj, **kwargs)
        # The table's head names a column for the eye only.
        for field in formset.form.base_fields.values():
            field.widget.attrs.setdefault("aria-label", str(field.label))
        return formset

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request_principal(request).is_admin

    has_change_permission = has_delete_permission = has_add_permission


class ReadOnlyInline(TeamScopedInline):
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    has_change_permission = has_delete_permission = has_add_permission


def object_action(
    description: str,
    *,
    title: str,
    text: str,
    submit: str,
    icon: str = "",
    form_class: type[forms.Form] | None = None,
    verb: str = "act",
) -> Callable[[Callable[..., str]], Any]:
    """An action on one row, behind a dialog (so: POST and CSRF). The handler gets the row, never an id.

    The handler is `(self, request, obj, form) -> str`: the URL to go to. Whoever may not act on the row gets a 404,
    as if there were none. Another `verb` than "act" is asked of the page by its own `has_<verb>_permission`.
    """
    dialog: dict[str, Any] = {"title": title, "description": text, "form_submit_text": submit}
    if form_class is not None:
        dialog["form_class"] = form_class

    def decorate(handler: Callable[..., str]) -> Any:
        def run(self: TeamScopedAdmin, request: HttpRequest, form: Any, object_id: str) -> HttpResponse:
            obj = self.get_object(request, object_id)
            if obj is None or not self.may(verb, request, obj):
                raise Http404
            url = handler(self, request, obj, form)
            # The dialog posts through htmx, which would follow a redirect inside the dialog.
            return HttpResponse(headers={"HX-Redirect": url}) if "HX-Request" in request.headers else redirect(url)

        run.__name__ = handler.__name__
        return action(description=description, permissions=[verb], icon=icon or None, dialog=dialog)(run)

    return decorate


def _filter_name(entry: Any) -> str:
    """The field that a filter of a page is over, or the parameter of one that is over none."""
    if isinstance(entry, type):
        return str(entry.parameter_name)  # type: ignore[attr-defined]  # a SimpleListFilter
    return str(entry if isinstance(entry, str) else entry[0])


def _crosses_a_relation(model: type[Row], path: str) -> bool:
    return model._meta.get_field(path.split("__", maxsplit=1)[0]).is_relation
