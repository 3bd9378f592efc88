import smtplib
import socketserver
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, connections, transaction
from django.utils import timezone
from pytest_django import Settings

from observability.models import Alert, AlertDelivery, AuditEntry
from observability.services.alerts import alert_acknowledge, alert_raise, alerts_send
from observability.services.deliveries import ExportOutcome, drain
from tests.observability.logs import lines_of, logging_as
from tests.observability.mail import MailServer


def raise_one(**changes: Any) -> Alert | None:
    alert: dict[str, Any] = {
        "key": "budget:sales:2026-11-23:80",
        "kind": "budget",
        "scope": "sales",
        "level": "warning",
        "subject": "sales has used 80 % of its budget",
        "body": "8.00 of 10.00 USD",
        "recipients": ["lead@example.com", "admin@example.com"],
    }
    return alert_raise(**alert | changes)


def due_now() -> None:
    AlertDelivery.objects.update(next_try_at=timezone.now())


@pytest.mark.django_db
def test_an_alert_is_mailed_to_all_its_recipients_once() -> None:
    raise_one()
    assert alerts_send() == ExportOutcome(claimed=1, delivered=1)
    assert alerts_send() == ExportOutcome()
    (message,) = mail.outbox
    assert message.to == ["lead@example.com", "admin@example.com"]
    assert message.subject == "sales has used 80 % of its budget"
    delivery = AlertDelivery.objects.get()
    assert (delivery.state, delivery.last_error) == ("delivered", "")
    assert delivery.delivered_at is not None


@pytest.mark.django_db
def test_the_same_key_raises_nothing_again() -> None:
    assert raise_one() is not None
    assert raise_one(subject="another") is None
    assert Alert.objects.get().subject == "sales has used 80 % of its budget"


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_with_one_key_one_is_raised() -> None:
    def attempt(_: int) -> Alert | None:
        try:
            return raise_one()
        finally:
            connections["default"].close()

    with ThreadPoolExecutor(4) as threads:
        raised = list(threads.map(attempt, range(8)))
    assert sum(alert is not None for alert in raised) == 1
    assert Alert.objects.count() == AlertDelivery.objects.count() == 1


@pytest.mark.django_db
def test_an_alert_for_nobody_is_only_a_row() -> None:
    assert raise_one(recipients=[]) is not None
    assert alerts_send() == ExportOutcome()
    assert mail.outbox == []


@pytest.mark.django_db
def test_a_line_break_in_a_subject_writes_no_header() -> None:
    raise_one(subject="budget\nBcc: everyone@example.com")
    assert alerts_send().delivered == 1
    assert mail.outbox[0].message()["Bcc"] is None


@pytest.mark.django_db
def test_an_address_no_mail_can_be_sent_to_fails_its_alert_only() -> None:
    raise_one(key="bad", recipients=["no address\n@example.com"])
    raise_one(key="good")
    outcome = alerts_send()
    assert (outcome.failed, outcome.delivered, outcome.postponed) == (1, 1, 0)
    assert AlertDelivery.objects.get(alert__key="bad").state == "failed"
    assert AlertDelivery.objects.get(alert__key="good").state == "delivered"


@pytest.mark.django_db
def test_a_mail_server_that_is_down_gets_the_alert_later(mail_server: MailServer, settings: Settings) -> None:
    raise_one()
    raise_one(key="other")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    before = timezone.now()
    outcome = drain(alerts_send)
    assert (outcome.claimed, outcome.postponed, outcome.delivered) == (2, 2, 0)
    for row in AlertDelivery.objects.all():
        assert row.state == "pending"
        assert "refused" in row.last_error
        assert row.next_try_at >= before + timedelta(seconds=1)
    settings.EMAIL_PORT = port
    due_now()
    assert drain(alerts_send).delivered == 2
    assert len(mail_server.taken) == 2


@pytest.mark.django_db
def test_a_stalling_mail_server_is_left_after_the_timeout(settings: Settings) -> None:
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as silent:  # accepts, never speaks
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = silent.server_address[:2]
        settings.EMAIL_TIMEOUT = 0.2
        raise_one()
        outcome = alerts_send()
    assert outcome.postponed == 1
    assert "timed out" in outcome.error.lower()


@pytest.mark.django_db
def test_a_mailbox_that_is_full_is_tried_again(mail_server: MailServer) -> None:
    mail_server.refusal = "452 mailbox full"
    raise_one()
    assert alerts_send().postponed == 1
    mail_server.refusal = ""
    due_now()
    assert alerts_send().delivered == 1


@pytest.mark.django_db
def test_a_mailbox_that_does_not_exist_is_not_tried_again(mail_server: MailServer) -> None:
    mail_server.refusal = "550 no such user"
    raise_one()
    assert alerts_send().failed == 1
    assert "no such user" in AlertDelivery.objects.get().last_error
    due_now()
    assert alerts_send() == ExportOutcome()


def test_mail_trouble_is_an_os_error() -> None:
    # alert_senders relies on it.
    assert issubclass(smtplib.SMTPException, OSError)


@pytest.mark.django_db
def test_an_alert_keeps_its_figures_exactly() -> None:
    raise_one(details={"spent_usd": Decimal("8.000000000001"), "threshold": 80})
    alert = Alert.objects.get()
    assert alert.details == {"spent_usd": "8.000000000001", "threshold": 80}
    assert (alert.scope, alert.level, alert.acknowledged_at, alert.acknowledged_by) == ("sales", "warning", None, "")


@pytest.mark.django_db(transaction=True)
def test_an_alert_falls_with_the_transaction_that_caused_it(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        with transaction.atomic():
            raise_one()
            transaction.set_rollback(True)
        assert (Alert.objects.count(), AlertDelivery.objects.count()) == (0, 0)
    assert lines_of(capsys.readouterr().out, "alert_raised") == []


@pytest.mark.django_db(transaction=True)
def test_one_statement_tells_a_key_that_was_raised_before(
    django_assert_num_queries: Callable[[int], AbstractContextManager[object]],
) -> None:
    raise_one()
    with transaction.atomic(), django_assert_num_queries(1):
        assert raise_one() is None


@pytest.mark.django_db
def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        raise_one(level="loud")


@pytest.mark.django_db
def test_an_alert_is_acknowledged_once_and_the_first_word_stands() -> None:
    alert = raise_one()
    assert alert is not None
    assert alert_acknowledge(alert=alert, actor="user:alice", note="I look into it.")
    assert not alert_acknowledge(alert=alert, actor="user:root", note="Me too.")
    alert.refresh_from_db()
    assert (alert.acknowledged_by, alert.note) == ("user:alice", "I look into it.")
    entry = AuditEntry.objects.get(verb="alert.acknowledged")
    assert (entry.actor, entry.target, entry.scope) == ("user:alice", alert.key, "sales")
    assert entry.data["was"] == {"acknowledged_by": "", "note": ""}
    assert entry.data["now"] == {"acknowledged_by": "user:alice", "note": "I look into it."}


@pytest.mark.django_db
def test_an_alert_that_nobody_took_for_a_week_is_given_up(mail_server: MailServer) -> None:
    mail_server.refusal = "452 mailbox full"
    raise_one()
    AlertDelivery.objects.update(created_at=timezone.now() - timedelta(days=6, hours=23))
    assert alerts_send().postponed == 1
    AlertDelivery.objects.update(created_at=timezone.now() - timedelta(days=7))
    due_now()
    assert alerts_send().failed == 1
    assert AlertDelivery.objects.get().last_error.startswith("given up after 7 days: recipients refused")
