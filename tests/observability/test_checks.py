import pytest
from pytest_django import Settings

from observability.checks import langfuse_settings_check


@pytest.fixture(autouse=True)
def _right(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = "pk-lf-1"
    settings.LANGFUSE_SECRET_KEY = "sk-lf-1"
    settings.LANGFUSE_BASE_URL = "https://cloud.langfuse.com"
    settings.LANGFUSE_ENVIRONMENT = "production"


def found() -> list[str | None]:
    return [message.id for message in langfuse_settings_check(None)]


def test_right_settings_pass(settings: Settings) -> None:
    assert found() == []
    settings.LANGFUSE_BASE_URL = "http://127.0.0.1:3000"
    assert found() == []


def test_no_keys_at_all_pass(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = settings.LANGFUSE_SECRET_KEY = ""
    assert found() == []


@pytest.mark.parametrize("name", ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"])
def test_half_a_key_pair_stops_the_start_with_a_hint(settings: Settings, name: str) -> None:
    setattr(settings, name, "")
    (message,) = langfuse_settings_check(None)
    assert message.id == "observability.E001"
    assert message.is_serious()
    assert message.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cloud.langfuse.com",
        "ftp://cloud.langfuse.com",
        "https://",
        "https://cloud.langfuse.com/",
        "https://cloud.langfuse.com/api",
        "https://cloud.langfuse.com?x=1",
        "https://pk:sk@cloud.langfuse.com",
        "http://127.0.0.1:port",
        "http://[::1",
    ],
)
def test_a_base_url_that_is_more_or_less_than_an_address_is_refused(settings: Settings, url: str) -> None:
    settings.LANGFUSE_BASE_URL = url
    assert found() == ["observability.E002"]


@pytest.mark.parametrize("name", ["", "Prod", "langfuse-test", "a b", "x" * 41])
def test_an_environment_that_langfuse_would_change_is_refused(settings: Settings, name: str) -> None:
    settings.LANGFUSE_ENVIRONMENT = name
    assert found() == ["observability.E003"]
