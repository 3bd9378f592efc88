import uuid

from django.conf import settings
from django.db import models
from django.utils.text import Truncator

from text2sql.models.databases import DatabaseAccess


class SavedQuestion(models.Model):
    """A question that a person keeps at hand on the page to ask; nobody else sees it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_questions")
    access = models.ForeignKey(DatabaseAccess, on_delete=models.CASCADE, related_name="+")
    question = models.CharField(max_length=2000)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "access", "question"], name="one_saved_question_per_person")
        ]
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return Truncator(self.question).chars(80)
