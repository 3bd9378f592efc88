"""Who appears in tests: the same people everywhere, so that a refusal cannot pass for the wrong reason."""

from dataclasses import dataclass

from django.contrib.auth.models import User
from django.test import Client

from teams.models import Membership, Team
from tests.factories import MembershipFactory, TeamFactory, UserFactory


@dataclass(frozen=True)
class People:
    sales: Team
    marketing: Team
    alice: User
    """Leads sales."""
    bob: User
    """A member of sales."""
    mallory: User
    """Leads marketing; tries everything against sales."""
    charlie: User
    """Belongs to no team."""
    root: User
    """An admin of the installation."""

    def signed_in(self, user: User | None) -> Client:
        client = Client()
        if user is not None:
            client.force_login(user)
        return client


def make_people() -> People:
    sales, marketing = TeamFactory(slug="sales", name="Sales"), TeamFactory(slug="marketing", name="Marketing")
    people = People(
        sales=sales,
        marketing=marketing,
        alice=UserFactory(username="alice"),
        bob=UserFactory(username="bob"),
        mallory=UserFactory(username="mallory"),
        charlie=UserFactory(username="charlie"),
        root=UserFactory(username="root", is_superuser=True, is_staff=True),
    )
    MembershipFactory(team=sales, user=people.alice, role=Membership.Role.LEAD)
    MembershipFactory(team=sales, user=people.bob)
    MembershipFactory(team=marketing, user=people.mallory, role=Membership.Role.LEAD)
    return people
