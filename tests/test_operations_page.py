"""docs/operations.md: what it names exists, and its dump and restore are run as they stand there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.core.management import get_commands
from django.test import Client
from pytest_django import Settings

from tests.processes import PROJECT
from text2sql.launch.postgres import EmbeddedPostgres, temporary_postgres

PAGE = (PROJECT / "docs/operations.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS = set(re.findall(r"^# ([A-Z][A-Z0-9_]+)=", (PROJECT / ".env.example").read_text(), re.MULTILINE))
OF_OTHERS = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "TLS_CERTIFICATE", "TLS_KEY",
    "HTTP_PORT", "HTTPS_PORT", "LANGFUSE_PUBLIC_URL", "ALTER", "NEW", "VACUUM",
}  # fmt: skip
"""Of compose.yaml and of PostgreSQL."""


@pytest.mark.django_db
def test_every_command_setting_and_metric_on_the_page_exists(client: Client, settings: Settings) -> None:
    commands = set(re.findall(r"manage\.py ([a-z_]+)", PAGE))
    assert len(commands) > 5
    assert commands <= set(get_commands())
    named = set(re.findall(r"`([A-Z][A-Z_]+[A-Z])[`=]", PAGE))
    assert len(named) > 15
    assert named <= SETTINGS | OF_OTHERS
    settings.METRICS_TOKEN = "only-for-tests"
    told = client.get("/metrics", headers={"Authorization": "Bearer only-for-tests"}).content.decode()
    metrics = set(re.findall(r"`(text2sql_[a-z_]+)", PAGE))
    assert metrics
    assert metrics <= set(re.findall(r"^# TYPE (\w+)", told, re.MULTILINE))


@pytest.mark.slow
def test_the_pages_dump_and_restore_move_every_row(tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if "pg_restore" in block and "usable_binaries" in block]
    (tmp_path / "data").mkdir()
    old = EmbeddedPostgres(tmp_path / "data", durable=False)
    with temporary_postgres() as server:
        old.start()
        try:
            _fill(old.url, tmp_path)
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute("CREATE DATABASE text2sql TEMPLATE template0 ENCODING 'UTF8'")
            new = server.replace("/postgres?", "/text2sql?")
            script = block.replace(".venv/bin/python", sys.executable)
            script = script.replace('Path(".data")', f'Path("{tmp_path / "data"}")')
            script = script.replace("text2sql.dump", str(tmp_path / "text2sql.dump"))
            arguments = ["bash", "-euo", "pipefail", "-c", script]
            subprocess.run(arguments, cwd=PROJECT, env=os.environ | {"NEW": new}, check=True, timeout=200)  # noqa: S603  # the page's own words
            assert _told(new) == _told(old.url)
            assert _told(new)["auth_user"] == "1"
            _manage(new, tmp_path, "migrate", "--check")
        finally:
            old.stop()
            old.remove()


def _fill(url: str, folder: Path) -> None:
    _manage(url, folder, "migrate", "--verbosity", "0")
    account = {"DJANGO_SUPERUSER_PASSWORD": "a long enough password"}
    names = ["--username", "root", "--email", "root@example.com"]
    _manage(url, folder, "createsuperuser", "--noinput", *names, **account)


def _manage(url: str, folder: Path, *arguments: str, **more: str) -> None:
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "text2sql.settings", "DATABASE_URL": url} | more
    environment["DATA_DIR"] = str(folder / "settings")
    command = [sys.executable, "manage.py", *arguments]
    subprocess.run(command, cwd=PROJECT, env=environment, check=True, timeout=200)  # noqa: S603  # our own command


def _told(url: str) -> dict[str, str]:
    """How many rows each table has, and where each sequence stands."""
    with psycopg.connect(url) as connection:
        tables = connection.execute("SELECT relname FROM pg_stat_user_tables ORDER BY relname").fetchall()
        told = {}
        for (table,) in tables:
            (count,) = connection.execute(f'SELECT count(*)::text FROM "{table}"').fetchone() or ("",)  # noqa: S608  # as the database names it
            told[table] = count
        sequences = connection.execute("SELECT sequencename, coalesce(last_value, 0)::text FROM pg_sequences")
        return told | dict(sequences.fetchall())
