"""Alerts and their channels through the real forms: acknowledged by leads, set up and tested by admins."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from observability.models import Alert, AlertChannel, AlertDelivery, AuditEntry
from observability.services.alerts import alert_raise, alerts_send
from tests.permissions.estate import World
from tests.standins.receiver import Fault, Receiver

CONFIRMED = {"_form_submitted": "on"}
ADD = "admin:observability_alertchannel_add"
LIST = "admin:observability_alert_changelist"


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    settings.ALERT_PRIVATE_ADDRESSES_ALLOWED = True
    with Receiver() as server:
        yield server


@pytest.fixture
def root(world: World) -> Client:
    return world.people.signed_in(world.people.root)


@pytest.fixture
def alice(world: World) -> Client:
    return world.people.signed_in(world.people.alice)


def form(kind: str, **values: Any) -> dict[str, Any]:
    return {"name": f"my {kind}", "kind": kind, "scope": "", "minimum_level": "info", "enabled": "on", **values}


def alert_of(world: World) -> Alert:
    return Alert.objects.get(scope=world.sales.word)


def everything_stored() -> str:
    sessions = [str(session.get_decoded()) for session in Session.objects.all()]
    models = (AlertChannel, AlertDelivery, AuditEntry)
    return str([list(model._default_manager.values()) for model in models]) + "".join(sessions)


def test_a_lead_acknowledges_an_alert_with_a_note(alice: Client, world: World) -> None:
    alert = alert_of(world)
    path = reverse("admin:observability_alert_acknowledge", args=[alert.pk])
    assert "note" in alice.get(path).content.decode()
    page = reverse("admin:observability_alert_change", args=[alert.pk])
    assert alice.post(path, {**CONFIRMED, "note": "More was asked for."}).headers["Location"] == page
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.note) == ("user:alice-atlantis", "More was asked for.")
    assert AuditEntry.objects.get(verb="alert.acknowledged").scope == "atlantis"
    shown = alice.get(page).content.decode()
    assert "More was asked for." in shown
    assert "user:alice-atlantis" in shown
    again = alice.post(path, CONFIRMED, follow=True)
    assert "acknowledged before, by user:alice-atlantis" in again.content.decode()


def test_alerts_are_filtered_by_kind_level_team_and_acknowledgement(root: Client, world: World) -> None:
    alert_raise(key="o", kind="drift", scope="", level="critical", subject="Drift", body="b")
    Alert.objects.filter(scope="borneo").update(acknowledged_at="2026-11-23T10:00Z", acknowledged_by="user:root")
    for query, found in {
        "": {"atlantis", "borneo", ""},
        "kind=budget": {"atlantis", "borneo"},
        "level__exact=critical": {""},
        "scope=borneo": {"borneo"},
        "scope=": {""},
        "acknowledged_at__isempty=1": {"atlantis", ""},
        "acknowledged_at__isempty=0": {"borneo"},
    }.items():
        page = root.get(f"{reverse(LIST)}?{query}")
        assert {alert.scope for alert in page.context["cl"].queryset} == found, query
    shown = root.get(reverse(LIST)).context["cl"]
    words = [str(choice["display"]) for spec in shown.filter_specs for choice in spec.choices(shown)]
    assert {"the organisation", "open", "acknowledged", "critical"} <= {word.lower() for word in words}


def test_the_alerts_page_shows_each_delivery_with_its_last_error(
    root: Client, alice: Client, world: World, receiver: Receiver
) -> None:
    root.post(reverse(ADD), form("slack", url=receiver.url("/T0/very-private")))
    alert = alert_raise(
        key="x", kind="budget", scope="atlantis", level="warning", subject="s", body="b", recipients=["a@example.com"]
    )
    assert alert is not None
    receiver.fail(Fault(404, text="no_service"))
    alerts_send()
    for client in (root, alice):
        shown = client.get(reverse("admin:observability_alert_change", args=[alert.pk])).content.decode()
        assert "a@example.com" in shown
        assert "my slack (Slack)" in shown
        assert "answered 404: no_service" in shown
        assert "very-private" not in shown
    assert "failed" in alice.get(reverse(LIST)).content.decode()


@pytest.mark.django_db(transaction=True)
def test_an_admin_adds_a_webhook_sees_its_secret_once_and_tries_it(
    root: Client, world: World, receiver: Receiver
) -> None:
    answer = root.post(reverse(ADD), form("webhook", url=receiver.url("/T0/very-private"), scope="atlantis"))
    (secret,) = set(re.findall(r"whsec_[\w+/=]+", answer.content.decode()))
    assert "no-store" in answer.headers["Cache-Control"]
    channel = AlertChannel.objects.get(name="my webhook")
    assert (channel.scope, channel.minimum_level, channel.enabled) == ("atlantis", "info", True)
    test = reverse("admin:observability_alertchannel_test", args=[channel.pk])
    assert "the test was taken" in root.post(test, CONFIRMED, follow=True).content.decode()
    assert receiver.requests[0].path == "/T0/very-private"
    receiver.fail(Fault(410, text="gone"))
    told = root.post(test, CONFIRMED, follow=True).content.decode()
    assert "the test was not taken: answered 410: gone" in told
    for path in (
        reverse("admin:observability_alertchannel_changelist"),
        reverse("admin:observability_alertchannel_change", args=[channel.pk]),
        reverse("admin:observability_alertchannel_history", args=[channel.pk]),
        reverse("admin:observability_auditentry_changelist"),
    ):
        body = root.get(path).content.decode()
        assert secret not in body
        assert "very-private" not in body
    assert secret not in everything_stored()
    assert "very-private" not in everything_stored()
    verbs = AuditEntry.objects.filter(verb__startswith="alert").order_by("at").values_list("verb", "actor", "scope")
    assert list(verbs) == [
        ("alert_channel.added", "user:root", "atlantis"),
        *[("alert_channel.tested", "user:root", "atlantis")] * 2,
    ]


def test_a_change_without_a_url_keeps_the_stored_one(root: Client, world: World, receiver: Receiver) -> None:
    root.post(reverse(ADD), form("slack", url=receiver.url("/first")))
    channel = AlertChannel.objects.get(name="my slack")
    page = reverse("admin:observability_alertchannel_change", args=[channel.pk])
    assert root.post(page, form("slack", url="", minimum_level="critical")).status_code == 302
    changed = AlertChannel.objects.get(pk=channel.pk)
    assert (changed.minimum_level, changed.encrypted_url) == ("critical", channel.encrypted_url)
    entry = AuditEntry.objects.get(verb="alert_channel.changed")
    assert (entry.data["was"]["minimum_level"], entry.data["now"]["minimum_level"]) == ("info", "critical")
    assert root.post(page, form("webhook", name="my slack", url=receiver.url("/second"))).status_code == 302
    changed = AlertChannel.objects.get(pk=channel.pk)
    assert changed.kind == "slack"  # a channel stays what it is
    assert changed.encrypted_url != channel.encrypted_url
    delete = reverse("admin:observability_alertchannel_delete", args=[channel.pk])
    assert root.post(delete, {"post": "yes"}).status_code == 302
    assert AuditEntry.objects.get(verb="alert_channel.deleted").data["was"]["name"] == "my slack"


@pytest.mark.parametrize(
    ("kind", "values", "field"),
    [
        ("slack", {}, "url"),
        ("webhook", {"url": "http://example.com/geheim"}, "url"),
        ("webhook", {"url": "https://127.0.0.1/geheim"}, "url"),
        ("webhook", {"url": "https://u:geheim@example.com/"}, "url"),
        ("slack", {"url": "https://example.com/geheim", "addresses": "a@example.com"}, "addresses"),
        ("email", {}, "addresses"),
        ("email", {"addresses": "a@example.com\nnobody"}, "addresses"),
        ("email", {"addresses": "a@example.com", "url": "https://example.com/geheim"}, "url"),
        ("email", {"addresses": "a@example.com", "scope": "nowhere"}, "scope"),
        ("pigeon", {"addresses": "a@example.com"}, "kind"),
    ],
)
def test_a_channel_that_could_not_work_is_refused_and_never_sends_its_url_back(
    kind: str, values: dict[str, str], field: str, root: Client
) -> None:
    answer = root.post(reverse(ADD), form(kind, **values))
    assert field in answer.context["adminform"].form.errors
    assert "geheim" not in answer.content.decode()
    assert not AlertChannel.objects.filter(name=f"my {kind}").exists()


def test_a_mailing_list_gets_the_alerts_of_its_team(root: Client, world: World) -> None:
    addresses = "desk@example.com\r\non-call@example.com\r\ndesk@example.com"
    assert root.post(reverse(ADD), form("email", addresses=addresses, scope="atlantis")).status_code == 302
    assert AlertChannel.objects.get(name="my email").addresses == ["desk@example.com", "on-call@example.com"]
    AlertDelivery.objects.all().delete()
    AlertChannel.objects.filter(name="on call").delete()
    for scope in ("atlantis", "borneo"):
        alert_raise(key=f"to {scope}", kind="budget", scope=scope, level="info", subject=scope, body="b")
    alerts_send()
    assert [(message.subject, message.to) for message in mail.outbox] == [
        ("atlantis", ["desk@example.com", "on-call@example.com"])
    ]
