"""The doctor's looks at Langfuse: there, open to our keys, new enough, on time, and showing what it took."""

import time
from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime
from uuid import uuid4

import httpx
from django.db import transaction

from observability.langfuse.client import LangfuseUnavailable, langfuse_config, langfuse_configured
from observability.langfuse.scores import ScoreSent, lists_are_taken, scores_send, scores_stored
from observability.langfuse.sdk import sdk_load
from observability.langfuse.spans import TracePayload, spans_of
from observability.langfuse.traces import Sent, observations_stored, spans_send
from observability.services.doctor import Look, Verdict, clock_verdict, fail, ok, utc_now, warn
from observability.services.traces import ObservationRecord, TraceRecord, trace_id_for, trace_record

TIMEOUT = httpx.Timeout(5.0)
READ_BACK_SECONDS = 40.0
OLDEST = (4, 16)
LISTS_SINCE = "4.59"


def looks() -> list[Look]:
    """None of them where Langfuse is not configured, except the line that says so."""
    if not langfuse_configured():
        return [Look("langfuse", lambda: warn("off", "Set LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY to see traces."))]
    sdk_load()  # the looks run side by side
    seed = f"doctor:{uuid4()}"
    return [
        Look("langfuse", server_look, 15),
        Look("langfuse keys", keys_look, 15),
        Look("clock", clock_look, 15),
        Look("langfuse trace", lambda: trace_look(seed), READ_BACK_SECONDS + 30, needs_database=True),
        Look("langfuse score", lambda: score_look(seed), READ_BACK_SECONDS + 30),
    ]


def server_look() -> Verdict:
    host = langfuse_config().base_url
    try:
        answer = _health()
        version = str(answer.json()["version"])
        numbers = tuple(int(part) for part in version.split(".")[:2])
    except httpx.HTTPStatusError as refused:
        return fail(f"{host} answers {refused.response.status_code}", "Look at Langfuse's own log; it is not well.")
    except (httpx.HTTPError, httpx.InvalidURL) as trouble:
        return fail(f"{host} cannot be reached: {type(trouble).__name__}", "Correct LANGFUSE_BASE_URL, or start it.")
    except (ValueError, LookupError, TypeError):
        return fail(f"{host} is not Langfuse", "Correct LANGFUSE_BASE_URL: scheme and host, without a path.")
    if numbers < OLDEST:
        return warn(f"{host}, version {version}", "Older than what is tested: upgrade it to 4.16 or newer.")
    return ok(f"{host}, version {version}")


def keys_look() -> Verdict:
    config = langfuse_config()
    try:
        answer = httpx.get(
            f"{config.base_url}/api/public/projects", auth=(config.public_key, config.secret_key), timeout=TIMEOUT
        )
        if answer.status_code in (401, 403):
            return fail(
                f"not accepted ({answer.status_code})",
                "Take both keys of one pair from the project's settings in Langfuse, and the address of that region.",
            )
        answer.raise_for_status()
        return ok(f"project {answer.json()['data'][0]['name']}")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, LookupError, TypeError) as trouble:
        return fail(f"cannot be tried: {type(trouble).__name__}", "See the line of Langfuse.")


def clock_look() -> Verdict:
    before = utc_now()
    try:
        date = parsedate_to_datetime(_health().headers["date"])
        return clock_verdict(date, before, utc_now())
    except (httpx.HTTPError, httpx.InvalidURL, LookupError, ValueError, TypeError):  # TypeError: a date without a zone
        return warn("cannot be compared", "Langfuse did not say what time it is; see its line.")


def _health() -> httpx.Response:
    answer = httpx.get(f"{langfuse_config().base_url}/api/public/health", timeout=TIMEOUT)
    answer.raise_for_status()
    return answer


def trace_look(seed: str) -> Verdict:
    """Send a trace named `text2sql_doctor`, without cost and without our tag, and wait until Langfuse shows it."""
    trace_id, payload = _trace(seed)
    sending = spans_send(spans_of(trace_id, payload))
    if sending.sent is not Sent.TAKEN:
        return fail(f"not taken: {sending.error}", "See the lines of Langfuse and of its keys.")
    start = utc_now()
    return _read_back(
        lambda: bool(
            observations_stored(
                [trace_id], starts_at=start - timedelta(minutes=5), ends_at=start + timedelta(minutes=5)
            )
        ),
        "trace",
    )


def score_look(seed: str) -> Verdict:
    """Send a score on the test trace, and wait until Langfuse shows it; the verdict names the form that it takes."""
    from langfuse.api import CreateScoreRequest, ScoreDataType  # noqa: PLC0415  # only the doctor pays for this

    trace_id, score_id = trace_id_for(seed), uuid4().hex
    score = CreateScoreRequest(
        id=score_id,
        trace_id=trace_id,
        name="doctor",
        value=1,
        data_type=ScoreDataType("BOOLEAN"),
        timestamp=utc_now(),
    )
    sending = scores_send([score])
    if sending.sent[score_id] is not ScoreSent.TAKEN:
        return fail(f"not taken: {sending.error}", "See the lines of Langfuse and of its keys.")
    form = f"as a list (since {LISTS_SINCE})" if lists_are_taken() else f"one by one (before {LISTS_SINCE})"
    verdict = _read_back(lambda: score_id in scores_stored([trace_id]), "score")
    return Verdict(verdict.level, f"{verdict.told}; scores are sent {form}", verdict.hint)


def _trace(seed: str) -> tuple[str, TracePayload]:
    now = utc_now()
    root = ObservationRecord(key="root", name="text2sql_doctor", started_at=now, ended_at=now, output="ok")
    with transaction.atomic():
        trace = trace_record(
            TraceRecord(seed=seed, name="text2sql_doctor", user_id="doctor", tags=["doctor"], observations=[root])
        )
        transaction.set_rollback(True)  # sent below, not by the worker
    if trace is None:
        raise LangfuseUnavailable("Langfuse is not configured")
    return trace.trace_id, trace.payload


def _read_back(shown: Callable[[], bool], what: str) -> Verdict:
    started = time.monotonic()
    try:
        while not shown():
            if time.monotonic() - started > READ_BACK_SECONDS:
                return warn(
                    f"taken, but not shown after {READ_BACK_SECONDS:g} s",
                    f"Langfuse's queue is slow or stands still: look at its worker. The {what} may come later.",
                )
            time.sleep(0.5)
    except LangfuseUnavailable as trouble:
        return warn(f"taken, but cannot be read back: {trouble}", "Reading has a limit of its own; try again later.")
    return ok(f"sent, and shown after {time.monotonic() - started:.1f} s")
