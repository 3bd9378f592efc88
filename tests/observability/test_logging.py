import json
import logging
import logging.config
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.logging import JsonFormatter, TextFormatter, logging_config, redact

ExcInfo = tuple[type[BaseException], BaseException, None]
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


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
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
    line = json.loads(JsonFormatter().format(record("asked", team="sales", tokens=12, level="mine")))
    assert line["message"] == "asked"
    assert line["team"] == "sales"
    assert line["tokens"] == 12
    assert line["level"] == "INFO"


@given(st.text(), st.text())
def test_every_record_is_one_line_of_json(message: str, extra: str) -> None:
    line = JsonFormatter().format(record("%s", message, note=extra, password="x"))
    assert "\n" not in line
    assert json.loads(line)["password"] == "***"


@pytest.mark.parametrize("debug", [True, False])
def test_what_any_logger_writes_goes_out_masked(debug: bool, capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(logging_config(debug=debug))
        logging.getLogger("django.server").info("GET /?access_token=%s", SECRET)
        logging.getLogger("some.library").warning("password=%s", SECRET)
        logging.getLogger("httpx").info("HTTP Request: GET http://x/?query=long")
        written = capsys.readouterr().err
    finally:
        root.handlers, root.level = handlers, level
    assert SECRET not in written
    assert "password=***" in written
    assert len(written.splitlines()) == 2
