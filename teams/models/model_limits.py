from django.core.validators import MinValueValidator
from django.db import models


class ModelLimit(models.Model):
    """How many output tokens a call of a model may ask for: the cap, and the floor below which no call is made.

    A truncated answer is paid for and worthless, so money that runs short may shrink a call down to the floor only.
    """

    model = models.CharField(primary_key=True, max_length=100)
    cap_tokens = models.PositiveIntegerField(
        "cap", null=True, blank=True, validators=[MinValueValidator(256)], help_text="Empty: CLAUDE_MAX_TOKENS."
    )
    floor_tokens = models.PositiveIntegerField(
        "floor", null=True, blank=True, validators=[MinValueValidator(256)],
        help_text="Empty: what 99 of 100 observed answers stayed below, and at least 1,024.",
    )  # fmt: skip
    observed_p99 = models.PositiveIntegerField("observed, 99 of 100 below", null=True, editable=False)
    observed_calls = models.PositiveIntegerField("observed calls", default=0, editable=False)
    observed_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["model"]

    def __str__(self) -> str:
        return self.model
