"""Alerts on their ways to Slack, webhooks and mailing lists, over real sockets."""

import base64
import hashlib
import hmac
import json
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from observability.encryption import secret_decrypt
from observability.models import Alert, AlertChannel, AlertDelivery, AuditEntry
from observability.services import alert_senders
from observability.services.alert_channels import channel_delete, channel_save, channel_secrets_rotate, channel_test
from observability.services.alert_senders import signature
from observability.services.alerts import alert_raise, alerts_send
from observability.services.deliveries import ExportOutcome
from tests.observability.mail import MailServer
from tests.standins.receiver import Fault, Received, Receiver

pytestmark = pytest.mark.django_db
KEYS = ["dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy0hISE=", "dGhlLW5ldy1rZXktb2YtMzItYnl0ZXMtbG9uZyEhISE="]


def add(kind: str, url: str = "", **values: Any) -> tuple[AlertChannel, str]:
    """A channel and its secret, if it has one; it wants everything unless told otherwise."""
    channel = AlertChannel(**{"name": kind, "kind": kind, "minimum_level": "info"} | values)
    return channel, channel_save(channel, url=url, actor="user:root")


def raise_one(key: str = "budget:sales:80", **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "key": key, "kind": "budget", "scope": "sales", "level": "warning", "subject": "sales: 80 % is spent",
        "body": "8 of 10 USD, <!channel> & more", "details": {"threshold": 80},
    }  # fmt: skip
    alert = alert_raise(**values | changes)
    assert alert is not None
    return alert


def due_now() -> None:
    AlertDelivery.objects.update(next_try_at=timezone.now())


def verified(request: Received, secret: str) -> dict[str, Any]:
    """The body, checked as a receiver does it."""
    message_id, timestamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert abs(time.time() - int(timestamp)) < 300
    assert secret.startswith("whsec_")
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    assert 24 <= len(key) <= 64
    expected = hmac.new(key, b".".join([message_id.encode(), timestamp.encode(), request.body]), hashlib.sha256)
    version, _, signed = request.headers["webhook-signature"].partition(",")
    assert (version, base64.b64decode(signed)) == ("v1", expected.digest())
    body: dict[str, Any] = json.loads(request.body)
    return body


def test_the_signature_is_the_standards_own_example() -> None:
    signed = signature(
        secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_webhook_gets_the_alert_signed(receiver: Receiver) -> None:
    _, secret = add("webhook", receiver.url("/alerts"))
    alert = raise_one()
    assert alerts_send() == ExportOutcome(claimed=1, delivered=1)
    (request,) = receiver.requests
    body = verified(request, secret)
    assert (request.path, request.headers["content-type"]) == ("/alerts", "application/json")
    assert (body["type"], body["timestamp"]) == ("alert.raised", body["data"]["created_at"])
    assert body["data"] == {
        "id": str(alert.pk), "key": alert.key, "kind": "budget", "scope": "sales", "level": "warning",
        "subject": alert.subject, "body": alert.body, "details": {"threshold": 80},
        "created_at": body["data"]["created_at"],
    }  # fmt: skip
    assert abs(datetime.fromisoformat(body["timestamp"]) - alert.created_at) < timedelta(milliseconds=1)


def test_every_try_has_the_same_id_and_body_so_that_doubles_can_be_dropped(receiver: Receiver) -> None:
    _, secret = add("webhook", receiver.url())
    raise_one()
    receiver.fail(Fault(cut=True))
    assert alerts_send().postponed == 1
    delivery = AlertDelivery.objects.get()
    assert (delivery.state, delivery.maybe_sent) == ("pending", True)
    due_now()
    assert alerts_send().delivered == 1
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    verified(first, secret)
    verified(second, secret)


def test_slack_gets_the_text_and_nobody_is_called_by_it(receiver: Receiver) -> None:
    add("slack", receiver.url("/services/T0/B0/xyz"))
    raise_one()
    assert alerts_send().delivered == 1
    (request,) = receiver.requests
    text = json.loads(request.body)["text"]
    assert text == "*[warning] sales: 80 % is spent*\n8 of 10 USD, &lt;!channel&gt; &amp; more"
    assert "webhook-signature" not in request.headers


def test_a_list_of_addresses_is_mailed_beside_the_people_named(receiver: Receiver) -> None:
    add("email", addresses=["on-call@example.com", "desk@example.com"])
    raise_one(recipients=["lead@example.com"])
    assert alerts_send() == ExportOutcome(claimed=2, delivered=2)
    assert sorted(message.to for message in mail.outbox) == [
        ["lead@example.com"],
        ["on-call@example.com", "desk@example.com"],
    ]


def test_a_channel_gets_what_it_wants_and_nothing_else(receiver: Receiver) -> None:
    add("webhook", receiver.url("/all"), name="all")
    add("webhook", receiver.url("/grave"), name="grave", minimum_level="critical")
    add("webhook", receiver.url("/sales"), name="sales", scope="sales", minimum_level="warning")
    add("webhook", receiver.url("/off"), name="off", enabled=False)
    for scope in ("sales", "marketing", ""):
        for level in ("info", "warning", "critical"):
            raise_one(f"{scope}/{level}", scope=scope, level=level)
    alerts_send()
    got: dict[str, set[str]] = {}
    for request in receiver.requests:
        got.setdefault(request.path, set()).add(json.loads(request.body)["data"]["key"])
    assert len(got.pop("/all")) == 9
    assert got == {
        "/grave": {"sales/critical", "marketing/critical", "/critical"},
        "/sales": {"sales/warning", "sales/critical"},
    }


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_trouble_that_may_pass_is_tried_again_with_a_growing_pause(receiver: Receiver, status: int) -> None:
    add("slack", receiver.url())
    raise_one()
    for tries in range(1, 4):
        receiver.fail(Fault(status, text="rollup_error"))
        before = timezone.now()
        assert alerts_send().postponed == 1
        delivery = AlertDelivery.objects.get()
        assert (delivery.state, delivery.tries) == ("pending", tries)
        assert delivery.last_error == f"answered {status}: rollup_error"
        pause = timedelta(seconds=2 ** (tries - 1))
        assert before + pause <= delivery.next_try_at < before + pause + timedelta(seconds=30)
        due_now()
    assert alerts_send().delivered == 1


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [
        ("90", 90, 120), ("1200", 1200, 1260), ("86400", 3600, 3660), ("9" * 99, 3600, 3660), ("soon", 1, 30),
        ("-5", 1, 30),
    ],
)  # fmt: skip
def test_a_busy_channel_is_left_alone_as_long_as_it_asks_up_to_an_hour(
    receiver: Receiver, asked: str, least: int, most: int
) -> None:
    add("slack", receiver.url())
    raise_one("first")
    raise_one("second")
    receiver.fail(Fault(429, {"Retry-After": asked}))
    before = timezone.now()
    assert alerts_send().postponed == 2
    assert len(receiver.requests) == 1  # the second was not even tried
    for delivery in AlertDelivery.objects.all():
        assert delivery.last_error == "answered 429"
        assert timedelta(seconds=least) <= delivery.next_try_at - before <= timedelta(seconds=most)


def test_a_retry_after_may_be_a_date(receiver: Receiver) -> None:
    add("slack", receiver.url())
    raise_one()
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=20)
    receiver.fail(Fault(429, {"Retry-After": format_datetime(at, usegmt=True)}))
    alerts_send()
    assert abs(AlertDelivery.objects.get().next_try_at - at) < timedelta(seconds=30)


@pytest.mark.parametrize(("status", "words"), [(400, "invalid_payload"), (401, ""), (404, "no_service"), (410, "gone")])
def test_what_the_other_side_refuses_is_not_sent_again(receiver: Receiver, status: int, words: str) -> None:
    add("slack", receiver.url())
    raise_one("refused")
    raise_one("taken")
    receiver.fail(Fault(status, text=words))
    outcome = alerts_send()
    assert (outcome.failed, outcome.delivered) == (1, 1)
    failed = AlertDelivery.objects.get(state="failed")
    assert failed.last_error == f"answered {status}{': ' if words else ''}{words}"
    due_now()
    assert alerts_send() == ExportOutcome()


def test_a_redirect_is_not_followed_and_says_what_to_do(receiver: Receiver) -> None:
    add("webhook", receiver.url())
    raise_one()
    receiver.fail(Fault(301, {"Location": receiver.url("/elsewhere")}))
    assert alerts_send().failed == 1
    assert "enter the address it leads to" in AlertDelivery.objects.get().last_error
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_a_private_address_is_refused_for_good_and_never_asked(receiver: Receiver, settings: Settings) -> None:
    add("webhook", receiver.url())
    settings.ALERT_PRIVATE_ADDRESSES_ALLOWED = False
    add("slack", f"https://localhost:{receiver.port}/hook")
    raise_one()
    assert alerts_send().failed == 2
    assert receiver.requests == []
    errors = sorted(AlertDelivery.objects.values_list("last_error", flat=True))
    assert "private, loopback" in errors[0]
    assert "must begin with https://" in errors[1]


def test_one_way_that_hangs_is_asked_once_per_run(
    receiver: Receiver, mail_server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alert_senders, "POST_SECONDS", 1.0)
    with Receiver() as slow:
        add("webhook", slow.url(), name="slow")
        add("slack", receiver.url())
        for number in range(60):  # more than a run takes from one way
            raise_one(f"old-{number}", recipients=["lead@example.com"])
        AlertDelivery.objects.filter(channel__name="slow").update(next_try_at=timezone.now() - timedelta(hours=1))
        slow.fail(Fault(drip=0.3), times=60)
        outcome = alerts_send()
        assert len(slow.requests) == 1
    assert len(receiver.requests) == len(mail_server.taken) == 50
    assert (outcome.delivered, outcome.postponed) == (100, 50)
    waiting = AlertDelivery.objects.filter(channel__name="slow", tries=1)
    assert all("Timeout" in delivery.last_error for delivery in waiting)
    # Only the one that was sent may have arrived.
    assert waiting.filter(maybe_sent=True).count() == 1


def test_one_slow_way_holds_up_no_other(receiver: Receiver, mail_server: MailServer) -> None:
    others_are_done = threading.Event()

    def watch() -> None:
        while len(receiver.requests) + len(mail_server.taken) < 10:
            time.sleep(0.01)
        others_are_done.set()

    with Receiver() as slow:
        add("webhook", slow.url(), name="slow")
        add("slack", receiver.url())
        for number in range(5):
            raise_one(str(number), recipients=["lead@example.com"])
        AlertDelivery.objects.filter(channel__name="slow").update(next_try_at=timezone.now() - timedelta(hours=1))
        # It answers only after all the others have been served: were it waited for, it would time out.
        slow.fail(Fault(until=others_are_done))
        threading.Thread(target=watch, daemon=True).start()
        assert alerts_send() == ExportOutcome(claimed=15, delivered=15)


def test_a_channel_that_was_switched_off_or_deleted_gets_nothing_more(receiver: Receiver) -> None:
    off, _ = add("slack", receiver.url())
    gone, _ = add("webhook", receiver.url())
    raise_one()
    off.enabled = False
    channel_save(off, actor="user:root")
    channel_delete(gone, actor="user:root")
    assert alerts_send() == ExportOutcome(claimed=1, failed=1, error="the channel was switched off")
    assert receiver.requests == []
    assert AuditEntry.objects.get(verb="alert_channel.deleted").data["was"]["kind"] == "webhook"


def test_a_test_goes_the_real_way_and_leaves_no_alert(receiver: Receiver) -> None:
    channel, secret = add("webhook", receiver.url(), enabled=False)
    assert channel_test(channel, actor="user:root") == ""
    body = verified(receiver.requests[0], secret)
    assert (body["data"]["kind"], body["data"]["level"]) == ("test", "info")
    receiver.fail(Fault(404, text="no_service"))
    assert channel_test(channel, actor="user:root") == "answered 404: no_service"
    assert (Alert.objects.count(), AlertDelivery.objects.count()) == (0, 0)
    entries = AuditEntry.objects.filter(verb="alert_channel.tested").order_by("at")
    assert [entry.data["error"] for entry in entries] == ["", "answered 404: no_service"]


def test_url_and_secret_stand_nowhere_in_the_clear(receiver: Receiver) -> None:
    channel, secret = add("webhook", receiver.url("/T0/very-private"))
    channel_save(channel, url=receiver.url("/T1/very-private"), actor="user:root")
    raise_one()
    receiver.fail(Fault(500))
    alerts_send()
    stored = [str(list(model._default_manager.values())) for model in (AlertChannel, AlertDelivery, AuditEntry)]
    assert "very-private" not in "".join(stored)
    assert secret not in "".join(stored)
    changed = AuditEntry.objects.get(verb="alert_channel.changed")
    assert changed.data == {"name": channel.name, "was": {}, "now": {"url": "changed"}}
    assert receiver.requests[0].path == "/T1/very-private"


def test_a_url_put_into_another_channels_row_is_not_used(receiver: Receiver) -> None:
    mine, _ = add("slack", receiver.url("/mine"))
    theirs, _ = add("slack", receiver.url("/theirs"), name="theirs", enabled=False)
    AlertChannel.objects.filter(pk=mine.pk).update(encrypted_url=theirs.encrypted_url)
    raise_one()
    outcome = alerts_send()
    assert (outcome.postponed, outcome.error) == (1, "This secret belongs to another row.")
    assert receiver.requests == []


def test_the_encryption_is_rotated_for_channels_too(
    receiver: Receiver, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.ENCRYPTION_KEYS = [KEYS[0]]
    channel, secret = add("webhook", receiver.url())
    add("slack", receiver.url("/slack"))
    add("email", addresses=["on-call@example.com"])
    settings.ENCRYPTION_KEYS = [KEYS[1], KEYS[0]]
    call_command("rotate_encryption")
    assert "3 secrets" in capsys.readouterr().out
    settings.ENCRYPTION_KEYS = [KEYS[1]]
    assert channel_secrets_rotate() == 3
    channel.refresh_from_db()
    assert secret_decrypt(channel.encrypted_secret, bound_to=channel.secret_owner) == secret
    raise_one()
    assert alerts_send().delivered == 3
    verified(next(request for request in receiver.requests if request.path == "/hook"), secret)


def test_a_lost_key_keeps_the_alert_until_it_is_back(receiver: Receiver, settings: Settings) -> None:
    settings.ENCRYPTION_KEYS = [KEYS[0]]
    add("slack", receiver.url())
    raise_one()
    settings.ENCRYPTION_KEYS = [KEYS[1]]
    assert alerts_send().postponed == 1
    assert "ENCRYPTION_KEYS" in AlertDelivery.objects.get().last_error
    settings.ENCRYPTION_KEYS = [KEYS[1], KEYS[0]]
    due_now()
    assert alerts_send().delivered == 1
