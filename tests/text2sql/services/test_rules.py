"""The rules that Claude is given: those managed in Langfuse, or the built-in ones."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import Settings

from observability.models import ManagedPrompt
from observability.services.prompts import VARIABLES, prompts_fetch, prompts_forget
from observability.services.traces import traces_export
from tests.standins.langfuse import LangfuseStandIn, Observation
from tests.text2sql.services.conftest import SQL, Asker, assert_settled, play_sql
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Database, Generation
from text2sql.pipeline.prompt import RULES, VERSION
from text2sql.services.rules import rules_current, rules_link

NAME = "team/sql rules"
TEXT = "Managed: write {{dialect}}, and {{ today }} for today. {braces} stay, {{unknown}} too."
FILLED = "Managed: write SQLite, and date('now') for today. {braces} stay, {{unknown}} too."
OTHER_SQL = "SELECT COUNT(*) AS customers FROM customers"


@pytest.fixture(autouse=True)
def _named(settings: Settings, langfuse: LangfuseStandIn) -> Iterator[None]:
    settings.LANGFUSE_PROMPT_NAME = NAME
    prompts_forget()
    yield
    prompts_forget()


def manage(langfuse: LangfuseStandIn, text: str = TEXT) -> None:
    langfuse.put_prompt(NAME, text, ["production"])
    prompts_fetch()


def rules_sent(claude: ClaudeStandIn) -> str:
    request: dict[str, Any] = claude.requests[-1].body
    return str(request["system"][0]["text"])


def exported(langfuse: LangfuseStandIn, generation: Generation) -> list[Observation]:
    traces_export()
    return langfuse.traces()[generation.trace_id].observations


def asked(langfuse: LangfuseStandIn) -> int:
    return len([request for request in langfuse.requests if "/prompts/" in request.path])


def test_managed_rules_are_used_and_linked(asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn) -> None:
    manage(langfuse, f"First. {TEXT}")
    manage(langfuse)
    play_sql(claude)
    answer = asker.ask()
    assert rules_sent(claude) == FILLED
    assert assert_settled(answer).prompt_version == f"{VERSION}+{NAME}:2"
    by_name = {row.name: row for row in exported(langfuse, answer)}
    linked = {name: (row.prompt_name, row.prompt_version) for name, row in by_name.items()}
    assert linked == {"text2sql_generation": ("", None), "generate_sql": (NAME, 2)}
    assert by_name["generate_sql"].metadata["prompt_version"] == f"{VERSION}+{NAME}:2"


def test_a_database_that_shares_numbers_only_is_linked_too(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    Database.objects.update(share_text=False)
    manage(langfuse)
    play_sql(claude)
    (row,) = [row for row in exported(langfuse, asker.ask()) if row.name == "generate_sql"]
    assert (row.prompt_name, row.prompt_version, row.input) == (NAME, 1, None)


@pytest.mark.parametrize("moved_to", ["a new version", "the same version with another text"])
def test_a_moved_label_makes_old_answers_old(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, moved_to: str
) -> None:
    manage(langfuse)
    play_sql(claude)
    asker.ask()
    assert asker.ask().cached
    if moved_to == "a new version":
        langfuse.put_prompt(NAME, f"New. {TEXT}", [])
        langfuse.label_prompt(NAME, "production", 2)
        prompts_fetch()
    else:
        ManagedPrompt.objects.update(text=f"New. {TEXT}")
        prompts_forget()
    play_sql(claude, OTHER_SQL)
    fresh = asker.ask()
    assert (fresh.cached, fresh.sql, rules_sent(claude)) == (False, OTHER_SQL, f"New. {FILLED}")
    assert asker.ask().cached
    langfuse.label_prompt(NAME, "production", 1)
    prompts_fetch()
    back = asker.ask()
    assert (back.cached, back.sql) == (True, SQL)
    assert [row.prompt_name for row in exported(langfuse, back)] == [""]  # no call, no link


def test_with_langfuse_down_from_the_start_the_built_in_rules_hold(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    langfuse.put_prompt(NAME, TEXT, ["production"])
    langfuse.refuse()
    prompts_fetch()
    play_sql(claude)
    answer = asker.ask()
    assert (answer.status, answer.prompt_version) == ("succeeded", VERSION)
    assert rules_sent(claude) == RULES.replace("{{dialect}}", "SQLite").replace("{{today}}", "date('now')")
    langfuse.accept()
    (row,) = [row for row in exported(langfuse, answer) if row.name == "generate_sql"]
    assert (row.prompt_name, row.prompt_version) == ("", None)
    assert asked(langfuse) == 0  # though it could have answered since


def test_a_question_never_asks_langfuse_for_them(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn
) -> None:
    manage(langfuse)
    before = len(langfuse.requests)
    for question in ("Who are the customers?", "Who else?", "Who are the customers?"):
        prompts_forget()  # as a process that has just started
        play_sql(claude)
        asker.ask(question)
    assert len(langfuse.requests) == before


def test_a_refused_text_is_never_used(asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn) -> None:
    manage(langfuse, "Forget the dialect.")
    play_sql(claude)
    assert asker.ask().prompt_version == VERSION
    assert "Forget" not in rules_sent(claude)


@pytest.mark.parametrize("sql", ["DELETE FROM customers", "SELECT name FROM customers; DROP TABLE customers"])
def test_the_guard_does_not_depend_on_the_rules(
    asker: Asker, claude: ClaudeStandIn, langfuse: LangfuseStandIn, sql: str
) -> None:
    manage(langfuse, f"Any statement is fine, also one that writes. {TEXT}")
    play_sql(claude, sql, times=3)
    assert asker.problem_of().kind == "sql-refused"
    assert "also one that writes" in rules_sent(claude)


def test_the_built_in_rules_have_the_variables_that_managed_ones_need() -> None:
    assert set(re.findall(r"\{\{(\w+)\}\}", RULES)) == set(VARIABLES)


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["rules", "team/sql rules", "a:b", "a+b", "x" * 40])
def test_a_prompt_version_tells_which_rules_it_was(settings: Settings, langfuse: LangfuseStandIn, name: str) -> None:
    settings.LANGFUSE_PROMPT_NAME = name
    langfuse.put_prompt(name, TEXT, ["production"])
    prompts_fetch()
    ManagedPrompt.objects.update(version=99_999_999)
    prompts_forget()
    version = rules_current().version
    assert len(version) <= Generation._meta.get_field("prompt_version").max_length  # type: ignore[operator]  # it has one
    assert rules_link(version) == (name, 99_999_999)
    assert rules_link(VERSION) == ("", None)
