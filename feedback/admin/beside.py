"""What people said of an answer, on the page of its generation."""

from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from feedback.models import Feedback
from teams.admin.base import ReadOnlyInline
from text2sql.admin.generations import GenerationAdmin


class FeedbackInline(ReadOnlyInline):
    model = Feedback
    fields = readonly_fields = ["shown_rating", "comment", "author", "state", "updated_at"]
    hide_title = True
    verbose_name_plural = "feedback"

    @display(description="rating")
    def shown_rating(self, feedback: Feedback) -> str:
        page = reverse("admin:feedback_feedback_change", args=[feedback.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', page, feedback.get_rating_display())


# The generations' room, below this one, does not know of feedback.
GenerationAdmin.inlines = [FeedbackInline, *GenerationAdmin.inlines]
