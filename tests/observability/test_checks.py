import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from observability.checks import langfuse_settings_check, masking_settings_check
from observability.langfuse.client import langfuse_configured
from observability.masking import KINDS


@pytest.fixture(autouse=True)
def _right(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = "pk-lf-1"
    settings.LANGFUSE_SECRET_KEY = "sk-lf-1"
    settings.LANGFUSE_BASE_URL = "https://cloud.langfuse.com"
    settings.LANGFUSE_ENVIRONMENT = "production"


def messages() -> list[CheckMessage]:
    found = [*langfuse_settings_check(None), *masking_settings_check(None)]
    assert all(message.is_serious() and message.hint for message in found)
    return found


def found() -> list[str | None]:
    return [message.id for message in messages()]


def test_right_settings_pass(settings: Settings) -> None:
    assert found() == []
    settings.LANGFUSE_BASE_URL = "http://127.0.0.1:3000"
    assert found() == []


def test_no_keys_at_all_pass(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY = settings.LANGFUSE_SECRET_KEY = ""
    assert found() == []


@pytest.mark.parametrize("name", ["LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"])
def test_half_a_key_pair_stops_the_start(settings: Settings, name: str) -> None:
    setattr(settings, name, "")
    assert found() == ["observability.E001"]
    assert not langfuse_configured()


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("LANGFUSE_PUBLIC_KEY", "pk-hush"),
        ("LANGFUSE_PUBLIC_KEY", "sk-lf-hush"),
        ("LANGFUSE_PUBLIC_KEY", " pk-lf-hush"),
        ("LANGFUSE_PUBLIC_KEY", '"pk-lf-hush"'),
        ("LANGFUSE_SECRET_KEY", "sk-ant-hush"),
        ("LANGFUSE_SECRET_KEY", "pk-lf-hush"),
        ("LANGFUSE_SECRET_KEY", "sk-lf-"),
        ("LANGFUSE_SECRET_KEY", "sk-lf-hush\n"),
    ],
)
def test_a_key_with_another_beginning_is_refused_and_not_shown(settings: Settings, name: str, key: str) -> None:
    setattr(settings, name, key)
    (message,) = messages()
    assert message.id == "observability.E004"
    assert name in message.msg
    assert "hush" not in f"{message.msg} {message.hint}"


def test_swapped_keys_are_called_swapped(settings: Settings) -> None:
    settings.LANGFUSE_PUBLIC_KEY, settings.LANGFUSE_SECRET_KEY = "sk-lf-1", "pk-lf-1"
    assert found() == ["observability.E005"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "cloud.langfuse.com",
        "cloud.langfuse.com/",
        "ftp://cloud.langfuse.com",
        "https://",
        "https://cloud.langfuse.com/api",
        "https://cloud.langfuse.com/api/",
        "https://cloud.langfuse.com?x=1",
        "https://pk:sk@cloud.langfuse.com",
        "http://127.0.0.1:port",
        "http://[::1",
    ],
)
def test_a_base_url_that_is_more_or_less_than_an_address_is_refused(settings: Settings, url: str) -> None:
    settings.LANGFUSE_BASE_URL = url
    assert found() == ["observability.E002"]


def test_a_slash_at_the_end_is_refused_with_the_address_to_write(settings: Settings) -> None:
    settings.LANGFUSE_BASE_URL = "https://cloud.langfuse.com/"
    (message,) = messages()
    assert (message.id, message.hint) == ("observability.E006", "Write https://cloud.langfuse.com")


@pytest.mark.parametrize("name", ["", "Prod", "langfuse-test", "a b", "x" * 41])
def test_an_environment_that_langfuse_would_change_is_refused(settings: Settings, name: str) -> None:
    settings.LANGFUSE_ENVIRONMENT = name
    assert found() == ["observability.E003"]


@pytest.mark.parametrize(("detail", "expected"), [("compact", []), ("full", []), ("Full", ["observability.E007"])])
def test_only_two_levels_of_detail_are_known(settings: Settings, detail: str, expected: list[str]) -> None:
    settings.LANGFUSE_DETAIL = detail
    assert found() == expected


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["email"], []),
        (["none"], []),
        (["email", "e-mail"], ["observability.E008"]),
        (["email", "none"], ["observability.E008"]),
        (["Email"], ["observability.E008"]),
    ],
)
def test_only_known_kinds_are_masked(settings: Settings, kinds: list[str], expected: list[str]) -> None:
    settings.MASKING = kinds
    assert found() == expected


@pytest.mark.parametrize("pattern", ["(", "[a-", "a{2,1}", "(?P<x", "*", "x*", "|a", "a{99999999999}"])
def test_an_own_pattern_that_is_none_is_refused(settings: Settings, pattern: str) -> None:
    settings.MASKING_PATTERNS = [r"\bKD-\d{6}\b", pattern]
    (message,) = messages()
    assert message.id == "observability.E009"
    assert "pattern 2" in message.msg


def test_own_patterns_pass(settings: Settings) -> None:
    settings.MASKING_PATTERNS = [r"\bKD-\d{6}\b", r"[A-Z]{2}\d{2,4}"]
    assert found() == []


def test_switched_off_its_keys_are_not_looked_at(settings: Settings) -> None:
    settings.ENABLE_LANGFUSE = False
    settings.LANGFUSE_PUBLIC_KEY = "wrong"
    assert found() == []
    assert not langfuse_configured()


SHOWN = """
import json
from text2sql import settings
names = ["ENABLE_LANGFUSE", "LANGFUSE_BASE_URL", "LANGFUSE_ENVIRONMENT", "LANGFUSE_RELEASE", "LANGFUSE_DETAIL",
         "LANGFUSE_FULL_PROMPT", "MASKING", "MASKING_PATTERNS"]
print(json.dumps([getattr(settings, name) for name in names]))
"""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {},
            [True, "https://cloud.langfuse.com", "demo", "", "compact", False, [*KINDS], []],
        ),
        (
            # Compose hands on what is not set as an empty text.
            {"LANGFUSE_BASE_URL": "", "LANGFUSE_ENVIRONMENT": "", "LANGFUSE_DETAIL": "", "MASKING": ""},
            [True, "https://cloud.langfuse.com", "demo", "", "compact", False, [*KINDS], []],
        ),
        (
            {
                "ENABLE_LANGFUSE": "false",
                "LANGFUSE_HOST": "http://host:3000",
                "LANGFUSE_RELEASE": "1.2.3",
                "LANGFUSE_DETAIL": "full",
                "LANGFUSE_FULL_PROMPT": "true",
                "MASKING": "email, card",
                "MASKING_PATTERNS": r"\bKD-\d{4,6}\b [A-Z],[0-9]",
            },
            [
                *(False, "http://host:3000", "demo", "1.2.3", "full", True),
                *(["email", "card"], [r"\bKD-\d{4,6}\b", "[A-Z],[0-9]"]),
            ],
        ),
        (
            {"LANGFUSE_HOST": "http://host", "LANGFUSE_BASE_URL": "http://base", "MASKING": "none"},
            [True, "http://base", "demo", "", "compact", False, ["none"], []],
        ),
    ],
)
def test_the_settings_are_read_from_the_environment(
    tmp_path: Path, given: dict[str, str], expected: list[object]
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LANGFUSE", "MASKING"))}
    done = subprocess.run(  # noqa: S603  # our own code
        [sys.executable, "-c", SHOWN],
        cwd=Path(__file__).parents[2],
        env={**kept, "DATA_DIR": str(tmp_path), "DEBUG": "true", **given},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert json.loads(done.stdout) == expected
