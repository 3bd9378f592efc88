import pytest
from django.db import DatabaseError, transaction

from observability.models import AuditEntry
from observability.services.audit import audit_record

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
