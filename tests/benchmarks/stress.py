"""Thousands of questions at several budgets that run out, asked by processes that are killed in between."""

import json
import random
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from teams.models import ApiKey, Budget, Reservation, Team
from tests.benchmarks.asking import SEQUENCE
from tests.factories import BudgetFactory, TeamFactory, make_database, make_key
from tests.processes import PROJECT, child_environment
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation
from text2sql.services.prefixes import prefixes_count
from text2sql.services.sweeping import questions_sweep

PER_QUESTION = Decimal("0.009")
"""What a question costs on average, so that the budgets below run out on the way."""
DEADLINE_SECONDS = 8
LONGEST_DELAY = 0.5
NUMBER = re.compile(r"sum of number (\d+)\?")
# What the stand-in plays, and how often in a thousand calls; the rest is answered after a random delay.
TROUBLES: list[tuple[str, dict[str, Any], int]] = [
    ("rate_limited", {"seconds": 0.1}, 40),
    ("overloaded", {}, 40),
    ("cut_stream", {}, 30),
    ("mid_stream_error", {}, 20),
    ("refusal", {"category": "bio"}, 10),
    ("refusal", {"category": "cyber", "mid_stream": True}, 10),
    ("max_tokens", {}, 15),
]


@dataclass(frozen=True)
class Recorded:
    question: str
    sql: str
    explanation: str


def recorded_answer(_: str, question: str) -> Recorded | None:
    """SQL that runs, SQL that has to be repaired, or none: by the question's number."""
    found = NUMBER.search(question)
    match int(found[1]) % 5 if found else 0:
        case 1:
            return Recorded(question, "SELECT nowhere FROM customers", "This column is not there.")
        case 2 | 3:
            return Recorded(question, "SELECT name FROM customers ORDER BY name", "Their names.")
    return None


@dataclass
class Stress:
    """One run. `shop` is an SQLite file below FILE_FOLDERS, `folder` takes what the processes write."""

    shop: Path
    folder: Path
    questions: int
    processes: int
    threads: int
    """In each process."""
    kills: int
    seed: int = 0

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.held: dict[Any, Decimal] = {}
        """What was held for each attempt, as far as it was seen."""
        self.killed = 0
        self.outcomes: list[dict[str, Any]] = []
        self.teams: list[Team] = []
        self.children: list[subprocess.Popen[bytes]] = []
        self.stand_in = ClaudeStandIn(
            lookup=recorded_answer, examples=lambda _: [], seed=self.seed, keep=10 * self.questions
        )

    def run(self, *, patient: bool) -> None:
        """`patient`: wait until what the killed processes left is lost by the clock, instead of calling it so."""
        self._furnish()
        self._plan_troubles()
        over = threading.Event()
        upkeep = threading.Thread(target=self._keep_up, args=(over,))
        with self.stand_in:
            upkeep.start()
            try:
                self._ask_all()
            finally:
                over.set()
                upkeep.join()
                for child in self.children:
                    child.kill()
                    child.wait()
            self._sweep(patient=patient)
        lines = (self.folder / "outcomes.jsonl").read_text().splitlines()
        self.outcomes = [json.loads(line) for line in lines]

    def _furnish(self) -> None:
        """Five teams with two keys each, and budgets of all scopes, periods and modes for what they will ask."""
        self.teams = [TeamFactory(slug=slug) for slug in ("sales", "marketing", "finance", "support", "research")]
        zones = ["UTC", "Pacific/Auckland", "America/New_York", "Asia/Kathmandu", "Europe/Berlin"]
        for team, zone in zip(self.teams, zones, strict=True):
            team.time_zone = zone
            team.save()
        make_database(self.shop, *self.teams)
        keys = [make_key(team)[0] for team in self.teams for _ in range(2)]
        sales, marketing, finance, support, research = self.teams
        team_cost = PER_QUESTION * self.questions / len(self.teams)

        def limit(share: str, **values: Any) -> None:
            BudgetFactory(limit_usd=(team_cost * Decimal(share)).quantize(Decimal("0.0001")), **values)

        limit("0.5", team=sales)
        limit("0.15", team=sales, api_key=keys[0], period="week")
        limit("0.9", team=marketing)
        limit("0.4", team=marketing, period="month")
        limit("0.4", team=finance, at_limit="degrade", degrade_from=70)
        limit("0.1", team=support, at_limit="alert")
        limit("0.6", team=support, period="week", request_limit=self.questions // 10)
        limit("9", team=research, api_key=keys[-1], request_cap_usd=Decimal("0.08"))
        limit("2.2", team=None, period="month")
        limit("0.5", team=None, at_limit="alert")
        askers = [[key.team_id, str(key.pk), key.prefix] for key in keys]
        (self.folder / "askers.json").write_text(json.dumps(askers))
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SEQUENCE {SEQUENCE}")

    def _plan_troubles(self) -> None:
        weights = [weight for _, _, weight in TROUBLES]
        usual = 1000 - sum(weights)
        for _ in range(3 * self.questions):
            (played,) = self.dice.choices([*TROUBLES, None], [*weights, usual])
            if played is None:
                self.stand_in.play("slow", seconds=self.dice.uniform(0, LONGEST_DELAY))
            else:
                self.stand_in.play(played[0], **played[1])

    def _ask_all(self) -> None:
        self.children = [self._start() for _ in range(self.processes)]
        while any(child.poll() is None for child in self.children):
            time.sleep(0.05)
            if self.killed < self.kills and self._asked() * (self.kills + 1) > self.questions * (self.killed + 1):
                victim = self.dice.randrange(self.processes)
                self.children[victim].kill()
                self.children[victim].wait()
                self.children[victim] = self._start()
                self.killed += 1
        failed = [child.returncode for child in self.children if child.returncode]
        if failed:
            raise RuntimeError(f"a process ended with {failed[0]}: see {self.folder / 'asking.log'}")

    def _start(self) -> subprocess.Popen[bytes]:
        arguments = [
            "-m", "tests.benchmarks.asking", "--threads", str(self.threads), "--questions", str(self.questions),
            "--askers", str(self.folder / "askers.json"), "--outcomes", str(self.folder / "outcomes.jsonl"),
        ]  # fmt: skip
        environment = child_environment(
            self.folder,
            CLAUDE_STAND_IN_URL=self.stand_in.base_url,
            QUESTION_DEADLINE_SECONDS=str(DEADLINE_SECONDS),
            DATABASE_POOL_SIZE="8",
        )
        with (self.folder / "asking.log").open("ab") as log:
            return subprocess.Popen([sys.executable, *arguments], cwd=PROJECT, env=environment, stdout=log, stderr=log)  # noqa: S603

    def _asked(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT last_value FROM {SEQUENCE}")  # noqa: S608  # our own name
            asked: int = cursor.fetchone()[0]
        return asked

    def _keep_up(self, over: threading.Event) -> None:
        """What the worker does on a schedule: sweep, count prefixes. And looks at what is held."""
        swept = 0.0
        try:
            while not over.wait(0.1):
                self.held.update(Reservation.objects.values_list("attempt_id", "amount_usd"))
                if time.monotonic() - swept > 1:
                    swept = time.monotonic()
                    questions_sweep()
                    prefixes_count()
        finally:
            connection.close()

    def _sweep(self, *, patient: bool) -> None:
        if not patient:  # the processes are dead: nobody can answer these any more
            Generation.objects.filter(status="running").update(lost_at=timezone.now())
        lost = Generation.objects.filter(status="running").order_by("-lost_at").values_list("lost_at", flat=True)
        with suppress(IndexError):
            time.sleep(max((lost[0] - timezone.now()).total_seconds(), 0) + 0.1)
        questions_sweep(limit=1000)

    def budgets(self) -> list[Budget]:
        return list(Budget.objects.select_related("team", "api_key"))

    def keys(self) -> dict[str, str]:
        """The team of each key."""
        return {str(key.pk): key.team_id for key in ApiKey.objects.all()}
