from collections.abc import Mapping
from typing import Any

from observability.models import AuditEntry


def audit_record(
    *, actor: str, verb: str, target: str, scope: str = "", data: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Write down who did what, in the caller's transaction; `verb` is namespaced, such as "budget.changed"."""
    return AuditEntry.objects.create(actor=actor, verb=verb, target=target, scope=scope, data=dict(data or {}))
