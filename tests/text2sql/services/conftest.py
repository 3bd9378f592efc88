from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from teams.access import Principal
from teams.models import ApiKey, Charge, Reservation, Team
from tests.factories import TeamFactory, make_database, make_key
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, Database, Generation
from text2sql.problems import Problem
from text2sql.services.generation import Question, generation_create

SQL = "SELECT name FROM customers ORDER BY name"


@dataclass(frozen=True)
class Asker:
    """A team with a key and the database `shop`."""

    team: Team
    key: ApiKey
    token: str
    principal: Principal
    database: Database

    def ask(self, question: str = "Who are the customers?", **values: Any) -> Generation:
        asked = Question(self.team.pk, values.pop("database", "shop"), question, **values)
        return generation_create(principal=self.principal, question=asked)

    def problem_of(self, question: str = "Who are the customers?", **values: Any) -> Problem:
        with pytest.raises(Problem) as raised:
            self.ask(question, **values)
        return raised.value


@pytest.fixture
def asker(transactional_db: None, claude: ClaudeStandIn, shop: Path) -> Asker:
    team = TeamFactory(slug="sales")
    database = make_database(shop, team)
    key, token, principal = make_key(team)
    return Asker(team, key, token, principal, database)


def play_sql(claude: ClaudeStandIn, sql: str = SQL, **arguments: Any) -> None:
    claude.play("answer", sql=sql, explanation="As asked.", **arguments)


def assert_settled(generation: Generation | None = None) -> Generation:
    """Nothing runs and no money is held; the (only) generation, read anew, adds up to its charges."""
    assert not Reservation.objects.exists()
    assert not Attempt.objects.filter(status="running").exists()
    assert not Generation.objects.filter(status="running").exists()
    found = Generation.objects.get(**({"pk": generation.pk} if generation else {}))
    charges = list(Charge.objects.filter(generation_id=found.pk))
    assert found.attempt_count == found.attempts.count() == len(charges)
    assert found.cost_usd == sum(charge.cost_usd for charge in charges)
    assert found.output_tokens == sum(charge.output_tokens for charge in charges)
    assert found.finished_at is not None
    assert found.latency_ms is not None
    return found
