"""The dialogs of a verdict: each shows what is decided about, and carries which state of it was looked at."""

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from feedback.models import Feedback
from feedback.services.corrections import correction_check, finding_text
from feedback.services.review import Verified
from teams.admin.base import rows_of
from teams.site import request_principal
from text2sql.pipeline.prompt import QUESTION_LENGTH
from text2sql.services.checking import SQL_LENGTH


def feedback_find(request: HttpRequest, object_id: Any) -> Feedback:
    """Raises Http404 for what is not there and for what is another lead's."""
    rows = rows_of(request_principal(request), Feedback.objects.all())
    rows = rows.select_related("generation__team", "generation__database", "generation__parent", "example")
    try:
        found: Feedback = rows.get(pk=object_id)
    except (Feedback.DoesNotExist, ValidationError) as error:  # the second for what is no id at all
        raise Http404 from error
    return found


class VerdictForm(BaseDialogForm):
    form_before_template = "admin/feedback/feedback/verdict.html"
    shows_sql = False

    seen_at = forms.CharField(widget=forms.HiddenInput)
    note = forms.CharField(required=False, max_length=2000, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))

    def __init__(
        self, request: HttpRequest, object_id: int | str | None = None, *args: Any, **kwargs: Any
    ) -> None:  # fmt: skip
        # Whoever may not see the row gets no dialog about it, filled in or not.
        self.feedback = feedback_find(request, object_id)
        super().__init__(request, object_id, *args, **kwargs, initial=self.initial_values())

    def initial_values(self) -> dict[str, Any]:
        # With microseconds, which a field of times would drop.
        return {"seen_at": self.feedback.updated_at.isoformat(), "note": self.feedback.review_note}

    @property
    def said_sql(self) -> str:
        """What was said to be right."""
        return self.feedback.corrected_sql or self.feedback.generation.sql

    def clean_seen_at(self) -> datetime:
        try:
            return datetime.fromisoformat(self.cleaned_data["seen_at"])
        except ValueError as error:
            raise ValidationError("Open the dialog anew.") from error

    @property
    def is_stale(self) -> bool:
        """Whether it was replaced since it was looked at; whoever acts on it says so, and does nothing."""
        return bool(self.cleaned_data.get("seen_at") != self.feedback.updated_at)

    def get_before_template_context(
        self, request: HttpRequest, object_id: int | str | None = None
    ) -> dict[str, Any]:  # fmt: skip
        return {
            "feedback": self.feedback,
            "sql": self.said_sql if self.shows_sql else "",
            "parent": self.feedback.generation.parent,
            "makes_example": isinstance(self, ExampleForm),
            "errors": self.non_field_errors() if self.is_bound else [],
        }


class ExampleForm(VerdictForm):
    """A verdict by which a question and its SQL become an example, if they pass guard and check."""

    verified: Verified | None = None

    def verify(self, question: str, sql: str) -> None:
        """Raises ValidationError with what keeps the SQL from running."""
        principal, generation = request_principal(self.request), self.feedback.generation
        checked = correction_check(principal=principal, generation=generation, sql=sql)
        if checked.finding is not None:
            raise ValidationError(f"This SQL would not run. {finding_text(checked.finding)}")
        if checked.statement is not None:
            self.verified = Verified(question, checked.statement)


class ApproveForm(ExampleForm):
    shows_sql = True

    def clean(self) -> None:
        if not self.errors and not self.is_stale:
            feedback = self.feedback
            if feedback.rating == Feedback.Rating.DOWN and not feedback.corrected_sql:
                raise ValidationError("A thumbs-down without a correction: say what is right by Correct and approve.")
            if not self.said_sql:
                raise ValidationError("There is no SQL here: say what is right by Correct and approve.")
            self.verify(feedback.generation.question, self.said_sql)


class CorrectForm(ExampleForm):
    question = forms.CharField(max_length=QUESTION_LENGTH, widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}))
    sql = forms.CharField(
        label="SQL", max_length=SQL_LENGTH, widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "spellcheck": "false"})
    )
    field_order = ["question", "sql", "note"]

    def initial_values(self) -> dict[str, Any]:
        values = {"question": self.feedback.generation.question, "sql": self.said_sql}
        return super().initial_values() | values

    def clean_question(self) -> str:
        # A browser sends two bytes for the end of a line.
        return str(self.cleaned_data["question"]).replace("\r\n", "\n")

    def clean(self) -> None:
        if not self.errors and not self.is_stale:
            try:
                self.verify(self.cleaned_data["question"], self.cleaned_data["sql"])
            except ValidationError as error:
                self.add_error("sql", error)
