"""Who is asking, and which rows are theirs. Nothing fetches a tenant-owned row except through `visible_to`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeVar
from uuid import UUID

from django.db import models


class Scope(StrEnum):
    """What an API key may do."""

    GENERATE = "generate"
    EXECUTE = "execute"
    READ = "read"


@dataclass(frozen=True)
class Principal:
    """A signed-in user or an API key, reduced to what decides about access."""

    actor: str
    """How audit entries name it: `user:anna` or `key:t2s_ab12cd34`."""
    is_admin: bool = False
    team_ids: frozenset[str] = frozenset()
    lead_team_ids: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    user_id: int | None = None
    api_key_id: UUID | None = None

    @property
    def team_id(self) -> str:
        """The one team of an API key.

        Raises:
            ValueError: The principal is a user with none or several teams.
        """
        (team_id,) = self.team_ids
        return team_id

    def leads(self, team_id: str) -> bool:
        return self.is_admin or team_id in self.lead_team_ids


M = TypeVar("M", bound=models.Model)


class TenantQuerySet(models.QuerySet[M]):
    """Rows of a model whose class names in `team_path` the way from a row to its team."""

    def visible_to(self, principal: Principal) -> Self:
        """The rows this principal may read; all of them for an admin."""
        return self if principal.is_admin else self.filter(self._of_teams(principal.team_ids))

    def led_by(self, principal: Principal) -> Self:
        """The rows of the teams that this principal leads; all of them for an admin."""
        return self if principal.is_admin else self.filter(self._of_teams(principal.lead_team_ids))

    def _of_teams(self, team_ids: frozenset[str]) -> models.Q:
        path: str = getattr(self.model, "team_path", "team")
        return models.Q(**{f"{path}__in": team_ids})
