import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pytest_django import Settings

from tests.text2sql.cache.stand_ins import ScriptedDynamo, scripted_dynamo
from text2sql.cache.answers import AnswerCache, CachedAnswer, answer_cache
from text2sql.cache.dynamodb import DynamoAnswerCache
from text2sql.cache.postgres import PostgresAnswerCache
from text2sql.cache.table import table_ensure


class Clock:
    """A monotonic clock that moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def answer_in(cache: AnswerCache, key: str) -> CachedAnswer | None:
    """What the cache gives for the key, without the price of reading it."""
    hit = cache.get(key)
    return hit.answer if hit else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Fake credentials, and none of this machine's own."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def table_name(aws: None, moto_url: str, settings: Settings) -> str:
    """The name of a table that does not exist yet, in the settings."""
    settings.DYNAMODB_ENDPOINT_URL = moto_url
    settings.AWS_REGION = "eu-central-1"
    settings.CACHE_TABLE_NAME = f"answers-{uuid.uuid4()}"
    return str(settings.CACHE_TABLE_NAME)


@pytest.fixture
def dynamo_cache(table_name: str) -> DynamoAnswerCache:
    table_ensure()
    return DynamoAnswerCache(table_name)


@pytest.fixture(params=["postgres", "dynamodb"])
def cache(request: pytest.FixtureRequest) -> AnswerCache:
    if request.param == "postgres":
        request.getfixturevalue("db")
        return PostgresAnswerCache()
    found: DynamoAnswerCache = request.getfixturevalue("dynamo_cache")
    return found


@pytest.fixture
def dynamo(aws: None, settings: Settings) -> Iterator[ScriptedDynamo]:
    with scripted_dynamo() as server:
        settings.DYNAMODB_ENDPOINT_URL = server.url
        settings.CACHE_TABLE_NAME = "answers"
        yield server


@pytest.fixture
def chosen_anew() -> Iterator[None]:
    """The process chooses its cache by the settings of this test, and again after it."""
    answer_cache.cache_clear()
    yield
    answer_cache.cache_clear()


@pytest.fixture
def answer() -> CachedAnswer:
    return CachedAnswer(
        sql="SELECT name, 'São Paulo — 東京' AS \"città\"\nFROM customers WHERE note LIKE '%\\_%'",
        explanation='All customers, "as they are".\n\t→ one per row 🙂',
        tables=("customers", "public.orders"),
        model="claude-sonnet-5-5",
        cost_usd=Decimal("0.003120000700"),
        generation_id="5f0c2c1e-9f5e-4d2a-8f0e-0d5d6f1f2a3b",
        created_at=datetime(2026, 11, 23, 18, 4, 5, 678901, tzinfo=UTC),
    )
