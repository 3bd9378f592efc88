from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.decorators import display
from unfold.views import ChangeList
from unfold.widgets import UnfoldAdminTextareaWidget

from teams.access import Principal
from teams.admin.base import ScopedRelatedFilter, TeamScopedAdmin, object_action
from teams.site import request_principal
from text2sql.admin.sql_blocks import SQL_JS, sql_block
from text2sql.models import Example, ExampleUse, Generation
from text2sql.pipeline.guard import GuardedStatement
from text2sql.pipeline.prompt import QUESTION_LENGTH, SQL_LENGTH
from text2sql.problems import Problem
from text2sql.services.checking import sql_check
from text2sql.services.example_checks import examples_check
from text2sql.services.example_conflicts import conflicts_find
from text2sql.services.examples import example_publish, example_switch
from text2sql.services.targets import target_find

STATE_COLOURS = {"in force": "success", "off": "info", "broken": "danger", "replaced": "warning"}
SHOWN = 50
"""Versions, and feedback, on an example's page."""


class ExampleForm(forms.ModelForm[Example]):
    """A question and its SQL, as a lead writes them; `statement` is what the SQL was read as."""

    principal: Principal  # by get_form
    statement: GuardedStatement
    question = forms.CharField(max_length=QUESTION_LENGTH, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))
    sql = forms.CharField(
        label="SQL", max_length=SQL_LENGTH, widget=UnfoldAdminTextareaWidget(attrs={"rows": 12}),
        help_text="One query, over what the team sees. Try it first: here it is checked, but not run.",
    )  # fmt: skip

    class Meta:
        model = Example
        fields = ["access", "question", "sql"]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            self._check(cleaned)
        return cleaned

    def _check(self, cleaned: dict[str, Any]) -> None:
        access = cleaned["access"]
        try:
            target = target_find(principal=self.principal, team_id=access.team_id, name=access.database.name)
        except Problem as problem:
            raise ValidationError({"access": problem.detail}) from problem
        checked = sql_check(target, cleaned["sql"])
        if checked.statement is None:
            raise ValidationError({"sql": str(checked.finding)})
        self.statement = checked.statement


class NewestList(ChangeList):
    """One line for each example: its newest version, with the others that it is in conflict with."""

    result_list: list[Any]

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Example]:
        found: QuerySet[Example] = super().get_queryset(request, exclude_parameters)
        return found.filter(replaced_at=None)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = self.result_list = list(self.result_list)
        conflicts, uses = conflicts_find(rows), uses_count(rows)
        for row in rows:
            row.conflicts, (row.use_count, row.success_count) = conflicts[row.pk], uses[row.pk]


@admin.register(Example)
class ExampleAdmin(TeamScopedAdmin):
    """What a team's leads have verified. Nothing here is edited: a correction is a new version."""

    form = ExampleForm
    admin_may = lead_may = frozenset({"view", "add", "act"})
    list_display = [
        "question_start", "shown_team", "shown_database", "number", "shown_state", "shown_finding", "shown_conflicts",
        "shown_uses", "shown_success", "actor", "created_at",
    ]  # fmt: skip
    list_filter = [
        "enabled", ("finding", admin.EmptyFieldListFilter), ("access__database", ScopedRelatedFilter),
        ("access__team", ScopedRelatedFilter),
    ]  # fmt: skip
    list_fullwidth = True
    search_fields = ["question", "sql"]
    search_help_text = "Searches questions and SQL."
    actions_detail = ["switch_off", "switch_on"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "shown_question", "shown_sql", "shown_tables", "shown_state", "shown_finding", "shown_uses",
                    "shown_success",
                ]
            },
        ),
        (
            "Where it is from",
            {
                "fields": [
                    "shown_team", "shown_database", "number", "actor", "created_at", "shown_generation",
                    "shown_feedback",
                ]
            },
        ),
        ("Conflicts", {"fields": ["shown_conflicts"]}),
        ("Versions", {"fields": ["shown_versions"]}),
    ]  # fmt: skip
    readonly_fields = [
        "shown_question", "shown_sql", "shown_tables", "shown_state", "shown_finding", "shown_uses", "shown_success",
        "shown_team", "shown_database", "shown_generation", "shown_feedback", "shown_conflicts", "shown_versions",
        "number", "actor", "created_at",
    ]  # fmt: skip

    class Media:
        css = {"all": ["text2sql/answers.css"]}
        js = SQL_JS

    def get_fieldsets(self, request: HttpRequest, obj: Example | None = None) -> Any:
        return [(None, {"fields": ["access", "question", "sql"]})] if obj is None else self.fieldsets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Example]:
        rows: QuerySet[Example] = super().get_queryset(request)
        return rows.select_related("access__database", "access__team", "generation")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NewestList

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        form.principal = request_principal(request)  # the class is made for this request
        return form

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        example = self.get_object(request, str(object_id))
        if example is None or example.replaced_at is not None:
            return []
        name = "switch_off" if example.enabled else "switch_on"
        actions: list[Any] = super().get_actions_detail(request, object_id)
        return [action for action in actions if action.action_name.endswith(name)]

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        rows = self._choices(db_field, request).select_related("database")
        field = super().formfield_for_foreignkey(db_field, request, queryset=rows, **kwargs)
        field.label = "Team and database"
        return field

    def save_model(self, request: HttpRequest, obj: Example, form: Any, change: bool) -> None:
        saved = example_publish(
            access=obj.access, question=form.cleaned_data["question"].replace("\r\n", "\n"), sql=form.statement.sql,
            tables=form.statement.tables, generation=None, actor=request_principal(request).actor,
        )  # fmt: skip
        if saved.number > 1:
            messages.info(request, f"There was such an example: this is its version {saved.number}.")
        # Its tables may have been read anew since it was checked.
        check = partial(examples_check, obj.access.database_id, actor=request_principal(request).actor)
        transaction.on_commit(check, robust=True)
        obj.pk, obj.number, obj._state.adding = saved.pk, saved.number, False

    @object_action(
        "Switch off", title="Switch this example off?", submit="Switch off", icon="toggle_off",
        text="From the next question on none is shown it, and no evaluation asks it. It can be switched on again.",
    )  # fmt: skip
    def switch_off(self, request: HttpRequest, example: Example, form: Any) -> str:
        return _switch(request, example, enabled=False)

    @object_action(
        "Switch on", title="Switch this example on?", submit="Switch on", icon="toggle_on",
        text="Questions that are like it are shown it again, if its SQL runs.",
    )  # fmt: skip
    def switch_on(self, request: HttpRequest, example: Example, form: Any) -> str:
        return _switch(request, example, enabled=True)

    @display(description="question", ordering="question")
    def question_start(self, example: Example) -> str:
        return str(example)

    @display(description="team", ordering="access__team__name")
    def shown_team(self, example: Example) -> str:
        return example.access.team.name

    @display(description="database", ordering="access__database__name")
    def shown_database(self, example: Example) -> str:
        return example.access.database.name

    @display(description="state", label=STATE_COLOURS)
    def shown_state(self, example: Example) -> str:
        return example_state(example)

    @display(description="what keeps it from running")
    def shown_finding(self, example: Example) -> str:
        return str(example.finding["message"]) if example.finding else "–"

    @display(description="uses")
    def shown_uses(self, example: Example) -> str:
        return str(_use_counts(example)[0])

    @display(description="success since")
    def shown_success(self, example: Example) -> str:
        """Answers that were found and not rated down, among those that were shown it."""
        uses, good = _use_counts(example)
        return f"{good / uses:.0%}" if uses else "–"

    @display(description="conflicts")
    def shown_conflicts(self, example: Example) -> str:
        if (listed := getattr(example, "conflicts", None)) is not None:  # in the list their number, found for the page
            return str(len(listed)) if listed else "–"
        found = conflicts_find([example])[example.pk]
        return _list((_link("example", row.pk, row.question), sql_block(row.sql)) for row in found)

    @display(description="question")
    def shown_question(self, example: Example) -> str:
        return format_html('<div class="answers-text">{}</div>', example.question)

    @display(description="SQL")
    def shown_sql(self, example: Example) -> str:
        return sql_block(example.sql)

    @display(description="tables")
    def shown_tables(self, example: Example) -> str:
        return ", ".join(example.tables) or "–"

    @display(description="question it was approved from")
    def shown_generation(self, example: Example) -> str:
        generation = example.generation
        return _link("generation", generation.pk, str(generation)) if generation else "written by hand"

    @display(description="feedback it was approved from")
    def shown_feedback(self, example: Example) -> str:
        rows = example.feedback.order_by("created_at")[:SHOWN]
        return _list((_link("feedback", row.pk, str(row), app="feedback"), row.comment) for row in rows)

    @display(description="versions")
    def shown_versions(self, example: Example) -> str:
        versions = Example.objects.filter(access=example.access_id, digest=example.digest).order_by("-number")
        return _list(
            (
                _link("example", row.pk, f"Version {row.number}"),
                f"{example_state(row)}; {row.actor}, {row.created_at:%Y-%m-%d %H:%M} UTC",
            )
            for row in versions[:SHOWN]
        )


def example_state(example: Example) -> str:
    if example.replaced_at is not None:
        return "replaced"
    if not example.enabled:
        return "off"
    return "broken" if example.finding else "in force"


def uses_count(examples: Sequence[Example]) -> dict[UUID, tuple[int, int]]:
    """How many questions were shown each of them, and how many of those have an answer that was not rated down."""
    answered = Q(generation__status=Generation.Status.SUCCEEDED) & ~Q(rating="down")
    rows = ExampleUse.objects.filter(example__in=examples).order_by().values_list("example")
    counted = {
        pk: (uses, good) for pk, uses, good in rows.annotate(uses=Count("pk"), good=Count("pk", filter=answered))
    }
    return {example.pk: counted.get(example.pk, (0, 0)) for example in examples}


def _use_counts(example: Any) -> tuple[int, int]:
    if not hasattr(example, "use_count"):  # in the list they are counted for the page
        example.use_count, example.success_count = uses_count([example])[example.pk]
    return example.use_count, example.success_count


def _switch(request: HttpRequest, example: Example, *, enabled: bool) -> str:
    try:
        example_switch(example=example, enabled=enabled, actor=request_principal(request).actor)
    except ValueError as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, f"Switched {'on' if enabled else 'off'}: {example}")
    return reverse("admin:text2sql_example_change", args=[example.pk])


def _link(model: str, key: object, text: str, *, app: str = "text2sql") -> str:
    return format_html(
        '<a class="text-link" href="{}">{}</a>', reverse(f"admin:{app}_{model}_change", args=[key]), text
    )


def _list(rows: Any) -> str:
    """Pairs of a link and what is to be said of it."""
    items = format_html_join("", '<li>{}<div class="answers-note">{}</div></li>', rows)
    return format_html('<ul class="answers-list">{}</ul>', items) if items else "–"
