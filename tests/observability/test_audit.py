from contextlib import AbstractContextManager
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import DatabaseError, transaction

from observability.models import AlertChannel, AuditEntry
from observability.services.audit import audit_change, audit_record, change_audited, value_told

pytestmark = pytest.mark.django_db


def test_an_entry_says_who_did_what_to_what() -> None:
    audit_record(actor="lead@example.com", verb="budget.changed", target="sales", scope="sales", data={"limit": "5"})
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.verb, entry.target, entry.scope) == (
        "lead@example.com",
        "budget.changed",
        "sales",
        "sales",
    )
    assert entry.data == {"limit": "5"}
    assert entry.at is not None


def test_an_entry_cannot_be_changed() -> None:
    entry = audit_record(actor="admin", verb="key.revoked", target="t2s_1234")
    entry.actor = "somebody else"
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        entry.save()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(actor="somebody else")


def test_an_entry_cannot_be_deleted() -> None:
    audit_record(actor="admin", verb="key.revoked", target="t2s_1234")
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        AuditEntry.objects.all().delete()
    assert AuditEntry.objects.count() == 1


def channel(**values: Any) -> AlertChannel:
    return AlertChannel(name="on call", kind="email", addresses=["a@example.com"], **values)


def audited(row: AlertChannel, **values: Any) -> AbstractContextManager[None]:
    return change_audited(row, actor="user:root", target="on call", scope="sales", **values)


def test_adding_changing_and_deleting_tell_of_what_differs_only() -> None:
    row = channel()
    with audited(row, fields=["name", "enabled"]):
        row.save()
    with audited(row, fields=["name", "enabled"]):
        row.enabled, row.minimum_level = False, "critical"
        row.save()
    with audited(row, fields=["name", "enabled"]):
        row.save()  # as it was
    with audited(row, fields=["name"]):
        row.delete()
    told = AuditEntry.objects.order_by("at").values_list("verb", "scope", "data")
    assert list(told) == [
        ("alert_channel.added", "sales", {"name": "on call", "was": {}, "now": {"name": "on call", "enabled": True}}),
        ("alert_channel.changed", "sales", {"name": "on call", "was": {"enabled": True}, "now": {"enabled": False}}),
        ("alert_channel.deleted", "sales", {"name": "on call", "was": {"name": "on call"}, "now": {}}),
    ]


def test_of_a_secret_only_that_it_has_changed_is_told() -> None:
    row = channel(encrypted_url="first-secret")
    row.save()
    with audited(row, fields=["encrypted_url", "name"], secrets=["encrypted_url"]):
        row.encrypted_url = "second-secret"
        row.save()
    entry = AuditEntry.objects.get()
    assert (entry.data["was"], entry.data["now"]) == ({}, {"url": "changed"})
    assert "secret" not in str(entry.data)


def switch_off_and_fail(row: AlertChannel) -> None:
    with audited(row):
        row.enabled = False
        row.save()
        raise ZeroDivisionError


def test_a_change_that_fails_leaves_neither_itself_nor_an_entry() -> None:
    row = channel()
    row.save()
    with pytest.raises(ZeroDivisionError):
        switch_off_and_fail(row)
    assert AlertChannel.objects.get().enabled
    assert not AuditEntry.objects.exists()


def test_values_are_told_as_json_holds_them() -> None:
    at = datetime(2026, 1, 2, 3, 4, tzinfo=timezone(timedelta(hours=2)))
    values = [Decimal("1.500"), at, at.date(), UUID(int=1), {"a": [Decimal(1), None]}, True, 3, "x", frozenset({2})]
    assert [value_told(value) for value in values] == [
        "1.5", "2026-01-02T01:04:00+00:00", "2026-01-02", str(UUID(int=1)), {"a": ["1", None]}, True, 3, "x", [2],
    ]  # fmt: skip


def test_what_is_the_same_leaves_no_entry_and_what_is_new_or_gone_does() -> None:
    told: dict[str, Any] = {"actor": "user:root", "verb": "thing.changed", "target": "1"}
    assert audit_change(**told, was={"a": 1}, now={"a": 1}) is None
    assert audit_change(**told, was=None, now={}) is not None
    changed = audit_change(**told, was={"a": 1, "b": 2}, now={"a": 1, "b": 3}, told={"reason": "so"})
    assert changed is not None
    assert changed.data == {"reason": "so", "was": {"b": 2}, "now": {"b": 3}}
