"""What writing a question's trace down costs the thread that answers it: `python -m tests.benchmarks.traces`.

One round has a settled question as `generation_create` has it in hand, calls `generation_trace` in a transaction, and
counts the CPU time of the thread in it. Rounds with Langfuse and without alternate, so that whatever
else the machine does meets both. PostgreSQL's own CPU is not the thread's and is not counted; waiting is not either.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import uuid4

from tests.run import database

if TYPE_CHECKING:
    from text2sql.models import Generation
    from text2sql.services.attempts import Call

LIMIT_MS = 0.5
SQL = (
    "SELECT customers.region, SUM(orders.amount) AS revenue FROM customers JOIN orders "
    "ON orders.customer_id = customers.id WHERE orders.ordered_on >= '2026-01-01' "
    "GROUP BY customers.region ORDER BY revenue DESC LIMIT 10"
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000, help="of each kind (default: 1000, at least 500)")
    rounds = max(parser.parse_args().rounds, 500)
    with database() as url:
        os.environ |= {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url}
        return _run(rounds)


def _run(rounds: int) -> int:
    import django  # noqa: PLC0415  # the settings are named first

    django.setup()
    from django.test.utils import setup_databases, teardown_databases  # noqa: PLC0415  # as above

    databases = setup_databases(verbosity=0, interactive=False, serialized_aliases=[])
    try:
        return _report(rounds)
    finally:
        teardown_databases(databases, verbosity=0)


def _report(rounds: int) -> int:
    settled = _settled()
    for _ in range(50):
        _milliseconds(*settled(), langfuse=True)
        _milliseconds(*settled(), langfuse=False)
    with_it, without = [], []
    for _ in range(rounds):
        with_it.append(_milliseconds(*settled(), langfuse=True))
        without.append(_milliseconds(*settled(), langfuse=False))
    passed = statistics.median(with_it) < LIMIT_MS
    sys.stdout.write(
        f"with Langfuse     {_told(with_it)}\n"
        f"without Langfuse  {_told(without)}\n"
        f"difference        {statistics.median(with_it) - statistics.median(without):.3f} ms CPU\n"
        f"limit             {LIMIT_MS} ms CPU for all of it: {'kept' if passed else 'EXCEEDED'}\n"
    )
    return 0 if passed else 1


def _told(milliseconds: list[float]) -> str:
    p95 = statistics.quantiles(milliseconds, n=20)[-1]
    return f"median {statistics.median(milliseconds):.3f} ms, p95 {p95:.3f} ms CPU, {len(milliseconds)} rounds"


def _milliseconds(generation: "Generation", call: "Call", *, langfuse: bool) -> float:
    from django.db import connection, transaction  # noqa: PLC0415  # the settings are named first
    from django.test import override_settings  # noqa: PLC0415  # as above

    from text2sql.services.outcomes import generation_trace  # noqa: PLC0415  # as above

    keys = {"LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark", "LANGFUSE_SECRET_KEY": "sk-lf-benchmark"} if langfuse else {}
    with override_settings(DEBUG=False, **keys), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT 1"
            )  # psycopg sends BEGIN with the first statement, which in a request is another one
        started = time.thread_time_ns()
        generation_trace(generation, call)
        return (time.thread_time_ns() - started) / 1e6


def _settled() -> "Callable[[], tuple[Generation, Call]]":
    """Makes a question with one attempt and its charge, a new one each time, all of it written."""
    from django.utils import timezone  # noqa: PLC0415  # the settings are named first

    from observability.services.traces import trace_id_for  # noqa: PLC0415  # as above
    from teams.models import Charge  # noqa: PLC0415  # as above
    from tests.factories import GenerationFactory, TeamFactory  # noqa: PLC0415  # as above
    from text2sql.models import Attempt, Database  # noqa: PLC0415  # as above
    from text2sql.pipeline.claude import Reply, Usage  # noqa: PLC0415  # as above
    from text2sql.services.attempts import Call  # noqa: PLC0415  # as above
    from text2sql.services.bills import CallBill  # noqa: PLC0415  # as above

    team = TeamFactory(slug="sales")
    database = Database.objects.create(name="shop", dialect="sqlite")

    def settled() -> "tuple[Generation, Call]":
        now, own_id = timezone.now(), uuid4()
        started = now - timedelta(seconds=2)
        made = GenerationFactory(
            id=own_id, team=team, database=database, question="What is the revenue of each region this year?",
            sql=SQL, tables=["customers", "orders"], session_id="session-1", end_user="nina", attempt_count=1,
            trace_id=trace_id_for(f"generation:{own_id}"), created_at=started, finished_at=now,
            steps=[
                {"name": name, "started_at": started.isoformat(), "ended_at": now.isoformat()}
                for name in ("look_up_cache", "build_context", "guard")
            ],
        )  # fmt: skip
        attempt = Attempt.objects.create(
            generation=made, number=1, model=made.model, max_tokens=4096, status=Attempt.Status.SUCCEEDED,
            output=f'{{"status": "ok", "sql": "{SQL}", "explanation": "The sum of each region."}}',
            stop_reason="end_turn", request_id="req_1", started_at=started, first_token_at=started, finished_at=now,
        )  # fmt: skip
        Charge.objects.create(
            attempt_id=attempt.pk, generation_id=own_id, team=team, database="shop", model=made.model,
            input_tokens=120, cache_read_tokens=4000, output_tokens=350, cost_usd=Decimal("0.00414"),
            started_at=started, charged_at=now,
        )  # fmt: skip
        usage = Usage(input=120, cache_read=4000, output=350)
        reply = Reply(
            status="ok", sql=SQL, explanation="", text=attempt.output, usage=usage, model=made.model,
            request_id="req_1", stop_reason="end_turn", first_token_at=started, choices=(), geo="",
        )  # fmt: skip
        call = Call(attempt, reply, CallBill(usage, Decimal("0.00414"), estimated=False))
        return made, call

    return settled


if __name__ == "__main__":
    sys.exit(main())
