"""Claude drafts the descriptions that are missing; a team pays for it like for a question, and people review it."""

import hashlib
import logging
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from django.db import transaction
from django.utils import timezone

from observability.services.prices import PriceUnknown, TokenUsage, cost_upper_bound
from observability.services.traces import ObservationRecord, TraceRecord, trace_record, usage_details
from teams.access import Principal
from teams.services.budgets import BudgetExceeded, Spender, budget_reserve, charge_settle
from text2sql.models import DraftRun
from text2sql.pipeline.claude import ClaudeFailure, Reply, claude_write
from text2sql.pipeline.drafts import MAX_TOKENS, draft_prompts, drafts_parse
from text2sql.pipeline.prompt import Prompt
from text2sql.problems import Problem
from text2sql.services.attempts import HIDDEN_TOKENS
from text2sql.services.bills import CallBill, call_bill
from text2sql.services.clients import claude_client
from text2sql.services.connections import connection_release
from text2sql.services.notes import drafts_store
from text2sql.services.targets import target_find

logger = logging.getLogger(__name__)

CALL_SECONDS = 120.0
LEASE = timedelta(minutes=30)


def drafts_run(*, limit: int = 1) -> int:
    """Do the runs that wait. What was drafted before a failure stays. Returns how many descriptions were drafted."""
    return sum(draft_run(run) for run in DraftRun.objects.claim(limit=limit, lease=LEASE))


def draft_run(run: DraftRun) -> int:
    """Do one run, and note in its row how it ended."""
    house = Principal(actor=run.actor, is_admin=True)
    try:
        target = target_find(principal=house, team_id=run.team_id, name=run.database.name)
    except Problem as problem:
        DraftRun.objects.note_failed([run], error=problem.detail)
        return 0
    drafted = 0
    for prompt in draft_prompts(target.view(), name=target.name, description=target.description):
        try:
            text = _write(run, prompt, model=target.ladder.first.model, effort=target.ladder.first.effort)
        except (BudgetExceeded, PriceUnknown, ClaudeFailure) as stopped:
            DraftRun.objects.note_failed([run], error=str(stopped))
            return drafted
        drafted += drafts_store(database=run.database, drafts=drafts_parse(text), actor=run.actor)
        DraftRun.objects.filter(pk=run.pk).update(drafted=drafted)
    DraftRun.objects.note_delivered([run])
    return drafted


def _write(run: DraftRun, prompt: Prompt, *, model: str, effort: str) -> str:
    """One call: its worst case held, its cost settled, its trace written."""
    attempt_id, started_at = uuid4(), timezone.now()
    spender = Spender(run.team_id, None, run.actor)
    bound = cost_upper_bound(
        model=model, prompt_tokens=prompt.byte_count + HIDDEN_TOKENS, max_tokens=MAX_TOKENS, at=started_at
    )
    with transaction.atomic(durable=True):
        budget_reserve(
            attempt_id=attempt_id, generation_id=run.pk, spender=spender, least=bound, most=bound, now=started_at,
            expires_at=started_at + LEASE,
        )  # fmt: skip
    connection_release()
    outcome: Reply | ClaudeFailure
    try:
        outcome = claude_write(
            claude_client(), prompt=prompt, model=model, max_tokens=MAX_TOKENS, effort=effort,
            user=hashlib.sha256(run.team_id.encode()).hexdigest(), deadline=time.monotonic() + CALL_SECONDS,
        )  # fmt: skip
    except ClaudeFailure as failure:
        outcome = failure
    bill = call_bill(outcome, model=model, max_tokens=MAX_TOKENS, at=started_at)
    with transaction.atomic(durable=True):
        charge_settle(
            attempt_id=attempt_id, spender=spender, model=model, database=run.database.name,
            usage=TokenUsage(**asdict(bill.usage)), cost=bill.cost, estimated=bill.estimated, now=timezone.now(),
        )  # fmt: skip
        _trace(run, attempt_id, outcome, bill, model=model, started_at=started_at)
    if isinstance(outcome, ClaudeFailure):
        raise outcome
    return outcome.text


def _trace(
    run: DraftRun, attempt_id: UUID, outcome: Reply | ClaudeFailure, bill: CallBill, *, model: str, started_at: datetime
) -> None:  # fmt: skip
    ended_at = timezone.now()
    failed = isinstance(outcome, ClaudeFailure)
    level: Literal["DEFAULT", "ERROR"] = "ERROR" if failed else "DEFAULT"
    root = ObservationRecord(key="root", name="text2sql_drafts", level=level, started_at=started_at, ended_at=ended_at)
    call = ObservationRecord(
        key="call", name="draft_descriptions", parent="root", type="generation", model=model,
        usage=usage_details(TokenUsage(**asdict(bill.usage))), cost={"total": bill.cost}, level=level,
        started_at=started_at, ended_at=ended_at,
        status_message=outcome.problem if isinstance(outcome, ClaudeFailure) else "",
        output=outcome.text if run.database.share_text else None,
    )  # fmt: skip
    trace_record(
        TraceRecord(
            seed=f"draft:{attempt_id}", name="text2sql_drafts", user_id=run.team_id, observations=[root, call],
            tags=["text2sql", run.team_id, f"db:{run.database.name}"],
            metadata={"team": run.team_id, "database": run.database.name},
        )
    )  # fmt: skip
