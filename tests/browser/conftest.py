"""Debian's Chromium, driven by playwright; both are CI's to install, so a machine without them skips these tests."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.browser.axe import axe_fetch
from tests.browser.sales import make_sales, write_sales_file

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    # playwright runs an event loop in this thread, which Django would take for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of its own session; an error in the page's scripts fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    yield page
    context.close()
    assert not errors


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script."""
    return axe_fetch(tmp_path_factory.mktemp("axe"))


@pytest.fixture
def sales_file(tmp_path: Path, settings: Settings) -> Path:
    path = tmp_path / "sales.sqlite"
    write_sales_file(path)
    settings.FILE_FOLDERS = [str(tmp_path)]
    return path


@pytest.fixture
def address(live_server: LiveServer, sales_file: Path) -> str:
    """Where sales asks its database."""
    make_sales(sales_file)
    return f"{live_server.url}/ask/sales/sales_db/"
