"""The doors of the schedule lead to the right rooms, in one walk."""

import pytest
from django.core import mail

from observability.models import AlertDelivery, Score, Trace
from observability.services.alerts import alert_raise
from observability.services.scores import score_record
from observability.services.traces import trace_record
from observability.tasks import export_scores, export_traces, send_alerts
from tests.observability.conftest import trace_made
from tests.standins.langfuse import LangfuseStandIn

pytestmark = pytest.mark.django_db


def test_each_task_works_off_its_own_backlog(langfuse: LangfuseStandIn) -> None:
    trace = trace_record(trace_made())
    assert trace is not None
    score_record(score_id="f", trace_id=trace.trace_id, name="user_feedback", value=1, data_type="BOOLEAN")
    alert_raise(
        key="k", kind="budget", scope="sales", level="warning", subject="s", body="b", recipients=["a@example.com"]
    )
    export_traces()
    assert set(langfuse.traces()) == {trace.trace_id}
    assert langfuse.scores() == []
    export_scores()
    assert [score.trace_id for score in langfuse.scores()] == [trace.trace_id]
    assert mail.outbox == []
    send_alerts()
    assert len(mail.outbox) == 1
    for model in (Trace, Score, AlertDelivery):
        assert model.objects.get().state == "delivered"


def test_running_a_task_twice_is_harmless(langfuse: LangfuseStandIn) -> None:
    trace_record(trace_made())
    export_traces()
    export_traces()
    assert len(langfuse.observations()) == 2
