"""The block that a start prints."""

import json
import shlex
from pathlib import Path

from text2sql.launch.block import StartBlock
from text2sql.launch.demo import DemoAccess

ACCESS: DemoAccess = {
    "admin": {"username": "admin", "password": "tall-glass"},
    "lead": {"username": "lead", "password": "small-cup"},
    "keys": {"marketing": "t2s_mmm", "sales": "t2s_sss"},
    "question": "What's the revenue by month?",
    "database": "sales_db",
}


def block(demo: DemoAccess | None) -> str:
    return str(StartBlock("http://127.0.0.1:8000", "a stand-in", "LangFuse disabled", Path("/data/logs"), demo))


def test_everything_a_new_user_needs_is_in_it() -> None:
    text = block(ACCESS)
    for part in (
        "http://127.0.0.1:8000/admin/",
        "admin / tall-glass",
        "lead / small-cup",
        "t2s_mmm",
        "t2s_sss",
        "a stand-in",
        "LangFuse disabled",
        "/data/logs",
    ):
        assert part in text


def test_the_curl_survives_a_shell_and_uses_the_key_of_the_databases_team() -> None:
    text = block(ACCESS)
    command = text[text.index("curl") : text.index("Ctrl-C")]
    words = shlex.split(command)
    assert words[:3] == ["curl", "-s", "http://127.0.0.1:8000/api/v1/generate"]
    assert "Authorization: Bearer t2s_sss" in words
    body = json.loads(words[words.index("-d") + 1])
    assert body == {"database": "sales_db", "question": "What's the revenue by month?", "execute": True}


def test_without_a_demo_it_says_how_to_make_a_login() -> None:
    text = block(None)
    assert "createsuperuser" in text
    assert "curl" not in text


def test_keys_that_are_no_longer_known_are_not_made_up() -> None:
    text = block({"admin": ACCESS["admin"], "lead": ACCESS["lead"]})
    assert "earlier start" in text
    assert "curl" not in text
