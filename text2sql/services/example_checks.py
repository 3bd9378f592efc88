"""Would a team's examples still run? Judged by what the team sees now, whenever that may have changed."""

import logging
from collections.abc import Mapping
from uuid import UUID

from django.db import transaction

from observability.models import Alert
from observability.services.alerts import alert_raise
from teams.access import Principal
from teams.services.budget_alerts import recipients
from text2sql.models import DatabaseAccess, Example
from text2sql.pipeline.finding import Finding
from text2sql.problems import Problem
from text2sql.services.checking import sql_check
from text2sql.services.examples import examples_judged
from text2sql.services.targets import Target, target_find

logger = logging.getLogger(__name__)

PASSES = 3
TOLD = 10


def examples_check(database_id: UUID, *, actor: str) -> int:
    """Judge the newest version of each example of a database, and tell each team which of its own broke.

    Where a team's cannot be judged that is logged, and they stay as they are. Call it outside a transaction. Returns
    how many have changed.
    """
    accesses = DatabaseAccess.objects.filter(database=database_id, examples_number__gt=0)
    changed = 0
    for access in accesses.select_related("database", "team"):
        try:
            changed += _access_check(access, actor)
        except Exception:
            logger.exception("The examples of %s could not be judged", access)
    return changed


def _access_check(access: DatabaseAccess, actor: str) -> int:
    changed = 0
    judge = Principal(actor=actor, is_admin=True)
    seen: tuple[str, str, frozenset[str]] | None = None
    for _ in range(PASSES):
        try:
            target = target_find(principal=judge, team_id=access.team_id, name=access.database.name)
        except Problem:  # its tables are not known yet: the sync that reads them judges
            break
        # Of two that judge at a time the last to write may have looked first: who has written looks again.
        before, seen = seen, (target.schema_version, target.view_version, target.allowed_functions)
        if seen == before:
            break
        changed += _findings_note(access, _findings(access, target), actor)
    return changed


def _findings(access: DatabaseAccess, target: Target) -> dict[UUID, Finding | None]:
    newest = Example.objects.filter(access=access, replaced_at=None)
    return {example.pk: sql_check(target, example.sql).finding for example in newest}


@transaction.atomic
def _findings_note(access: DatabaseAccess, findings: Mapping[UUID, Finding | None], actor: str) -> int:
    """What has changed and the alert of it, in one transaction. The lock keeps others from telling the same."""
    locked = DatabaseAccess.objects.select_for_update().get(pk=access.pk)
    in_force = Example.objects.filter(access=locked, pk__in=findings).in_force().order_by("created_at", "id")
    broken = [(example, finding) for example in in_force if (finding := findings[example.pk])]
    changed = examples_judged(access=locked, findings=dict(findings), actor=actor)
    if broken:
        _tell(access, broken)
    return changed


def _tell(access: DatabaseAccess, broken: list[tuple[Example, Finding]]) -> None:
    number = DatabaseAccess.objects.values_list("examples_number", flat=True).get(pk=access.pk)
    team, database = access.team, access.database
    what = "1 approved example" if len(broken) == 1 else f"{len(broken)} approved examples"
    lines = ["What the team sees of the database has changed. Until their SQL runs again no question is shown them."]
    if database.share_text:
        lines += [f"- {example}: {finding}" for example, finding in broken[:TOLD]]
        if len(broken) > TOLD:
            lines.append(f"… and {len(broken) - TOLD} more")
    lines.append("The admin lists them under Examples.")
    alert_raise(
        key=f"examples_broken:{access.pk}:{number}",
        kind="examples_broken",
        scope=team.pk,
        level=Alert.Level.WARNING,
        subject=f"{database.name}: {what} of {team.name} would not run any more",
        body="\n".join(lines) + "\n",
        recipients=recipients(team.pk),
        details={"database": database.name, "examples": len(broken)},
    )
