"""A bad setting stops the start with a sentence that says what to do; asked of the real command, from outside."""

import os
import re
import subprocess
import sys
from pathlib import Path
from secrets import token_urlsafe

import pytest
from django.conf import settings as project
from django.core.checks import ERROR, WARNING, CheckMessage
from django.db import connection
from pytest_django import Settings

from observability.models import Price
from observability.services.prices import prices_forget
from tests.processes import database_url
from text2sql.checks import model_check

GOOD = {
    "DJANGO_SETTINGS_MODULE": "text2sql.settings",
    "DEBUG": "true",
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "SECRET_KEY": "only-for-tests-" + "x" * 40,
    "ENCRYPTION_KEYS": "dGVzdHMtb25seS1rZXktMzItYnl0ZXMtbG9uZy0hISE=",
    "ANTHROPIC_API_KEY": "",
    "CLAUDE_MODEL": "claude-sonnet-5-5",
    "LANGFUSE_PUBLIC_KEY": "",
    "LANGFUSE_SECRET_KEY": "",
    "TARGET_DIALECTS": "postgres,sqlite",
}
PRODUCTION = {
    "DEBUG": "false",
    "DATABASE_URL": "postgresql://u:p@localhost/none",
    "REDIS_URL": "redis://localhost:6379/0",
    "ANTHROPIC_API_KEY": "sk-ant-test",
}


def manage(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **GOOD, "DATA_DIR": str(folder), **changes}
    return subprocess.run(  # noqa: S603  # our own command
        [sys.executable, "manage.py", *arguments],
        cwd=project.BASE_DIR, env=environment, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, PRODUCTION], ids=["debug", "production"])
def test_right_settings_pass(tmp_path: Path, changes: dict[str, str]) -> None:
    run = manage(tmp_path, "check", **changes)
    assert run.returncode == 0, run.stderr
    assert "no issues" in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({"BEHIND_PROXY": "true"}, []),
        ({}, ["W008"]),  # nothing tells what came by HTTPS, so nothing can be sent on to it
        ({"BEHIND_PROXY": "true", "SECURE_COOKIES": "false"}, ["W004", "W008", "W012", "W016"]),
        ({"BEHIND_PROXY": "true", "SECURE_SSL_REDIRECT": "false", "SECURE_HSTS_SECONDS": "0"}, ["W004", "W008"]),
    ],
    ids=["proxy", "no-proxy", "plain-cookies", "switched-off"],
)
def test_a_deployment_as_the_readme_describes_it_is_clean_and_others_are_warned(
    tmp_path: Path, changes: dict[str, str], warnings: list[str]
) -> None:
    given = {"SECRET_KEY": token_urlsafe(50), "ALLOWED_HOSTS": "text2sql.example.com", "DJANGO_ALLOW_ASYNC_UNSAFE": ""}
    run = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION, **given, **changes)
    assert re.findall(r"\bsecurity\.(W\d+)", run.stdout + run.stderr) == warnings, run.stderr
    assert (run.returncode == 0) is (warnings == [])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"ENCRYPTION_KEYS": "", "TARGET_DIALECTS": "postgres,oracle", "LANGFUSE_PUBLIC_KEY": "pk-lf-half"},
            ["observability.E001", "text2sql.E002", "text2sql.E020"],
        ),
        (
            {"ENCRYPTION_KEYS": "c2hvcnQ=", "STREAM_HEARTBEAT_SECONDS": "0", "LANGFUSE_SECRET_KEY": "sk-lf-half"},
            ["observability.E001", "text2sql.E003", "text2sql.E021"],
        ),
        ({"SECRET_KEY": ""}, ["text2sql.E001"]),
        (
            {"DEBUG": "false", "DATABASE_URL": "", "REDIS_URL": "", "ANTHROPIC_API_KEY": ""},
            ["text2sql.E010", "text2sql.E011", "text2sql.E012"],
        ),
        ({**PRODUCTION, "REDIS_URL": ""}, ["text2sql.E011"]),
    ],
)
def test_bad_settings_stop_the_start_each_with_its_id_and_a_hint(
    tmp_path: Path, changes: dict[str, str], expected: list[str]
) -> None:
    run = manage(tmp_path, "check", **changes)
    assert run.returncode == 1
    assert sorted(re.findall(r"\((\w+\.[EW]\d{3})\)", run.stderr)) == expected
    assert run.stderr.count("HINT: ") == len(expected)
    assert "Traceback" not in run.stderr
    assert "-half" not in run.stderr  # what is set may be a secret and is not repeated


def found_for(model: str, settings: Settings) -> list[CheckMessage]:
    settings.CLAUDE_MODEL = model
    return model_check(None, databases=["default"])


@pytest.mark.django_db
def test_a_model_that_is_or_soon_will_be_gone_is_a_warning(settings: Settings) -> None:
    assert found_for("claude-sonnet-5-5", settings) == []
    (soon,) = found_for("claude-sonnet-4-5-20250929", settings)
    assert (soon.level, soon.id in ("text2sql.W031", "text2sql.W032"), bool(soon.hint)) == (WARNING, True, True)
    Price.objects.filter(model="claude-sonnet-5-5").update(status="deprecated")
    prices_forget()
    (deprecated,) = found_for("claude-sonnet-5-5", settings)
    assert (deprecated.level, deprecated.id, bool(deprecated.hint)) == (WARNING, "text2sql.W032", True)
    Price.objects.filter(model="claude-sonnet-5-5").update(status="retired")
    prices_forget()
    (retired,) = found_for("claude-sonnet-5-5", settings)
    assert (retired.level, retired.id, bool(retired.hint)) == (WARNING, "text2sql.W031", True)
    prices_forget()


@pytest.mark.django_db
def test_a_model_without_a_price_is_an_error(settings: Settings) -> None:
    (unpriced,) = found_for("claude-unheard-of", settings)
    assert (unpriced.level, unpriced.id, bool(unpriced.hint)) == (ERROR, "text2sql.E030", True)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_model_is_looked_at_where_the_database_is_checked(tmp_path: Path) -> None:
    url = database_url(application_name="checks")
    run = manage(
        tmp_path, "check", "--database", "default", DATABASE_URL=url, CLAUDE_MODEL="claude-sonnet-4-5-20250929"
    )
    assert run.returncode == 0, run.stderr
    assert re.search(r"text2sql\.W03[12]", run.stderr)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_an_empty_database_can_be_checked_and_migrated(tmp_path: Path) -> None:
    name = f"{connection.settings_dict['NAME']}_empty"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        url = database_url(application_name="checks").replace(f"/{connection.settings_dict['NAME']}?", f"/{name}?")
        assert manage(tmp_path, "check", "--database", "default", DATABASE_URL=url).returncode == 0
        run = manage(tmp_path, "migrate", "--verbosity", "0", DATABASE_URL=url)
        assert run.returncode == 0, run.stderr
        gone = manage(tmp_path, "check", "--database", "default", DATABASE_URL=url, CLAUDE_MODEL="claude-unheard-of")
        assert "text2sql.E030" in gone.stderr
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_the_example_names_exactly_the_settings_that_are_read() -> None:
    root = Path(project.BASE_DIR)
    named = set(re.findall(r"^# ?([A-Z][A-Z0-9_]+)=", (root / ".env.example").read_text(), re.MULTILINE))
    reading = r"""\benv\.\w+\(\s*"([A-Z][A-Z0-9_]+)"|environ(?:\.get\(|\[)\s*"([A-Z][A-Z0-9_]+)\""""
    sources = [root / "text2sql/settings.py", root / "text2sql/management/commands/start.py"]
    read = {a or b for source in sources for a, b in re.findall(reading, source.read_text())}
    assert named == read


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [("CLAUDE_MAX_TOKENS", "many"), ("ENABLE_CACHE", "ture"), ("DATABASE_URL", "nonsense://x")]
    + [("DYNAMODB_USD_PER_MILLION_READS", price) for price in ("cheap", "-7.5", "NaN", "1e40")],
)
def test_a_value_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, value: str) -> None:
    run = manage(tmp_path, "check", **{name: value})
    assert run.returncode == 1
    assert name in run.stderr
    assert value not in run.stderr
    assert len(run.stderr.strip().splitlines()) == 1
