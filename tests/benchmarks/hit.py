"""How fast a cached answer is: `python -m tests.benchmarks.hit`. Ends with 1 where the median is not under its limit.

The real web process on a throw-away PostgreSQL (or TEST_DATABASE_URL), which holds the cache too; Claude's stand-in
answers one question once. The times are the client's, over loopback from the request's first byte to the answer's last
one: an upper bound of the server's own. `/livez`, asked in turn with it, is what a bare request takes.
"""

import argparse
import http.client
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.run import database

LIMIT_MS = 10.0
WARM_UP = 100


@dataclass(frozen=True)
class Times:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> "Times":
        percentiles = [cut * 1000 for cut in statistics.quantiles(seconds, n=100, method="inclusive")]
        return cls(percentiles[49], percentiles[94], percentiles[98])

    def __str__(self) -> str:
        return f"p50 {self.p50:6.2f} ms   p95 {self.p95:6.2f} ms   p99 {self.p99:6.2f} ms"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=2000)
    arguments = parser.parse_args()
    with database() as url, tempfile.TemporaryDirectory(prefix="hit-") as folder:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "FILE_FOLDERS": folder, "DATABASE_URL": url}
        return _run(arguments.questions, Path(folder))


def _run(questions: int, folder: Path) -> int:
    import django  # noqa: PLC0415  # the settings are named first

    django.setup()
    from django.test.utils import setup_databases, teardown_databases  # noqa: PLC0415  # as above

    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        hits, bare = measured(questions, folder)
    finally:
        teardown_databases(databases, verbosity=0)
    kept = hits.p50 < LIMIT_MS
    lines = [
        f"{questions} cached answers, one at a time over one connection",
        f"cached answer   {hits}   (limit of the median: {LIMIT_MS:.0f} ms)",
        f"bare request    {bare}",
        f"ratio of the medians: {hits.p50 / bare.p50:.1f}",
        "kept" if kept else "NOT KEPT",
    ]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    return 0 if kept else 1


def measured(questions: int, folder: Path) -> tuple[Times, Times]:
    """The times of cached answers, and of bare requests in between."""
    from django.conf import settings  # noqa: PLC0415  # the settings are named first

    from tests.conftest import SHOP  # noqa: PLC0415  # as above
    from tests.factories import BudgetFactory, TeamFactory, make_database, make_key  # noqa: PLC0415  # as above
    from tests.processes import web_running  # noqa: PLC0415  # as above
    from text2sql.demo.claude import ClaudeStandIn  # noqa: PLC0415  # as above

    with closing(sqlite3.connect(folder / "shop.sqlite")) as connection:
        connection.executescript(SHOP)
    team = TeamFactory(slug="sales")
    BudgetFactory(team=team)
    make_database(folder / "shop.sqlite", team)
    token = make_key(team)[1]
    with ClaudeStandIn() as claude:
        settings.CLAUDE_STAND_IN_URL = claude.base_url
        claude.play("answer", sql="SELECT name FROM customers ORDER BY name", explanation="As asked.")
        with web_running(folder) as (url, _):
            times = _timed(url.removeprefix("http://"), token, questions)
        if len(claude.requests) != 1:
            raise AssertionError(f"Claude was asked {len(claude.requests)} times, not once")
    return times


def _timed(address: str, token: str, questions: int) -> tuple[Times, Times]:
    body = json.dumps({"database": "shop", "question": "Who are the customers?"})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    with closing(http.client.HTTPConnection(address, timeout=60)) as connection:

        def ask() -> bytes:
            return _answer(connection, "POST", "/api/v1/generate", body, headers)

        def look() -> bytes:
            return _answer(connection, "GET", "/livez")

        if json.loads(ask())["cached"]:
            raise AssertionError("the first answer came from the cache")
        hits, bare = [], []
        for number in range(WARM_UP + questions):
            (hit, answer), (seconds, _) = _clocked(ask), _clocked(look)
            if not json.loads(answer)["cached"]:
                raise AssertionError(f"answer {number} did not come from the cache")
            hits.append(hit)
            bare.append(seconds)
    return Times.of(hits[WARM_UP:]), Times.of(bare[WARM_UP:])


def _clocked(request: Callable[[], bytes]) -> tuple[float, bytes]:
    begun = time.perf_counter()
    answer = request()
    return time.perf_counter() - begun, answer


def _answer(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    body: str = "",
    headers: dict[str, str] | None = None,
) -> bytes:
    connection.request(method, path, body or None, headers or {})
    with connection.getresponse() as response:
        answer = response.read()
    if response.status != 200:
        raise AssertionError(f"{path}: {response.status} {answer.decode()}")
    return answer


if __name__ == "__main__":
    sys.exit(main())
