from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from feedback.models import Feedback
from tests.dialogs import dialog_fields, dialog_submit
from tests.factories import FeedbackFactory, GenerationFactory, MembershipFactory, UserFactory
from tests.text2sql.api.conftest import Shopper
from tests.text2sql.api.conftest import shopper as shopper  # noqa: PLC0414  # a fixture
from text2sql.models import Generation

SQL = "SELECT name FROM customers"


@dataclass
class Desk:
    """A lead of the shopper's team at the review list, signed in."""

    shopper: Shopper
    lead: User
    client: Client

    def generation(self, **values: Any) -> Generation:
        return GenerationFactory(team=self.shopper.team, database=self.shopper.database, **{"sql": SQL, **values})

    def feedback(self, **values: Any) -> Feedback:
        """A thumbs-down on `generation`, else on a new one."""
        values.setdefault("generation", None)
        generation = values.pop("generation") or self.generation()
        return FeedbackFactory(generation=generation, **values)

    def path(self, action: str, feedback: Feedback) -> str:
        return reverse(f"admin:feedback_feedback_{action}", args=[feedback.pk])

    def opened(self, action: str, feedback: Feedback) -> dict[str, str]:
        return dialog_fields(self.client, self.path(action, feedback))

    def act(self, action: str, feedback: Feedback, fields: dict[str, str] | None = None, **typed: Any) -> Any:
        return dialog_submit(self.client, self.path(action, feedback), fields, **typed)

    def shown(self, feedback: Feedback) -> str:
        return str(self.client.get(self.path("change", feedback)).content.decode())


@pytest.fixture
def desk(shopper: Shopper) -> Desk:
    lead = UserFactory(username="alice")
    MembershipFactory(team=shopper.team, user=lead, role="lead")
    client = Client()
    client.force_login(lead)
    return Desk(shopper, lead, client)
