"""Who did what: entries are written in the transaction of the change, with old and new values and without secrets."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from django.db import models, transaction

from observability.models import AuditEntry

Values = Mapping[str, Any]
"""As JSON holds them, by the name of the field."""
HIDDEN = "changed"
"""What is told of a secret; never the old one, nor the new one."""


def audit_record(
    *, actor: str, verb: str, target: str, scope: str = "", data: Mapping[str, Any] | None = None
) -> AuditEntry:
    """Write down who did what, in the caller's transaction; `verb` is namespaced, such as "budget.changed"."""
    return AuditEntry.objects.create(actor=actor, verb=verb, target=target, scope=scope, data=dict(data or {}))


def audit_change(
    *,
    actor: str,
    verb: str,
    target: str,
    was: Values | None,
    now: Values | None,
    scope: str = "",
    secrets: Collection[str] = (),
    told: Values | None = None,
) -> AuditEntry | None:
    """Write down what differs between two states, in the caller's transaction; None where nothing does.

    `was` is None for what is new, `now` for what is gone; then `verb` is of that kind. `secrets` names those that were
    set besides, and `told` is what else is to be said, such as a reason.
    """
    found = differing(was, now)
    if was is not None and now is not None and not (secrets or found["now"]):
        return None
    data = {**(told or {}), **found, "now": found["now"] | dict.fromkeys(secrets, HIDDEN)}
    return audit_record(actor=actor, verb=verb, target=target, scope=scope, data=data)


def differing(was: Values | None, now: Values | None) -> dict[str, dict[str, Any]]:
    """`was` and `now` as an entry holds them: of what differs only, or of all where there is but one state."""
    if was is None or now is None:
        return {"was": dict(was or {}), "now": dict(now or {})}
    names = [name for name in now if name not in was or was[name] != now[name]]
    return {"was": {name: was[name] for name in names if name in was}, "now": {name: now[name] for name in names}}


@contextmanager
def change_audited(
    row: models.Model,
    *,
    actor: str,
    kind: str = "",
    target: str = "",
    scope: str = "",
    fields: Collection[str] | None = None,
    secrets: Collection[str] = (),
) -> Iterator[None]:
    """Have what is done to the row within, and the entry that tells of it, in one transaction.

    Adding, changing and deleting: what the table held before and after is compared. `kind` is what comes before the
    verb, by default the model's name; `fields` are those that are told, by default all that people may set; of
    `secrets` among them only that they have changed.
    """
    with transaction.atomic():
        before = _stored(row)
        key, name = row.pk, str(row)
        yield
        after = _stored(row)
        if before is None and after is None:
            return
        names = [field.attname for field in _fields(row, fields) if field.name not in secrets]
        audit_change(
            actor=actor,
            verb=f"{kind or row_kind(row)}.{'added' if before is None else 'deleted' if after is None else 'changed'}",
            target=target or str(key if after is None else row.pk),
            scope=scope,
            was=row_values(before, names) if before else None,
            now=row_values(after, names) if after else None,
            secrets=[
                field.name.removeprefix("encrypted_")
                for field in _fields(row, fields)
                if field.name in secrets and before and after and _differs(field.attname, before, after)
            ],
            told={"name": name if after is None else str(row)},
        )


def row_kind(row: models.Model) -> str:
    return str(row._meta.verbose_name).lower().replace(" ", "_")


def row_values(row: models.Model, names: Collection[str]) -> dict[str, Any]:
    return {name: value_told(getattr(row, name)) for name in names}


def value_told(value: Any) -> Any:
    """As JSON holds it: money as text without idle zeros, times in UTC."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return f"{value.normalize():f}"
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case dict():
            return {str(name): value_told(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [value_told(each) for each in value]
        case _:
            return str(value)


def _stored(row: models.Model) -> models.Model | None:
    if row.pk is None:
        return None
    # All rows, whatever the model's own manager leaves out.
    rows: models.QuerySet[models.Model] = models.QuerySet(row._meta.model)
    return rows.select_for_update(no_key=True).filter(pk=row.pk).first()


def _fields(row: models.Model, names: Collection[str] | None) -> "list[models.Field[Any, Any]]":
    columns = [field for field in row._meta.concrete_fields if not field.primary_key]
    if names is None:
        return [field for field in columns if field.editable]
    return [field for field in columns if field.name in names or field.attname in names]


def _differs(name: str, before: models.Model, after: models.Model) -> bool:
    return bool(getattr(before, name) != getattr(after, name))
