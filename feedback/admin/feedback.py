from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from unfold.decorators import action, display

from feedback.admin.tables import difference_shown, side_shown
from feedback.admin.verdicts import ApproveForm, CorrectForm, VerdictForm, feedback_find
from feedback.models import Feedback
from feedback.services.comparison import correction_of, sides_run
from feedback.services.corrections import finding_text
from feedback.services.review import FeedbackReplaced, Verdict, Verified, feedback_review
from teams.admin.base import ReadOnlyAdmin, ScopedRelatedFilter, object_action
from teams.admin.exports import ExportedAdmin
from teams.admin.filters import TimesFilter
from teams.site import request_principal
from text2sql.admin.sql_blocks import SQL_JS, sql_block
from text2sql.models import Example, Generation
from text2sql.models.generations import words_in, words_query
from text2sql.pipeline.finding import Finding
from text2sql.problems import Problem

STATE_COLOURS = {"new": "warning", "approved": "success", "corrected": "success", "rejected": "info"}
FEW_QUESTIONS = 300
REPLACED = "Nothing was done: its author has said something else meanwhile. Look at it again."


@admin.register(Feedback)
class FeedbackAdmin(ExportedAdmin, ReadOnlyAdmin):
    """The review list. What people said is never edited; a lead's verdict is one of the actions."""

    lead_may = admin_may = frozenset({"view", "act", "export"})
    list_display = [
        "updated_at", "shown_rating", "question_start", "comment_start", "shown_team", "shown_database", "author",
        "shown_state",
    ]  # fmt: skip
    list_filter = [
        ("updated_at", TimesFilter),
        "state",
        "rating",
        ("generation__team", ScopedRelatedFilter),
        ("generation__database", ScopedRelatedFilter),
    ]
    list_select_related = ["generation__team", "generation__database"]
    search_fields = ["comment", "generation__question"]
    search_help_text = "Comments, and words of questions"
    list_filter_submit = True
    export_columns = {
        "updated_at": "time", "rating": "rating", "generation__question": "question", "comment": "comment",
        "generation__team__name": "team", "generation__database__name": "database", "author": "author",
        "state": "state", "review_note": "note of the review", "generation__sql": "SQL as answered",
        "corrected_sql": "SQL as corrected", "generation__id": "generation",
    }  # fmt: skip
    actions = ["reject_selected"]
    actions_detail = ["approve", "correct", "reject"]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "shown_question", "shown_rating", "comment", "shown_sql", "shown_correction", "shown_finding",
                    "shown_comparison",
                ]
            },
        ),
        ("Review", {"fields": ["shown_state", "review_note", "shown_reviewer", "reviewed_at", "shown_example"]}),
        (
            "Where from",
            {"fields": ["shown_team", "shown_database", "author", "generation", "created_at", "updated_at"]},
        ),
    ]  # fmt: skip
    readonly_fields = [
        "shown_question", "shown_rating", "shown_sql", "shown_correction", "shown_finding", "shown_comparison",
        "shown_state", "shown_team", "shown_database", "shown_reviewer", "shown_example", "created_at",
    ]  # fmt: skip

    class Media:
        css = {"all": ["text2sql/answers.css", "feedback/review.css"]}
        js = SQL_JS

    def get_urls(self) -> list[URLPattern]:
        compare = self.admin_site.admin_view(self.compare)
        own = path("<path:object_id>/compare/", compare, name="feedback_feedback_compare")
        return [own, *super().get_urls()]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Feedback], search_term: str
    ) -> tuple[QuerySet[Feedback], bool]:
        """A rare word has few questions, and their feedback is looked up; with a common one most rows soon match."""
        search_term = search_term.strip()
        if not search_term:
            return queryset, False
        said, asked = Q(comment__icontains=search_term), Generation.objects.with_words(search_term)
        few = list(asked.order_by().values_list("pk", flat=True)[: FEW_QUESTIONS + 1])
        if len(few) <= FEW_QUESTIONS:
            return queryset.filter(said | Q(generation__in=few)), False
        found = Q(asked=words_query(search_term))
        return queryset.alias(asked=words_in("generation__")).filter(said | found), False

    @object_action(
        "Approve as example", title="Approve as example?", submit="Approve as example", icon="check",
        text="The question and this SQL are shown to questions that are like it, and evaluations ask it.",
        form_class=ApproveForm,
    )  # fmt: skip
    def approve(self, request: HttpRequest, feedback: Feedback, form: Any) -> str:
        return self._review(request, feedback, form, Feedback.State.APPROVED, form.verified)

    @object_action(
        "Correct and approve", title="What is right?", submit="Correct and approve", icon="edit",
        text="The question and SQL, as you write them here, are shown to questions that are like it.",
        form_class=CorrectForm,
    )  # fmt: skip
    def correct(self, request: HttpRequest, feedback: Feedback, form: Any) -> str:
        return self._review(request, feedback, form, Feedback.State.CORRECTED, form.verified)

    @object_action(
        "Reject", title="Reject this feedback?", submit="Reject", icon="close",
        text="It is not followed. Where an example was made of it, that is switched off.",
        form_class=VerdictForm,
    )  # fmt: skip
    def reject(self, request: HttpRequest, feedback: Feedback, form: Any) -> str:
        return self._review(request, feedback, form, Feedback.State.REJECTED, None)

    @action(description="Reject the selected feedback", permissions=["act"])
    def reject_selected(self, request: HttpRequest, queryset: QuerySet[Feedback]) -> None:
        actor, rejected = request_principal(request).actor, 0
        for feedback in queryset:
            verdict = Verdict(Feedback.State.REJECTED, request.user, actor, feedback.updated_at)  # type: ignore[arg-type]  # the admin's door lets only users in
            try:
                feedback_review(feedback=feedback, verdict=verdict)
            except FeedbackReplaced:
                continue
            rejected += 1
        messages.success(request, f"{rejected} of the feedback rejected.")

    def compare(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Both SQLs; by POST also their rows, which stand in this answer and nowhere else."""
        feedback = feedback_find(request, object_id)
        correction, sides = correction_of(feedback), None
        if request.method == "POST" and correction and feedback.generation.sql:
            try:
                sides = sides_run(principal=request_principal(request), feedback=feedback)
            except Problem as problem:
                messages.error(request, problem.detail)
                return redirect("admin:feedback_feedback_change", feedback.pk)
        whole = {
            **self.admin_site.each_context(request),
            "title": f"Run both: {feedback.generation}",
            "feedback": feedback,
            "sides": [
                side_shown("As answered", feedback.generation.sql, sides.answer if sides else None),
                side_shown("As corrected", correction, sides.correction if sides else None),
            ],
            "may_run": correction and feedback.generation.sql,
            "has_run": sides is not None,
            "difference": difference_shown(sides) if sides and sides.difference else None,
        }
        return TemplateResponse(request, "admin/feedback/feedback/compare.html", whole)

    def _review(
        self, request: HttpRequest, feedback: Feedback, form: Any, state: str, example: Verified | None
    ) -> str:  # fmt: skip
        data = form.cleaned_data
        verdict = Verdict(
            state, request.user, request_principal(request).actor, data["seen_at"], data["note"], example,  # type: ignore[arg-type]  # the admin's door lets only users in
        )  # fmt: skip
        try:
            reviewed = feedback_review(feedback=feedback, verdict=verdict)
        except FeedbackReplaced:
            messages.error(request, REPLACED)
            return reverse("admin:feedback_feedback_change", args=[feedback.pk])
        except Problem as problem:
            messages.error(request, problem.detail)
            return reverse("admin:feedback_feedback_change", args=[feedback.pk])
        messages.success(request, f"The feedback is {state}. {_consequence(reviewed, example)}".strip())
        return reverse("admin:feedback_feedback_changelist")

    @display(description="rating", label={"up": "success", "down": "danger"}, ordering="rating")
    def shown_rating(self, feedback: Feedback) -> str:
        return feedback.rating

    @display(description="state", label=STATE_COLOURS, ordering="state")
    def shown_state(self, feedback: Feedback) -> str:
        return feedback.get_state_display()

    @display(description="question")
    def question_start(self, feedback: Feedback) -> str:
        return str(feedback.generation)

    @display(description="question")
    def shown_question(self, feedback: Feedback) -> str:
        return feedback.generation.question

    @display(description="comment")
    def comment_start(self, feedback: Feedback) -> str:
        return Truncator(feedback.comment).chars(80)

    @display(description="SQL as answered")
    def shown_sql(self, feedback: Feedback) -> str:
        return sql_block(feedback.generation.sql)

    @display(description="SQL as corrected")
    def shown_correction(self, feedback: Feedback) -> str:
        return sql_block(feedback.corrected_sql)

    @display(description="what is wrong with it")
    def shown_finding(self, feedback: Feedback) -> str:
        found = feedback.finding
        return finding_text(Finding(found["code"], found["message"], tuple(found["closest"]))) if found else "–"

    @display(description="rows")
    def shown_comparison(self, feedback: Feedback) -> str:
        if not (feedback.generation.sql and correction_of(feedback)):
            return "–"
        # Posts the page's form, with its CSRF token, to the comparison's address.
        return format_html(
            '<button type="submit" class="text-link" formmethod="post" formaction="{}">Run both</button>',
            reverse("admin:feedback_feedback_compare", args=[feedback.pk]),
        )

    @display(description="example")
    def shown_example(self, feedback: Feedback) -> str:
        return _link(feedback.example) if feedback.example else "–"

    @display(description="team")
    def shown_team(self, feedback: Feedback) -> str:
        return feedback.generation.team.name

    @display(description="database")
    def shown_database(self, feedback: Feedback) -> str:
        return feedback.generation.database.name

    @display(description="reviewed by")
    def shown_reviewer(self, feedback: Feedback) -> str:
        return feedback.reviewed_by.get_username() if feedback.reviewed_by else "–"


def _consequence(feedback: Feedback, published: Verified | None) -> str:
    if published is not None:
        return "Questions like it are shown the example from now on."
    return "Its example is switched off." if feedback.example_id else ""


def _link(example: Example) -> str:
    words = f"{example}, version {example.number}"
    try:
        page = reverse("admin:text2sql_example_change", args=[example.pk])
    except NoReverseMatch:
        return words
    return format_html('<a class="text-link" href="{}">{}</a>', page, words)
