import smtplib
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db import connections
from django.utils import timezone
from pytest_django import Settings

from observability.models import Alert
from observability.services.alerts import alert_raise, alerts_send
from observability.services.deliveries import ExportOutcome, drain


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
    Alert.objects.update(next_try_at=timezone.now())


@pytest.mark.django_db
def test_an_alert_is_mailed_to_all_its_recipients_once() -> None:
    raise_one()
    assert alerts_send() == ExportOutcome(claimed=1, delivered=1)
    assert alerts_send() == ExportOutcome()
    (message,) = mail.outbox
    assert message.to == ["lead@example.com", "admin@example.com"]
    assert message.subject == "sales has used 80 % of its budget"
    alert = Alert.objects.get()
    assert (alert.state, alert.last_error) == (Alert.State.DELIVERED, "")
    assert alert.delivered_at is not None


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
    assert Alert.objects.count() == 1


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
    assert Alert.objects.get(key="bad").state == Alert.State.FAILED
    assert Alert.objects.get(key="good").state == Alert.State.DELIVERED


class MailServer(socketserver.ThreadingTCPServer):
    """A small SMTP server over a real socket; `refusal` is what it answers to every recipient, if anything."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailTalk)
        self.refusal = ""
        self.taken: list[str] = []


class MailTalk(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 ready")
        for line in self.rfile:
            verb = line.decode().split()[0].upper()
            if verb == "RCPT" and self.server.refusal:
                self.say(self.server.refusal)
            elif verb == "DATA":
                self.say("354 go on")
                self.server.taken.append(self.text())
                self.say("250 taken")
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def text(self) -> str:
        lines = []
        for line in self.rfile:
            if line == b".\r\n":
                break
            lines.append(line.decode())
        return "".join(lines)

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def mail_server(settings: Settings) -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
        settings.EMAIL_TIMEOUT = 1
        yield server
        server.shutdown()


@pytest.mark.django_db
def test_a_mail_server_that_is_down_gets_the_alert_later(mail_server: MailServer, settings: Settings) -> None:
    raise_one()
    raise_one(key="other")
    port, settings.EMAIL_PORT = settings.EMAIL_PORT, 1
    before = timezone.now()
    outcome = drain(alerts_send)
    assert (outcome.claimed, outcome.postponed, outcome.delivered) == (2, 2, 0)
    for row in Alert.objects.all():
        assert row.state == Alert.State.PENDING
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
    assert "no such user" in Alert.objects.get().last_error
    due_now()
    assert alerts_send() == ExportOutcome()


def test_mail_trouble_is_an_os_error() -> None:
    # alerts_send relies on it.
    assert issubclass(smtplib.SMTPException, OSError)
