import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from observability.langfuse import client
from observability.services.traces import ObservationRecord, TraceRecord
from tests.observability.mail import MailServer
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.receiver import Receiver

START = datetime(2026, 11, 23, 9, 30, 15, 123_900, tzinfo=UTC)


def langfuse_use(settings: Settings, lf: LangfuseStandIn) -> None:
    settings.LANGFUSE_PUBLIC_KEY = lf.public_key
    settings.LANGFUSE_SECRET_KEY = lf.secret_key
    settings.LANGFUSE_BASE_URL = lf.base_url
    settings.LANGFUSE_ENVIRONMENT = "staging"
    client._clients_forget()


@pytest.fixture
def langfuse(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LangfuseStandIn]:
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(1.0))
    with LangfuseStandIn() as lf:
        langfuse_use(settings, lf)
        yield lf
    client._clients_forget()


@pytest.fixture
def old_langfuse(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[LangfuseStandIn]:
    monkeypatch.setattr(client, "TIMEOUT", httpx.Timeout(1.0))
    with LangfuseStandIn(version="4.16") as lf:
        langfuse_use(settings, lf)
        yield lf
    client._clients_forget()


def part_made(seed: str = "generation-1", *, part: str = "execution:1", start: datetime = START) -> TraceRecord:
    """What comes to the trace of `trace_made` a minute later: one span below its root."""
    later = start + timedelta(minutes=1)
    span = ObservationRecord(
        key=part, parent="root", name="execute_sql", started_at=later, ended_at=later + timedelta(milliseconds=30)
    )
    return replace(trace_made(seed, start=start), part=part, observations=[span])


def trace_made(
    seed: str = "generation-1",
    *,
    user_id: str = "sales",
    start: datetime = START,
    cost: str = "0.006890000000",
    **changes: Any,
) -> TraceRecord:
    """A trace of two observations, as a question makes it."""
    root = ObservationRecord(
        key="root",
        name="text2sql_generation",
        started_at=start,
        ended_at=start + timedelta(seconds=2),
        input={"question": "How many orders?"},
        output={"sql": "SELECT count(*) FROM orders"},
        metadata={"cached": False},
    )
    generation = ObservationRecord(
        key="attempt-1",
        parent="root",
        type="generation",
        name="generate_sql",
        started_at=start + timedelta(milliseconds=5),
        completion_started_at=start + timedelta(milliseconds=405),
        ended_at=start + timedelta(milliseconds=1905),
        model="claude-sonnet-5-5",
        model_parameters={"max_tokens": 4096},
        input=[{"role": "user", "content": "How many orders?"}],
        output="SELECT count(*) FROM orders",
        usage={"input": 120, "output": 350, "cache_read_input_tokens": 4000},
        cost={"input": Decimal("0.00339"), "output": Decimal("0.0035"), "total": Decimal(cost)},
    )
    trace: dict[str, Any] = {
        "name": "text2sql_generation",
        "user_id": user_id,
        "session_id": "session-1",
        "tags": ["text2sql"],
        "metadata": {"channel": "api"},
        "observations": (root, generation),
    }
    return TraceRecord(seed=seed, **trace | changes)


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


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """A receiver of webhooks on this machine, which alerts may be posted to."""
    settings.ALERT_PRIVATE_ADDRESSES_ALLOWED = True
    with Receiver() as server:
        yield server
