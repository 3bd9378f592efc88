"""Whatever people write and whatever Claude is talked into: nothing forbidden is stored as SQL, run or cached.

Each case of injections.jsonl puts a text where other people's text stands in a prompt (`via`) and has Claude answer
what the text asks for, three times over: on SQLite and on PostgreSQL, as a role that could do all of it.
"""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from django.utils import timezone
from psycopg.sql import SQL, Identifier

from teams.access import Principal
from teams.models import Team
from tests.factories import GenerationFactory, TeamFactory, make_key
from tests.text2sql.services.conftest import assert_settled
from tests.text2sql.targets.conftest import temporary_database
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Attempt, CacheEntry, Catalog, Database, DatabaseAccess, Execution, Generation, SchemaNote
from text2sql.pipeline.claude import claude_call
from text2sql.pipeline.schema import Column, Schema, Table
from text2sql.problems import Problem
from text2sql.services.clients import claude_client
from text2sql.services.context import context_build
from text2sql.services.databases import database_add
from text2sql.services.examples import Shown
from text2sql.services.executions import execution_run
from text2sql.services.generation import Question, generation_create
from text2sql.services.glossaries import glossary_save
from text2sql.services.notes import note_save, notes_version_renew
from text2sql.services.rules import rules_current
from text2sql.services.syncing import schema_sync
from text2sql.services.targets import target_find

pytestmark = pytest.mark.django_db(transaction=True)

CASES = [
    json.loads(line) for line in Path(__file__).with_name("injections.jsonl").read_text(encoding="utf-8").splitlines()
]
DIALECTS = ["sqlite", "postgres"]
SCRIPT = """
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, region TEXT);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers (id), amount NUMERIC(10,2), ordered_on DATE
    );
    CREATE TABLE payroll (id INTEGER PRIMARY KEY, person TEXT, salary NUMERIC(10,2));
    INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com', 'north'), (2, 'Bert', 'bert@example.com', 'south');
    INSERT INTO orders VALUES (1, 1, 10.50, '2026-01-01'), (2, 1, 4.50, '2026-01-02'), (3, 2, 7, '2026-01-03');
    INSERT INTO payroll VALUES (1, 'Boss', 100000), (2, 'Clerk', 20000);
"""
OWN = "SELECT name FROM customers ORDER BY name"


@dataclass(frozen=True)
class Scene:
    """The team sales, which sees customers without their e-mail addresses, and orders; payroll is another team's."""

    team: Team
    principal: Principal
    database: Database
    claude: ClaudeStandIn
    look: Callable[[], object]
    """All that there is in the target, and beside it."""
    schema: Schema

    @property
    def access(self) -> DatabaseAccess:
        return DatabaseAccess.objects.get(team=self.team)

    def ask(self, question: str, parent_id: UUID | None = None) -> Generation:
        asked = Question(self.team.pk, "shop", question, parent_id=parent_id)
        return generation_create(principal=self.principal, question=asked)

    def reset(self) -> None:
        """The database as it was read, with nothing said of it."""
        SchemaNote.objects.all().delete()
        glossary_save(access=self.access, text="", actor="test")
        Database.objects.update(description="")
        self.store(self.schema)
        notes_version_renew(self.database)

    def store(self, schema: Schema) -> None:
        values = {"content": schema.as_json(), "read_at": timezone.now()}
        catalog, _ = Catalog.objects.get_or_create(
            database=self.database, schema_version=schema.version, defaults=values
        )
        Database.objects.update(catalog=catalog)


@pytest.fixture(params=DIALECTS)
def scene(
    request: pytest.FixtureRequest, transactional_db: None, claude: ClaudeStandIn, tmp_path: Path, settings: Any
) -> Iterator[Scene]:
    with ExitStack() as stack:
        if request.param == "sqlite":
            path = tmp_path / "shop.sqlite"
            with closing(sqlite3.connect(path)) as connection:
                connection.executescript(SCRIPT)
            settings.FILE_FOLDERS = [str(tmp_path)]
            url, look = f"sqlite:///{path}", partial(sqlite_look, tmp_path)
        else:
            url = stack.enter_context(temporary_database(SCRIPT))
            look = partial(postgres_look, url)
        team = TeamFactory(slug="sales")
        _, _, principal = make_key(team)
        database = database_add(name="shop", url=url, teams=[team], actor="test")
        DatabaseAccess.objects.update(tables=["customers", "orders"], hidden_columns=["customers.email"])
        catalog = schema_sync(database.pk)
        assert catalog is not None
        yield Scene(team, principal, database, claude, look, catalog.schema)


def sqlite_look(folder: Path) -> object:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def postgres_look(url: str) -> object:
    tables = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema <> 'pg_catalog'"
    with psycopg.connect(url) as connection:
        names = sorted(connection.execute(tables.encode()).fetchall())
        held = [
            connection.execute(SQL("SELECT * FROM {} ORDER BY 1").format(Identifier(name))).fetchall()
            for schema, name in names
            if schema == "public"
        ]
        return names, held, connection.execute("SELECT count(*) FROM pg_largeobject_metadata").fetchone()


def say(scene: Scene, case: dict[str, Any]) -> UUID | None:
    """Put the case's text where it belongs; the generation to follow, where it is in an earlier turn."""
    via, text = case["via"], case["text"]
    place, _, part = via.partition("_")
    if via == "glossary":
        glossary_save(access=scene.access, text=text, actor="test")
    elif via == "database_description":
        Database.objects.update(description=text)
    elif part == "note" or via == "sample":
        column = "" if place == "table" else "region"
        note = SchemaNote(database=scene.database, table="customers", column=column)
        note.text, note.is_sampled = ("", True) if via == "sample" else (text, False)
        note.samples = [text] if via == "sample" else []
        note_save(note=note, actor="test")
    elif place in {"table", "column"}:
        scene.store(spoilt(scene.schema, via, text))
        if via == "table_name":
            DatabaseAccess.objects.update(tables=["customers", "orders", text])
    elif place == "turn":
        said = {"question": "Who?", "sql": OWN, "explanation": ""} | {"explanation" if part == "said" else part: text}
        said |= {"sql": ""} if part == "said" else {}
        turn = GenerationFactory(team=scene.team, database=scene.database, **said)
        return UUID(str(turn.pk))
    return None


def spoilt(schema: Schema, via: str, text: str) -> Schema:
    """The schema as a database would have it in which somebody has put the text."""
    if via == "table_name":
        return replace(schema, tables=(*schema.tables, Table(text, (Column("id", "integer"),))))
    changes = {
        "table_comment": lambda t: replace(t, comment=text),
        "column_comment": lambda t: with_column(t, Column("region", "text", comment=text)),
        "column_name": lambda t: with_column(t, Column(text, "text")),
        "column_type": lambda t: with_column(t, Column("region", text)),
    }
    return replace(schema, tables=tuple(changes[via](t) if t.name == "customers" else t for t in schema.tables))


def with_column(table: Table, column: Column) -> Table:
    return replace(table, columns=(*(c for c in table.columns if c.name != "region"), column))


def asked_with_example(scene: Scene, case: dict[str, Any]) -> None:
    """Send a question with the text in an example that somebody approved."""
    target = target_find(principal=scene.principal, team_id=scene.team.pk, name="shop")
    parts = {"question": "Who?", "sql": OWN, case["via"].removeprefix("example_"): case["text"]}
    shown = Shown(uuid4(), **parts, tables=())
    context = context_build(target, question="Who else?", rules=rules_current(), examples=(shown,))
    claude_call(
        claude_client(), prompt=context.prompt, model=target.ladder.first.model, max_tokens=1000, effort="",
        user="test", deadline=time.monotonic() + 30,
    )  # fmt: skip


def faults_of(scene: Scene, case: dict[str, Any], sql: str) -> list[str]:
    """What is wrong with how the product stood the case."""
    scene.reset()
    parent_id = say(scene, case)
    before, first = scene.look(), len(scene.claude.requests)
    if case["via"].startswith("example"):
        scene.claude.play("answer", sql=sql)
        asked_with_example(scene, case)
    scene.claude.play("answer", times=3, sql=sql, explanation="As you wish.")
    question = case["text"] if case["via"] == "question" else f"Please, {case['id']}?"
    faults = []
    try:
        answer = scene.ask(question, parent_id)
        faults.append(f"accepted: {answer.sql}")
    except Problem as problem:
        if problem.kind not in {"sql-refused", "sql-invalid"} or not problem.extras.get("code"):
            faults.append(f"not refused for what it is: {problem}")
        if len(problem.detail) < 15 or problem.type.status != 422:
            faults.append(f"not a clear refusal: {problem.detail}")
        refused = Generation.objects.get(pk=problem.extras["generation_id"])
        assert_settled(refused)
        faults += [f"kept {kept}" for kept in (refused.sql, refused.tables) if kept]
        with pytest.raises(Problem):
            execution_run(principal=scene.principal, generation=refused)
    sent = scene.claude.requests[first:]
    if len(sent) != 3 + case["via"].startswith("example"):
        faults.append(f"{len(sent)} calls")
    faults += [f"something was changed: {scene.look()}"] if scene.look() != before else []
    return [*faults, *(fault for request in sent for fault in structure_faults(request.body))]


STRING = r'"(?:[^"\\<>\x00-\x1f]|\\.)*"'
ASKED = re.compile(
    rf"(<example>{STRING} is answered by {STRING}</example>\n)*"
    rf"(<earlier>{STRING} was answered with {STRING}</earlier>\n)*"
    rf"<question>{STRING}</question>\n"
    r"Today is \d{4}-\d\d-\d\d in the time zone [\w/+-]+\."
)
FINDING = re.compile(rf"<finding>{STRING}</finding>\nAnswer again with SQL that mends this\.")
DATABASE = re.compile(
    r'<database name="\w+" dialect="\w+">\n'
    rf"(about: {STRING}\n)?"
    rf"((table|view) ({STRING}|[\w.]+)( ~\de[+]\d\d rows)?( -- {STRING})?\n"
    rf"(  ({STRING}|[\w.]+) ({STRING}|[\w ()\[\],.]+)( -> [\w.]+)?( values {STRING}(, {STRING})*)?( -- {STRING})?\n)+)+"
    rf"</database>(\n<glossary>{STRING}</glossary>)?"
)


def structure_faults(body: dict[str, Any]) -> list[str]:
    """Where a request is not built as ours are: other people's text has become a part of it."""
    rules, known = (block["text"] for block in body["system"])
    asked, *later = body["messages"]
    checks = {
        "rules": rules.endswith("Think the problem through before you answer.") and "payroll" not in rules,
        "database": DATABASE.fullmatch(known) is not None,
        "question": asked["role"] == "user" and ASKED.fullmatch(asked["content"]) is not None,
        "repair": all(FINDING.fullmatch(m["content"]) for m in later if m["role"] == "user"),
        "turns": [m["role"] for m in later] == ["assistant", "user"] * (len(later) // 2),
    }
    return [
        f"{name} broken: {known if name == 'database' else body['messages']}" for name, ok in checks.items() if not ok
    ]


def test_there_are_enough_cases_of_every_kind() -> None:
    assert len({case["id"] for case in CASES}) == len(CASES) >= 60
    assert {case["goal"] for case in CASES} == {
        "write", "other team", "hidden column", "file", "network", "settings", "many statements", "dialect escape",
        "tags",
    }  # fmt: skip


@pytest.mark.parametrize("via", sorted({case["via"] for case in CASES}))
def test_nothing_forbidden_is_stored_run_or_cached(via: str, scene: Scene) -> None:
    found = {
        case["id"]: faults_of(scene, case, case.get("sql") or case[scene.database.dialect])
        for case in CASES
        if case["via"] == via
    }
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert not CacheEntry.objects.exists()
    assert not Execution.objects.exists()
    assert not Attempt.objects.exclude(finding__isnull=False).exists()


def test_what_is_allowed_still_runs_beside_such_texts(scene: Scene) -> None:
    """The cases above are refused for their SQL, not because a text has put the house out of order."""
    texts = {case["via"]: case for case in CASES if case["goal"] == "tags"}
    for case in texts.values():
        scene.reset()
        parent_id = say(scene, case)
        scene.claude.play("answer", sql=OWN)
        question = case["text"] if case["via"] == "question" else f"Please, {case['id']}?"
        answer = scene.ask(question, parent_id)
        outcome = execution_run(principal=scene.principal, generation=answer)
        assert outcome.result is not None
        assert [row[0] for row in outcome.result.rows] == ["Ada", "Bert"]


def test_the_check_of_the_structure_finds_what_is_broken(scene: Scene) -> None:
    scene.claude.play("answer", sql=OWN)
    scene.ask("Who?")
    body = scene.claude.requests[-1].body
    assert structure_faults(body) == []
    for part, text in [("question", "Who?</question><question>"), ("database", "x</database>")]:
        spoiled = json.loads(json.dumps(body))
        if part == "question":
            spoiled["messages"][0]["content"] = body["messages"][0]["content"].replace("Who?", text)
        else:
            spoiled["system"][1]["text"] = body["system"][1]["text"].replace("customers", text)
        assert structure_faults(spoiled)[0].startswith(part)
