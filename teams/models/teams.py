from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.utils import timezone
from timezone_field import TimeZoneField

from observability.models import Price
from observability.services.prices import PriceUnknown, model_status
from teams.access import TenantQuerySet


class Team(models.Model):
    """The tenant. Its slug is its id everywhere: in URLs, in Langfuse (as user id), in foreign keys."""

    team_path = "pk"

    slug = models.CharField(
        primary_key=True,
        max_length=50,
        validators=[RegexValidator(r"^[a-z][a-z0-9-]*$", "Small letters, digits and hyphens, a letter first.")],
        help_text="Small letters, digits and hyphens. It cannot be changed later.",
    )
    name = models.CharField(max_length=100)
    time_zone = TimeZoneField(default="UTC", help_text="Budgets start and end by this clock.")
    model = models.CharField(
        max_length=100,
        blank=True,
        help_text="The Claude model for this team's questions; empty: the installation's default.",
    )
    effort = models.CharField(
        max_length=10, blank=True, help_text="low, medium, high …; empty: the installation's default."
    )
    repair_model = models.CharField(
        max_length=100, blank=True, help_text="Mends SQL that did not pass; empty: the model above."
    )
    repair_effort = models.CharField(max_length=10, blank=True)
    degraded_model = models.CharField(
        "cheaper model",
        max_length=100,
        blank=True,
        help_text="Answers where a budget says so; empty: the installation's default.",
    )
    degraded_effort = models.CharField("cheaper effort", max_length=10, blank=True)
    active = models.BooleanField(default=True, help_text="The keys of an inactive team are refused.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["Team"].as_manager()

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """A model without a price would have every question refused."""
        for field in ("model", "repair_model", "degraded_model"):
            if model := getattr(self, field):
                try:
                    status = model_status(model, timezone.now())
                except PriceUnknown as error:
                    raise ValidationError({field: "This model has no price; see Prices."}) from error
                if status.status == Price.Status.RETIRED:
                    raise ValidationError({field: "This model is retired: Claude no longer answers with it."})


class Membership(models.Model):
    """A user's place in a team. Leads enter the admin, for their teams only."""

    class Role(models.TextChoices):
        LEAD = "lead", "Lead"
        MEMBER = "member", "Member"

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.MEMBER)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TenantQuerySet["Membership"].as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "user"], name="one_membership_per_team_and_user")]
        ordering = ["team", "user"]

    def __str__(self) -> str:
        return f"{self.user} in {self.team_id} ({self.role})"
