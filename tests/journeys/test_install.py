"""From a fresh clone with an empty HOME to answers, and what happens there when processes are killed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.installation import (
    Installation,
    post_form,
    printed_curl,
    printed_keys,
    printed_logins,
    wait_until,
)
from tests.standins.langfuse import LangfuseStandIn
from text2sql.demo.data import DATABASE_NAMES, build
from text2sql.demo.questions import RECORDED
from text2sql.demo.seed import OPEN_TO

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

DEADLINE = 6
"""Seconds a question may take here, so that a lost one is swept soon."""


@pytest.fixture(scope="module")
def langfuse() -> Iterator[LangfuseStandIn]:
    with LangfuseStandIn() as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("private") / "a clone"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(scope="module")
def modes_before(folder: Path) -> dict[str, int]:
    return {str(place): place.stat().st_mode for place in [folder, *folder.parents]}


@pytest.fixture(scope="module")
def installation(folder: Path, langfuse: LangfuseStandIn, modes_before: dict[str, int]) -> Iterator[Installation]:
    installation = Installation(
        folder,
        LANGFUSE_BASE_URL=langfuse.base_url,
        LANGFUSE_PUBLIC_KEY=langfuse.public_key,
        LANGFUSE_SECRET_KEY=langfuse.secret_key,
        QUESTION_DEADLINE_SECONDS=str(DEADLINE),
    )
    yield installation
    sys.stdout.write(installation.logs())  # pytest shows it where something failed
    installation.remove()


@pytest.fixture(scope="module")
def block(installation: Installation) -> str:
    """What the first start prints."""
    return installation.start()


def test_the_pasted_curl_returns_sql_with_real_rows(block: str) -> None:
    assert "LangFuse observability enabled" in block
    assert "stand-in" in block
    pasted = subprocess.run(["bash", "-c", printed_curl(block)], capture_output=True, check=True)  # noqa: S603, S607
    answer = json.loads(pasted.stdout)
    assert answer["sql"].startswith("SELECT")
    assert len(answer["rows"]) == 5
    assert answer["answered_by"] == "stand-in"


@pytest.mark.parametrize("database", DATABASE_NAMES)
def test_each_demo_database_answers_right_and_can_be_rated(
    database: str, block: str, installation: Installation, langfuse: LangfuseStandIn
) -> None:
    recorded = RECORDED[database][1]
    api = installation.client(printed_keys(block)[OPEN_TO[database][0]])
    answer = api.post("generate", json={"database": database, "question": recorded.question, "execute": True}).json()
    today = datetime.now(UTC).date()
    expected = recorded.expected(build(database, today), today)
    assert [[_value(v) for v in row] for row in answer["rows"]] == [[_value(v) for v in row] for row in expected]
    rated = api.post(f"generations/{answer['id']}/feedback", json={"rating": "up"}).json()
    wait_until(lambda: any(score.id == rated["id"] for score in langfuse.scores()), 30)
    wait_until(lambda: answer["trace_id"] in langfuse.traces(), 30)
    spent = sum(Decimal(str(step.total_cost)) for step in langfuse.traces()[answer["trace_id"]].observations)
    assert spent == Decimal(answer["cost_usd"])


def test_a_killed_web_process_leaves_no_question_running_and_no_money_held(
    block: str, installation: Installation, langfuse: LangfuseStandIn
) -> None:
    api = installation.client(printed_keys(block)["operations"])
    asked = subprocess.Popen(  # noqa: S603  # our own command
        ["curl", "-s", f"{api.base_url}generate", "-H", f"Authorization: {api.headers['authorization']}",  # noqa: S607
         "-H", "Content-Type: application/json",
         "-d", json.dumps({"database": "operations_db", "question": "[[slow 5]] Where is everything?"})],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    wait_until(lambda: api.get("generations", params={"status": "running"}).json()["results"], 10)
    (running,) = api.get("generations", params={"status": "running"}).json()["results"]
    assert Decimal(api.get("budget").json()[0]["reserved_usd"]) > 0
    for pid in installation.processes("granian"):
        os.kill(pid, signal.SIGKILL)
    asked.wait(30)
    wait_until(lambda: _alive(installation, api), 60)
    wait_until(lambda: api.get(f"generations/{running['id']}").json()["status"] == "failed", 90)
    lost = api.get(f"generations/{running['id']}").json()
    assert lost["problem"]["type"] == "urn:text2sql:problem:question-lost"
    assert Decimal(api.get("budget").json()[0]["reserved_usd"]) == 0
    wait_until(lambda: running["trace_id"] in langfuse.traces(), 30)
    root = langfuse.traces()[running["trace_id"]].root
    assert root is not None
    assert root.level == "ERROR"


def test_a_killed_worker_loses_no_trace(block: str, installation: Installation, langfuse: LangfuseStandIn) -> None:
    for pid in installation.processes("celery"):
        os.kill(pid, signal.SIGKILL)
    api = installation.client(printed_keys(block)["marketing"])
    question = RECORDED["marketing_db"][2].question
    answer = api.post("generate", json={"database": "marketing_db", "question": question}).json()
    assert answer["status"] == "succeeded"
    wait_until(lambda: answer["trace_id"] in langfuse.traces(), 120)


def test_a_spent_budget_refuses_and_the_check_raises_an_alert(block: str, installation: Installation) -> None:
    admin = installation.admin(*printed_logins(block)["admin"])
    budgets = admin.get("/admin/teams/budget/?team__slug__exact=sales").text
    budget_id = re.search(r"/admin/teams/budget/(\d+)/change/", budgets)
    assert budget_id is not None
    values = {"limit_usd": "0.01", "at_limit": "block", "degrade_from": "90", "thresholds": "50,80,100"}
    changed = post_form(admin, f"/admin/teams/budget/{budget_id[1]}/change/", values)
    assert "was changed successfully" in changed.text
    api = installation.client(printed_keys(block)["sales"])
    refused = api.post("generate", json={"database": "sales_db", "question": RECORDED["sales_db"][5].question})
    assert refused.status_code == 402
    assert refused.headers["content-type"] == "application/problem+json"
    post_form(admin, "/admin/observability/schedule/check%20budgets/run_now/", {"_form_submitted": "on"})
    wait_until(lambda: "100 % of this day" in admin.get("/admin/observability/alert/").text, 60)


def test_it_stops_without_leaving_a_process_or_a_changed_mode(
    block: str, installation: Installation, modes_before: dict[str, int]
) -> None:
    keys = printed_keys(block)
    assert installation.stop() == 0
    wait_until(lambda: not installation.processes(), 30)
    again = installation.start()
    assert printed_keys(again) == keys
    names = [database["name"] for database in installation.client(keys["sales"]).get("databases").json()]
    assert names == ["sales_db", "support_db"]
    assert installation.stop() == 0
    wait_until(lambda: not installation.processes(), 30)
    assert {place: Path(place).stat().st_mode for place in modes_before} == modes_before


def _alive(installation: Installation, api: Any) -> bool:
    try:
        return bool(api.get("me").status_code == 200)
    except Exception:  # noqa: BLE001  # while the process is down, every kind of transport error is expected
        return False


def _value(value: Any) -> Any:
    """One value as comparable, whether it came as JSON or from Python: numbers by their worth."""
    if isinstance(value, bool) or value is None:
        return value
    try:
        return Decimal(str(value)).normalize()
    except InvalidOperation:
        return str(value)
