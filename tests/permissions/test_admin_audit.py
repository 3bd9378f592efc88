"""Whatever can be changed on a page of the admin leaves an entry with its old and its new value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from observability.models import AlertChannel, AuditEntry
from observability.services.alert_channels import channel_save
from tests.permissions.estate import World
from tests.permissions.page_forms import fields_open, forms_of, values_sent
from text2sql.models import SchemaNote

Sent = str | None | dict[str, str]
"""What is sent of a field: a text, several inputs by name, or nothing, as of a box that is not ticked."""

SECRETS = {"url"}
CHARLIE = "the id of charlie"
CHANGES: dict[str, dict[str, Sent]] = {
    "auth.user": {
        "username": "robert", "first_name": "Rob", "last_name": "Roy", "email": "rob@example.com", "is_active": None,
        "is_superuser": "on",
    },
    "teams.team": {
        "name": "Another name", "time_zone": "Europe/Paris", "active": None, "model": "claude-haiku-4-5",
        "effort": "low", "repair_model": "claude-haiku-4-5", "repair_effort": "low",
        "degraded_model": "claude-haiku-4-5", "degraded_effort": "low",
        "memberships.user": CHARLIE, "memberships.role": "member",
        "budgets.limit_usd": "11.5", "budgets.at_limit": "degrade",
    },
    "teams.budget": {
        "limit_usd": "11.5", "at_limit": "degrade", "degrade_from": "70", "thresholds": "60", "request_limit": "9",
        "request_cap_usd": "0.5",
    },
    "teams.modellimit": {"cap_tokens": "3000", "floor_tokens": "600"},
    "observability.price": {
        "model": "claude-of-tomorrow", "above_tokens": "7",
        "effective_from": {"effective_from_0": "2031-01-01", "effective_from_1": "00:00:00"}, "input": "3.25",
        "output": "9.75", "cache_write_5m": "7.5", "cache_write_1h": "8.5", "cache_read": "0.125",
        "batch_multiplier": "0.75", "geo_us_multiplier": "1.5", "max_output": "9999", "context_window": "77777",
        "thinking": "sometimes", "default_effort": "low", "min_cacheable_tokens": "777", "status": "deprecated",
        "retires_on": "2032-01-01",
    },
    "observability.schedule": {"every_minutes": "7", "enabled": None},
    "observability.alertchannel": {
        "name": "night watch", "url": "https://hooks.example.com/T1/very-private", "addresses": "new@example.com",
        "scope": "atlantis", "minimum_level": "critical", "enabled": None,
    },
    "text2sql.database": {
        "name": "renamed_db", "description": "Something else.", "url": "postgresql://reader:very-private@db.example.com/shop",
        "row_cap": "77", "timeout_seconds": "7", "context_tokens": "7000", "cost_ceiling": "700",
        "allowed_functions": "net_of_vat", "share_text": None, "accesses.tables": "customers",
        "accesses.hidden_columns": "customers.email", "accesses.row_filters": "customers: id > 1",
    },
    "text2sql.schemanote": {"text": "Something else.", "is_sampled": "on"},
    "text2sql.evaluationplan": {
        "enabled": "on", "every_days": "17", "question_limit": "17", "drop_points": "17",
    },
    "text2sql.glossary": {"text": "buyer: somebody else"},
}  # fmt: skip


@pytest.fixture
def root(world: World) -> Client:
    return world.people.signed_in(world.people.root)


def pages_open(world: World, verb: str) -> dict[str, list[Model]]:
    """For each page on which an admin may do this, some rows that have all its fields among them."""
    request = RequestFactory().get("/")
    request.user = world.people.root
    pages = [page for page in admin.site._registry.values() if getattr(page, f"has_{verb}_permission")(request)]
    rows = {page.opts.label_lower: [world.sales.rows[page.opts.label_lower]] for page in pages}
    if verb == "change":
        rows["text2sql.schemanote"].append(
            SchemaNote.objects.create(database=world.sales.database, table="customers", column="region")
        )
        slack = AlertChannel(name="chat", kind="slack")
        channel_save(slack, url="https://hooks.example.com/T0/very-private", actor="test")
        rows["observability.alertchannel"].append(slack)
    return rows


def page_of(row: Model, verb: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{verb}", args=[row.pk])


def entries_since(ids: set[Any]) -> list[AuditEntry]:
    return list(AuditEntry.objects.exclude(pk__in=ids))


def field_change(root: Client, row: Model, place: int, name: str) -> tuple[str, list[AuditEntry]]:
    """Change one field of one of the page's forms, and nothing else."""
    page = root.get(page_of(row))
    form, values = forms_of(page)[place], values_sent(page)
    known = f"{form.prefix.rsplit('-', 1)[0]}.{name}" if form.prefix else name
    changes = CHANGES[row._meta.label_lower]
    assert known in changes, f"{row._meta.label_lower}: how is {known} changed?"
    sent, html_name = changes[known], form[name].html_name
    values |= {key: [text] for key, text in sent.items()} if isinstance(sent, dict) else {html_name: [sent or ""]}
    if sent == CHARLIE:
        values[html_name] = [str(User.objects.get(username="charlie").pk)]
    if sent is None:
        del values[html_name]
    before = set(AuditEntry.objects.values_list("pk", flat=True))
    answer: Any = root.post(page_of(row), values)
    assert answer.status_code == 302, (known, [each.errors for each in forms_of(answer)])
    return known, entries_since(before)


def told_of(entries: list[AuditEntry], name: str) -> tuple[Any, Any]:
    """Old and new value of the one field that is told of."""
    found = [
        (entry.data["was"], entry.data["now"]) for entry in entries if {name, f"{name}_id"} & set(entry.data["now"])
    ]
    assert found, f"no entry tells of {name}: {[(entry.verb, entry.data) for entry in entries]}"
    ((was, now),) = found
    (key,) = {name, f"{name}_id"} & set(now)
    return was.get(key), now[key]


def has_none(row: Model, name: str) -> bool:
    """A kind of alert channel has a URL or addresses."""
    return isinstance(row, AlertChannel) and name == ("url" if row.kind == "email" else "addresses")


@pytest.mark.parametrize("label", sorted(CHANGES))
def test_each_field_that_can_be_changed_leaves_its_old_and_its_new_value(
    label: str, root: Client, world: World
) -> None:
    seen = set()
    for row in pages_open(world, "change")[label]:
        for place, form in enumerate(forms_of(root.get(page_of(row)))):
            for name in fields_open(form):
                if has_none(row, name):
                    continue
                with transaction.atomic():
                    known, entries = field_change(root, row, place, name)
                    was, now = told_of(entries, name)
                    assert (was, now) == (None, "changed") if name in SECRETS else was != now, known
                    assert {entry.actor for entry in entries} == {"user:root"}
                    assert "very-private" not in str([entry.data for entry in entries])
                    transaction.set_rollback(True)  # the next field is changed in what there was
                seen.add(known)
    assert seen == set(CHANGES[label])


def test_no_page_on_which_something_can_be_changed_is_left_out(world: World) -> None:
    assert set(pages_open(world, "change")) == set(CHANGES)


def test_whatever_is_deleted_leaves_what_it_was(root: Client, world: World) -> None:
    rows = {label: found[0] for label, found in pages_open(world, "delete").items()}
    assert set(rows) == {
        "auth.user", "observability.alertchannel", "observability.price", "teams.budget", "text2sql.schemanote",
    }  # fmt: skip
    for label, row in rows.items():
        before = set(AuditEntry.objects.values_list("pk", flat=True))
        form = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
        place = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_changelist")
        assert root.post(place, form).status_code == 302
        assert not type(row)._default_manager.filter(pk=row.pk).exists()
        (entry,) = [each for each in entries_since(before) if each.verb.endswith(".deleted")]
        assert entry.data["was"], label
        assert entry.data["now"] == {}


@contextmanager
def refused_entries() -> Iterator[None]:
    """PostgreSQL takes no audit entry."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE observability_auditentry ADD CONSTRAINT refusing CHECK (false) NOT VALID")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE observability_auditentry DROP CONSTRAINT refusing")


@pytest.mark.parametrize("label", sorted(CHANGES))
def test_what_cannot_be_told_of_does_not_happen(label: str, root: Client, world: World) -> None:
    row = pages_open(world, "change")[label][0]
    before = list(type(row)._default_manager.order_by("pk").values())
    name = fields_open(forms_of(root.get(page_of(row)))[0])[0]
    with refused_entries(), pytest.raises(IntegrityError):
        field_change(root, row, 0, name)
    assert list(type(row)._default_manager.order_by("pk").values()) == before


def test_people_are_not_deleted_either_where_that_cannot_be_told_of(root: Client, world: World) -> None:
    form = {"action": "delete_selected", "_selected_action": [str(world.people.charlie.pk)], "post": "yes"}
    with refused_entries(), pytest.raises(IntegrityError):
        root.post(reverse("admin:auth_user_changelist"), form)
    assert User.objects.filter(pk=world.people.charlie.pk).exists()


def test_a_new_password_is_told_of_and_never_told(root: Client, world: World) -> None:
    bob = world.people.bob
    path = reverse("admin:auth_user_password_change", args=[bob.pk])
    form = {"password1": "a-very-private-word", "password2": "a-very-private-word", "usable_password": "true"}
    with refused_entries(), pytest.raises(IntegrityError):
        root.post(path, form)
    assert User.objects.get(pk=bob.pk).password == bob.password
    assert root.post(path, form).status_code == 302
    assert User.objects.get(pk=bob.pk).check_password("a-very-private-word")
    entry = AuditEntry.objects.get(verb="user.changed")
    assert (entry.actor, entry.target) == ("user:root", str(bob.pk))
    assert entry.data == {"name": bob.username, "was": {}, "now": {"password": "changed"}}


def test_a_lead_who_takes_a_new_password_is_told_of_too(world: World) -> None:
    alice = world.people.alice
    alice.set_password("the old word, of old")
    alice.save()
    client = world.people.signed_in(alice)
    form = {"old_password": "the old word, of old", "new_password1": "wrong", "new_password2": "other"}
    assert client.post("/admin/password_change/", form).status_code == 200
    assert not AuditEntry.objects.filter(verb="user.changed").exists()
    form |= dict.fromkeys(("new_password1", "new_password2"), "a-very-private-word")
    assert client.post("/admin/password_change/", form).status_code == 302
    entry = AuditEntry.objects.get(verb="user.changed")
    assert (entry.actor, entry.data["now"]) == (f"user:{alice.username}", {"password": "changed"})


def test_the_list_and_the_page_show_what_was_and_what_is(root: Client, world: World) -> None:
    budget = world.sales.budget
    terms = {"limit_usd": "12.5", "at_limit": "degrade", "degrade_from": "75", "thresholds": "50"}
    root.post(page_of(budget), {"team": "atlantis", "period": "day", **terms})
    entry = AuditEntry.objects.get(verb="budget.changed")
    alice = world.people.signed_in(world.people.alice)
    for client in (root, alice):
        shown = client.get(reverse("admin:observability_auditentry_changelist")).content.decode()
        assert "at_limit: block → degrade; limit_usd: 10 → 12.5; thresholds: [50, 80, 100] → [50] and 1 more" in shown
        page = client.get(page_of(entry)).content.decode()
        assert '<tr><th scope="row">limit_usd</th><td>10</td><td>12.5</td></tr>' in page
        assert '<tr><th scope="row">thresholds</th><td>[50, 80, 100]</td><td>[50]</td></tr>' in page
        assert "Atlantis Sales: 12.5 USD a day" in page
    mallory = world.people.signed_in(world.people.mallory)
    assert "12.5" not in mallory.get(reverse("admin:observability_auditentry_changelist")).content.decode()
    assert mallory.get(page_of(entry)).status_code == 302


def test_entries_are_found_by_actor_verb_team_and_time(root: Client, world: World) -> None:
    AuditEntry.objects.create(actor="user:zoe", verb="thing.done", target="1", scope="atlantis")
    AuditEntry.objects.create(actor="user:zoe", verb="thing.undone", target="2", scope="borneo")
    place = reverse("admin:observability_auditentry_changelist")

    def found(client: Client, query: str) -> list[str]:
        return sorted(client.get(f"{place}?{query}").context["cl"].queryset.values_list("target", flat=True))

    assert found(root, "actor=user:zoe") == ["1", "2"]
    assert found(root, "actor=user:zoe&scope=borneo") == ["2"]
    assert found(root, "verb=thing.done") == ["1"]
    assert found(root, "actor=user:zoe&at__gte=2001-01-01") == ["1", "2"]
    assert found(root, "actor=user:zoe&at__lt=2001-01-01") == []
    alice = world.people.signed_in(world.people.alice)
    assert found(alice, "actor=user:zoe") == ["1"]
    assert found(alice, "actor=user:zoe&scope=borneo") == []
