"""A signed-in user as a Principal."""

from django.contrib.auth.models import AnonymousUser, User

from teams.access import Principal
from teams.models import Membership


def user_principal(user: User | AnonymousUser) -> Principal:
    """What a user may see: everything for an admin, the teams of their memberships otherwise."""
    if not user.is_authenticated or not user.is_active:
        return Principal(actor="nobody")
    roles = list(Membership.objects.filter(user=user, team__active=True).values_list("team_id", "role"))
    return Principal(
        actor=f"user:{user.get_username()}",
        is_admin=user.is_superuser,
        team_ids=frozenset(team_id for team_id, _ in roles),
        lead_team_ids=frozenset(team_id for team_id, role in roles if role == Membership.Role.LEAD),
        user_id=user.pk,
    )
