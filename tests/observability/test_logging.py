import json
import logging
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from observability.logging import json_formatter, log_bind, question_log, text_formatter
from observability.masking import redact
from tests.observability.logs import lines_of, logging_as

ExcInfo = tuple[type[BaseException], BaseException, Any]
SECRET = "S3cr3t-v4lue_xyz"


@pytest.mark.parametrize(
    "text",
    [
        "key sk-ant-api03-{}",
        "key t2s_{}",
        "keys pk-lf-1 sk-lf-{}",
        "connect postgresql://reader:{}@db.example.com:5432/sales failed",
        "connect postgresql://reader:{}@with-at@db.example.com/sales failed",
        "redis://:{}@localhost:6379/0",
        "Authorization: Bearer {}",
        "headers {{'Authorization': 'Basic {}', 'Accept': '*/*'}}",
        'sent {{"authorization": "Bearer {}"}}',
        "sent with bearer {} to",
        "password={}",
        "DB_PASSWORD={} and more",
        'body {{"password": "{}"}}',
        "aws_secret_access_key = {}",
        "x-api-key: {}",
        "?access_token={}&page=2",
        "pwd={};host=x",
    ],
)
def test_a_secret_is_masked(text: str) -> None:
    masked = redact(text.format(SECRET))
    assert SECRET not in masked
    assert "***" in masked


@pytest.mark.parametrize(
    "text",
    [
        "usage input_tokens=120 output_tokens: 350 max_tokens=4096",
        "GET https://cloud.langfuse.com:443/api/public/v2/metrics?query=x answered 200",
        "the question 'how many sales per region?' took 1200 ms at 12:30:01",
        "tokens: 120, thinking tokens=20",
        "mail to lead@example.com",
        "user:pass is not an address",
        "basic set of tables",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert (
        redact("postgresql://reader:hunter2@db/sales: password=abc, table=orders")
        == "postgresql://reader:***@db/sales: password=***, table=orders"
    )


def record(message: str, *args: object, exc_info: ExcInfo | None = None, **extra: Any) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "teams", "levelno": 20, "levelname": "INFO", "msg": message, "args": args, "exc_info": exc_info}
    )
    vars(made).update(extra)
    return made


def failed_connection() -> ExcInfo:
    error = ConnectionError(f"postgresql://reader:{SECRET}@db/sales refused")
    return type(error), error, None


@pytest.mark.parametrize("formatter", [text_formatter(), json_formatter()])
def test_arguments_extras_and_tracebacks_are_masked(formatter: logging.Formatter) -> None:
    line = formatter.format(
        record(
            "connect to %s",
            f"postgresql://reader:{SECRET}@db/sales",
            exc_info=failed_connection(),
            password=SECRET,
            headers={"Authorization": f"Bearer {SECRET}", "Accept": "json"},
            keys=[f"t2s_{SECRET}"],
        )
    )
    assert SECRET not in line
    assert "ConnectionError" in line
    assert "reader" in line


def test_a_json_line_has_its_extras_as_fields() -> None:
    line = json.loads(json_formatter().format(record("asked", team="sales", tokens=12, level="mine", event="mine")))
    assert line["message"] == "asked"
    assert line["team"] == "sales"
    assert line["tokens"] == 12
    assert line["level"] == "INFO"
    assert line["time"].endswith("+00:00")


def test_of_an_object_only_its_class_is_told() -> None:
    line = json_formatter().format(record("failed", request=Exception("/ask?question=who")))
    assert json.loads(line)["request"] == "<Exception>"


@given(st.text(alphabet=st.characters()), st.text(alphabet=st.characters()))
def test_every_record_is_one_line_of_json(message: str, extra: str) -> None:
    line = json_formatter().format(record("%s", message, note=extra, password="x", ratio=float("nan")))
    assert "\n" not in line
    assert json.loads(line)["password"] == "***"


ROW = "Ada Lovelace"


def crash_with_a_row() -> None:
    try:
        int(ROW)
    except ValueError as error:
        raise KeyError(f"no customer {ROW}") from error


def crashed(crash: Callable[[], None]) -> ExcInfo:
    try:
        crash()
    except Exception as error:  # noqa: BLE001  # whatever it is
        return type(error), error, error.__traceback__
    raise AssertionError("it did not crash")


def test_an_exceptions_text_stays_out_and_its_way_is_told() -> None:
    exc_info = crashed(crash_with_a_row)
    # Celery's own sentence quotes the exception.
    written = record("Task %s raised unexpected: %r", "export", exc_info[1], exc_info=exc_info)
    line = json_formatter().format(written)
    assert ROW not in line
    told = json.loads(line)
    assert told["error_class"] == "KeyError"
    assert "caused by ValueError" in told["exception"]
    assert "crash_with_a_row" in told["exception"]
    assert ROW in json_formatter(questions=True).format(written)


def test_a_text_that_names_no_values_is_told() -> None:
    def crash() -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    assert "Connection refused" in json_formatter().format(record("down", exc_info=crashed(crash)))


@pytest.mark.parametrize("debug", [True, False])
def test_what_any_logger_writes_goes_out_masked(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=debug):
        logging.getLogger("django.request").error("GET /?access_token=%s", SECRET)
        logging.getLogger("some.library").warning("password=%s", SECRET)
        logging.getLogger("httpx").info("HTTP Request: GET http://x/?query=long")
    written = capsys.readouterr().err
    assert SECRET not in written
    assert "password=***" in written
    assert len(written.splitlines()) == 2


def test_a_wrong_call_of_a_logger_prints_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        logging.getLogger("some.library").warning("%d", SECRET)
    written = capsys.readouterr()
    assert SECRET not in written.out + written.err


def one_question(**changes: Any) -> None:
    told: dict[str, Any] = {
        "team": "sales",
        "database": "shop",
        "generation_id": "7f3c",
        "trace_id": "ab" * 16,
        "status": "failed",
        "cached": False,
        "cost_usd": Decimal("0.000012345678"),
        "latency_ms": 1234,
        "model": "claude-sonnet-5-5",
        "attempts": 2,
        "error_type": "claude-overloaded",
        "question": "Who is Ada Lovelace?",
        "sql": "SELECT 'Ada Lovelace'",
    }
    question_log(**told | changes)


def test_a_question_is_one_line_with_all_its_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        log_bind(request_id="request-1")
        one_question()
    written = capsys.readouterr().out
    assert '"cost_usd": 0.000012345678' in written  # to the last digit, and not as 1.2e-05
    (line,) = lines_of(written)
    assert line.pop("time")
    assert line == {
        "level": "INFO", "logger": "observability.questions", "message": "question", "request_id": "request-1",
        "team": "sales", "database": "shop", "generation_id": "7f3c", "trace_id": "ab" * 16, "status": "failed",
        "failed": True, "error_type": "claude-overloaded", "cached": False, "cost_usd": Decimal("0.000012345678"),
        "latency_ms": 1234, "model": "claude-sonnet-5-5", "attempts": 2,
    }  # fmt: skip


def test_question_and_sql_are_told_only_where_the_setting_allows_it(
    capsys: pytest.CaptureFixture[str], settings: Settings
) -> None:
    settings.LOG_QUESTIONS = True
    with logging_as(debug=False, questions=True):
        one_question()
    (line,) = lines_of(capsys.readouterr().out)
    assert line["question"] == "Who is Ada Lovelace?"
    assert line["sql"] == "SELECT 'Ada Lovelace'"


def test_development_reads_text(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=True):
        one_question(status="succeeded")
    written = capsys.readouterr().out
    assert "INFO observability.questions: question" in written
    assert " team=sales database=shop" in written
    assert len(written.splitlines()) == 1
