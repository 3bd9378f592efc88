"""What people do on the pages, in the steps that they take."""

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from pytest_django.live_server_helper import LiveServer

from tests.browser.sales import BY_SEGMENT
from text2sql.demo.claude import ClaudeStandIn

PASSWORD = "a long enough password"


def enter_admin(page: Any, server: LiveServer, username: str) -> None:
    page.goto(f"{server.url}/admin/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", PASSWORD)
    page.click("button[type=submit]")
    page.wait_for_url("**/admin/")


def save(page: Any) -> None:
    """Press the button at the end of the admin's form."""
    page.get_by_role("button", name="Save", exact=True).click()


def enter_ask(page: Any, address: str, username: str = "bob") -> None:
    page.goto(address)
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(address)


def play(claude: ClaudeStandIn, sql: str = BY_SEGMENT, **answer: Any) -> None:
    claude.play(
        "answer", **{"sql": sql, "explanation": "Counts each segment's orders and averages their amounts.", **answer}
    )


def ask(page: Any, question: str) -> Any:
    """Ask, and the answer once it is there."""
    page.get_by_label("Your question").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.locator("article").filter(has_text=question).last
    answer.locator(".meta, .note").first.wait_for()
    return answer


def picture(page: Any, name: str) -> None:
    """Kept in .data/screenshots, or in the folder that SCREENSHOTS names."""
    folder = Path(os.environ.get("SCREENSHOTS") or settings.BASE_DIR / ".data" / "screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(folder / f"{name}.png"))


def width(page: Any) -> int:
    found: int = page.evaluate("document.documentElement.scrollWidth")
    return found


WIDE = """[...document.querySelectorAll('*')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth)
    .map((element) => element.outerHTML.slice(0, 90))"""
"""Told where the page is wider than its window."""
