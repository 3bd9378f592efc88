"""The managed prompt: what is fetched, what is refused, and what stays in use."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from observability.checks import langfuse_settings_check
from observability.models import ManagedPrompt
from observability.services import prompts
from observability.services.prompts import LONGEST, ManagedText, prompt_current, prompts_fetch, prompts_forget
from observability.tasks import fetch_prompts
from tests.standins.langfuse import LangfuseStandIn
from tests.standins.langfuse.answers import Answer
from tests.standins.langfuse.faults import Fault
from text2sql.settings import CELERY_BEAT_SCHEDULE

NAME = "sql/rules"
GOOD = "Write {{dialect}}; today is {{ today }}."
PATH = "/api/public/v2/prompts/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _named(settings: Settings) -> Iterator[None]:
    settings.LANGFUSE_PROMPT_NAME = NAME
    prompts_forget()
    yield
    prompts_forget()


def row() -> ManagedPrompt:
    return ManagedPrompt.objects.get()


def asked(lf: LangfuseStandIn) -> int:
    return len([request for request in lf.requests if request.path.startswith(PATH)])


def test_the_labelled_version_is_fetched_and_current(langfuse: LangfuseStandIn) -> None:
    langfuse.put_prompt(NAME, "Old.", [])
    langfuse.put_prompt(NAME, GOOD, ["production"])
    langfuse.put_prompt(NAME, "Draft.", [])
    before = timezone.now()
    fetch_prompts.apply()
    assert prompt_current(NAME) == ManagedText(GOOD, 2)
    stored = row()
    assert (stored.name, stored.label, stored.version, stored.last_error) == (NAME, "production", 2, "")
    assert stored.fetched_at is not None
    assert stored.checked_at is not None
    assert before <= stored.checked_at <= stored.fetched_at


def test_an_unchanged_text_is_not_written_again(langfuse: LangfuseStandIn) -> None:
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    first = row()
    prompts_fetch()
    again = row()
    assert again.fetched_at == first.fetched_at
    assert first.checked_at is not None
    assert again.checked_at is not None
    assert again.checked_at > first.checked_at


def test_a_label_that_moves_back_is_followed(langfuse: LangfuseStandIn) -> None:
    langfuse.put_prompt(NAME, GOOD, ["production"])
    langfuse.put_prompt(NAME, f"New. {GOOD}", ["production"])
    prompts_fetch()
    assert prompt_current(NAME) == ManagedText(f"New. {GOOD}", 2)
    langfuse.label_prompt(NAME, "production", 1)
    prompts_fetch()
    assert prompt_current(NAME) == ManagedText(GOOD, 1)


REFUSED = [
    ("", "it is empty"),
    (" \n ", "it is empty"),
    (GOOD + "x" * LONGEST, "more than 20,000"),
    ("Write SQL for {{dialect}}.", "it lacks {{today}}"),
    ("Today is {{today}}.", "it lacks {{dialect}}"),
    ("{dialect} {today}", "it lacks {{dialect}} and {{today}}"),
    (f"{GOOD}\x00", "cannot be stored"),
]


@pytest.mark.parametrize(("text", "reason"), REFUSED)
def test_a_text_that_cannot_be_used_is_refused_and_the_last_good_one_stays(
    langfuse: LangfuseStandIn, text: str, reason: str
) -> None:
    langfuse.put_prompt(NAME, text, ["production"])
    prompts_fetch()
    assert prompt_current(NAME) is None
    assert reason in row().last_error
    assert "version 1 is refused" in row().last_error
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    langfuse.put_prompt(NAME, text, ["production"])
    prompts_fetch()
    prompts_forget()
    assert prompt_current(NAME) == ManagedText(GOOD, 2)
    assert "version 3 is refused" in row().last_error
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    assert (row().version, row().last_error) == (4, "")


def test_the_longest_text_is_taken(langfuse: LangfuseStandIn) -> None:
    text = GOOD.ljust(LONGEST, "x")
    langfuse.put_prompt(NAME, text, ["production"])
    prompts_fetch()
    assert prompt_current(NAME) == ManagedText(text, 1)


def answered(**changes: Any) -> Fault:
    """What no Langfuse says, once: a prompt's answer with something else in it."""
    whole = {"name": NAME, "version": 1, "type": "text", "prompt": GOOD, "config": {}, "labels": [], "tags": []}
    return Fault("fail", PATH, 1, answer=Answer(200, whole | changes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 0},
        {"version": -7},
        {"version": 100_000_000},
        {"version": 1.5},
        {"version": None},
        {"name": "another"},
        {"prompt": None},
        {"prompt": f"{GOOD}\ud800"},
        {"type": "picture"},
    ],
    ids=str,
)
def test_an_answer_with_nonsense_in_it_is_refused(langfuse: LangfuseStandIn, wrong: dict[str, Any]) -> None:
    langfuse._faults.add(answered(**wrong))
    prompts_fetch()
    assert prompt_current(NAME) is None
    assert row().last_error
    langfuse._faults.add(answered())
    prompts_fetch()
    prompts_forget()
    assert prompt_current(NAME) == ManagedText(GOOD, 1)


def test_a_chat_prompt_is_refused(langfuse: LangfuseStandIn) -> None:
    langfuse.put_prompt(NAME, [{"role": "system", "content": GOOD}], ["production"])
    prompts_fetch()
    assert prompt_current(NAME) is None
    assert "a text prompt is needed" in row().last_error


TROUBLES = ["missing", "refuse", "stall", "401", "429", "500", "html", "broken", "shape", "type", "binary"]


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("known", [False, True])
def test_trouble_is_told_asked_once_and_changes_nothing(langfuse: LangfuseStandIn, trouble: str, known: bool) -> None:
    if known:
        langfuse.put_prompt(NAME, GOOD, ["production"])
        prompts_fetch()
    before = asked(langfuse)
    match trouble:
        case "missing":
            langfuse.label_prompt(NAME, "production", 0)
        case "refuse":
            langfuse.refuse()
        case "stall":
            langfuse.stall(path=PATH)
        case "401" | "429" | "500":
            langfuse.fail(next=None, status=int(trouble), path=PATH, retry_after=60)
        case _:
            langfuse.garbage(trouble, next=None, path=PATH)  # type: ignore[arg-type]  # one of its kinds
    prompts_fetch()
    prompts_forget()
    assert prompt_current(NAME) == (ManagedText(GOOD, 1) if known else None)
    assert row().last_error
    assert asked(langfuse) - before == (0 if trouble == "refuse" else 1)
    if trouble == "missing":
        assert "Prompt not found" in row().last_error
    langfuse.clear()
    langfuse.accept()
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    assert row().last_error == ""


def test_an_answer_that_a_later_question_overtook_is_dropped(langfuse: LangfuseStandIn) -> None:
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    ManagedPrompt.objects.update(checked_at=timezone.now() + timedelta(seconds=5))
    langfuse.put_prompt(NAME, f"Overtaken. {GOOD}", ["production"])
    prompts_fetch()
    assert row().version == 1


def test_reading_it_asks_nobody_but_our_database_and_that_seldom(
    langfuse: LangfuseStandIn, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    before = asked(langfuse)
    with django_assert_num_queries(1):
        found = [prompt_current(NAME) for _ in range(50)]
    assert found == [ManagedText(GOOD, 1)] * 50
    monkeypatch.setattr(prompts, "CACHE_SECONDS", -1.0)
    with django_assert_num_queries(1):
        prompt_current(NAME)
    assert asked(langfuse) == before


def test_without_a_name_or_without_langfuse_nothing_is_fetched_or_current(
    langfuse: LangfuseStandIn, settings: Settings
) -> None:
    langfuse.put_prompt(NAME, GOOD, ["production"])
    prompts_fetch()
    settings.ENABLE_LANGFUSE = False
    assert prompt_current(NAME) is None
    prompts_fetch()
    settings.ENABLE_LANGFUSE, settings.LANGFUSE_PROMPT_NAME = True, ""
    assert prompt_current("") is None
    prompts_fetch()
    assert asked(langfuse) == 1


def test_the_schedule_fetches_each_minute() -> None:
    entry = CELERY_BEAT_SCHEDULE["fetch prompts"]
    assert (entry["task"], entry["schedule"]) == (fetch_prompts.name, 60)


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("", True),
        ("rules", True),
        ("sql/rules v2", True),
        ("a" * 40, True),
        ("a" * 41, False),
        ("/rules", False),
        ("rules/", False),
        ("a//b", False),
        ("a|b", False),
        ("a\nb", False),
        (" ", False),
    ],
)
def test_a_name_that_langfuse_has_not_stops_the_start(
    langfuse: LangfuseStandIn, settings: Settings, name: str, right: bool
) -> None:
    settings.LANGFUSE_PROMPT_NAME = name
    assert [found.id for found in langfuse_settings_check(None)] == ([] if right else ["observability.E010"])
