from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from unfold.decorators import action, display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from feedback.models import Feedback
from feedback.services import feedback_review
from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter, object_action
from teams.site import request_principal
from text2sql.admin.generations import sql_block


class VerdictForm(BaseDialogForm):
    note = forms.CharField(required=False, max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}))


@admin.register(Feedback)
class FeedbackAdmin(ReadOnlyAdmin):
    """The review list. What people said is never edited; a lead's verdict is one of the actions."""

    lead_may = admin_may = frozenset({"view", "act"})
    list_display = [
        "updated_at", "shown_rating", "shown_question", "comment_start", "shown_team", "shown_database", "author",
        "shown_state",
    ]  # fmt: skip
    list_filter = [
        "state",
        "rating",
        ("generation__team", ScopedRelatedFilter),
        ("generation__database", ScopedRelatedFilter),
    ]
    list_select_related = ["generation__team", "generation__database"]
    search_fields = ["comment", "generation__question"]
    search_help_text = "Searches comments and questions."
    date_hierarchy = "updated_at"
    actions = ["approve_selected", "reject_selected"]
    actions_detail = ["approve", "reject"]
    fieldsets = [
        (None, {"fields": ["shown_question", "shown_rating", "comment", "shown_sql", "shown_correction"]}),
        ("Review", {"fields": ["shown_state", "review_note", "shown_reviewer", "reviewed_at"]}),
        (
            "Where from",
            {"fields": ["shown_team", "shown_database", "author", "generation", "created_at", "updated_at"]},
        ),
    ]
    readonly_fields = [
        "shown_question", "shown_rating", "shown_sql", "shown_correction", "shown_state", "shown_team",
        "shown_database", "shown_reviewer", "created_at",
    ]  # fmt: skip

    @object_action(
        "Approve", title="Approve this feedback?", text="It was looked at and is right.", submit="Approve",
        icon="check", form_class=VerdictForm,
    )  # fmt: skip
    def approve(self, request: HttpRequest, feedback: Feedback, form: Any) -> str:
        return self._review(request, feedback, Feedback.State.APPROVED, form.cleaned_data["note"])

    @object_action(
        "Reject", title="Reject this feedback?", text="It was looked at and is not followed.", submit="Reject",
        icon="close", form_class=VerdictForm,
    )  # fmt: skip
    def reject(self, request: HttpRequest, feedback: Feedback, form: Any) -> str:
        return self._review(request, feedback, Feedback.State.REJECTED, form.cleaned_data["note"])

    @action(description="Approve the selected feedback", permissions=["act"])
    def approve_selected(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> None:
        self._review_all(request, queryset, Feedback.State.APPROVED)

    @action(description="Reject the selected feedback", permissions=["act"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> None:
        self._review_all(request, queryset, Feedback.State.REJECTED)

    def _review(self, request: HttpRequest, feedback: Feedback, state: str, note: str) -> str:
        feedback_review(
            feedback=feedback, state=state, reviewer=request.user, actor=request_principal(request).actor, note=note,  # type: ignore[arg-type]  # the admin's door lets only users in
        )  # fmt: skip
        messages.success(request, f"The feedback is {state}.")
        return reverse("admin:feedback_feedback_changelist")

    def _review_all(self, request: HttpRequest, queryset: QuerySet[Feedback], state: str) -> None:
        actor = request_principal(request).actor
        rows = list(queryset.select_related("generation"))
        for feedback in rows:
            feedback_review(feedback=feedback, state=state, reviewer=request.user, actor=actor)  # type: ignore[arg-type]  # as above
        messages.success(request, f"{len(rows)} of the feedback {state}.")

    @display(description="rating", label={"up": "success", "down": "danger"}, ordering="rating")
    def shown_rating(self, feedback: Feedback) -> str:
        return feedback.rating

    @display(description="state", label={"new": "warning", "approved": "success", "rejected": "info"}, ordering="state")
    def shown_state(self, feedback: Feedback) -> str:
        return feedback.get_state_display()

    @display(description="question")
    def shown_question(self, feedback: Feedback) -> str:
        return str(feedback.generation)

    @display(description="comment")
    def comment_start(self, feedback: Feedback) -> str:
        return feedback.comment[:80]

    @display(description="SQL as answered")
    def shown_sql(self, feedback: Feedback) -> str:
        return sql_block(feedback.generation.sql)

    @display(description="SQL as corrected")
    def shown_correction(self, feedback: Feedback) -> str:
        return sql_block(feedback.corrected_sql)

    @display(description="team")
    def shown_team(self, feedback: Feedback) -> str:
        return feedback.generation.team.name

    @display(description="database")
    def shown_database(self, feedback: Feedback) -> str:
        return feedback.generation.database.name

    @display(description="reviewed by")
    def shown_reviewer(self, feedback: Feedback) -> str:
        return feedback.reviewed_by.get_username() if feedback.reviewed_by else "–"
