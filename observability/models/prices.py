from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.utils import timezone


def _usd_per_million() -> "models.DecimalField[Decimal, Decimal]":
    return models.DecimalField(max_digits=18, decimal_places=12, help_text="USD per 1,000,000 tokens.")


class Price(models.Model):
    """What a model costs from a moment on; further rows of the same model hold its dearer tiers and later prices.

    A row is found by the exact name that the API is called with, and an alias has rows of its own. A pattern would
    also price models that nobody has looked at yet, at another model's price: an unknown model is refused instead.
    """

    class Status(models.TextChoices):
        ACTIVE = "active"
        LEGACY = "legacy"
        DEPRECATED = "deprecated"
        RETIRED = "retired"

    model = models.CharField(max_length=100, help_text="The model's id, or an alias of it.")
    above_tokens = models.PositiveIntegerField(
        default=0, help_text="The row holds for prompts of more tokens than this; 0 is the base row."
    )
    effective_from = models.DateTimeField(default=timezone.now)
    input = _usd_per_million()
    output = _usd_per_million()
    cache_write_5m = _usd_per_million()
    cache_write_1h = _usd_per_million()
    cache_read = _usd_per_million()
    geo_us_multiplier = models.DecimalField(
        "multiplier in the US",
        max_digits=6,
        decimal_places=4,
        null=True,
        blank=True,
        help_text="For calls that must be answered in the US, on all tokens; empty: the model allows none.",
    )
    batch_multiplier = models.DecimalField(
        max_digits=6,
        decimal_places=4,
        default=Decimal("0.5"),
        help_text="For calls in a batch, on every kind of token.",
    )
    max_output = models.PositiveIntegerField(help_text="The most output tokens the model gives.")
    context_window = models.PositiveIntegerField()
    thinking = models.CharField(max_length=40, blank=True)
    default_effort = models.CharField(max_length=10, blank=True)
    min_cacheable_tokens = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.ACTIVE)
    retires_on = models.DateField(null=True, blank=True)

    class Meta:
        ordering = ["model", "above_tokens", "effective_from"]
        constraints = [
            models.UniqueConstraint(
                fields=["model", "above_tokens", "effective_from"], name="observability_price_is_unique"
            ),
            models.CheckConstraint(
                condition=Q(
                    input__gte=0, output__gte=0, cache_write_5m__gte=0, cache_write_1h__gte=0, cache_read__gte=0
                ),
                name="observability_price_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(geo_us_multiplier__gt=0, batch_multiplier__gt=0)
                | Q(geo_us_multiplier__isnull=True, batch_multiplier__gt=0),
                name="observability_price_multipliers_positive",
            ),
            models.CheckConstraint(
                condition=Q(status__in=["active", "legacy", "deprecated", "retired"]),
                name="observability_price_status_known",
            ),
        ]

    def __str__(self) -> str:
        tier = f" above {self.above_tokens:,} tokens" if self.above_tokens else ""
        return f"{self.model}{tier} from {self.effective_from:%Y-%m-%d}"
