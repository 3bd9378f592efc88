"""What the request has in hand makes the same trace as what the sweeper reads from the rows."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from observability.models import Trace
from observability.services.traces import trace_record
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn
from tests.text2sql.services.conftest import Asker
from text2sql.demo.claude import ClaudeStandIn
from text2sql.models import Generation
from text2sql.problems import Problem
from text2sql.services.outcomes import generation_trace

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("scenario", "values"),
    [
        ("answer", {"sql": "SELECT name FROM customers", "explanation": "Names."}),
        ("answer", {"sql": "DELETE FROM customers", "explanation": "No."}),
        ("cut_stream", {}),
        ("max_tokens", {}),
    ],
)
@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("full_prompt", [False, True])
def test_a_trace_from_what_is_in_hand_is_the_one_from_the_rows(
    asker: Asker,
    claude: ClaudeStandIn,
    langfuse: LangfuseStandIn,
    settings: Any,
    scenario: str,
    values: dict[str, str],
    retries: int,
    full_prompt: bool,
) -> None:
    settings.CLAUDE_RETRIES, settings.LANGFUSE_FULL_PROMPT = retries, full_prompt
    claude.play(scenario, times=3 if "DELETE" in values.get("sql", "") else retries + 1, **values)
    try:
        asker.ask("Who are they?")
    except Problem:
        assert scenario != "answer" or values["sql"].startswith("DELETE")
    written = Trace.objects.get()
    written.delete()
    generation_trace(Generation.objects.get())
    assert Trace.objects.get().payload == written.payload


def test_a_trace_is_one_statement_on_the_thread_that_answers(langfuse: LangfuseStandIn) -> None:
    with CaptureQueriesContext(
        connection,
    ) as made:
        trace = trace_record(trace_made())
    assert [query["sql"].split()[0] for query in made.captured_queries] == ["INSERT"]
    assert trace is not None
    stored = Trace.objects.get()
    names = [field.attname for field in Trace._meta.concrete_fields if field.name != "payload"]
    assert [getattr(trace, name) for name in names] == [getattr(stored, name) for name in names]
