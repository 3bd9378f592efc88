from collections.abc import Iterator

import pytest
import structlog
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory

from observability.logging import log_bind
from observability.request_log import RequestLogMiddleware, request_id_for
from tests.observability.logs import lines_of, logging_as


def test_a_request_is_one_line_and_its_id_is_answered(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        answer = client.get("/api/v1/me?question=who", headers={"X-Request-ID": "order-4711"})
    assert answer.headers["X-Request-ID"] == "order-4711"
    (line,) = lines_of(capsys.readouterr().out)
    assert line["message"] == "request"
    assert line["request_id"] == "order-4711"
    assert (line["method"], line["route"], line["status"]) == ("GET", "api/v1/me", 401)
    assert line["latency_ms"] >= 0
    assert "who" not in str(line)


def test_an_address_that_leads_nowhere_is_not_repeated(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        client.get("/who-is-Ada-Lovelace")
    (line,) = lines_of(capsys.readouterr().out)
    assert (line["route"], line["status"]) == ("unmatched", 404)
    assert "Ada" not in str(line)


@pytest.mark.parametrize("given", ["", "short", "with space", "x" * 101, 'a"b\\cdefgh', "evil\nline-two", "<script>12"])
def test_an_id_that_is_not_harmless_is_replaced(given: str) -> None:
    made = request_id_for(given)
    assert made != given
    assert len(made) == 32


def test_each_request_has_an_id_of_its_own(client: Client) -> None:
    first, second = (client.get("/livez").headers["X-Request-ID"] for _ in range(2))
    assert first != second


def test_what_a_machine_asks_all_the_time_is_told_only_when_it_fails(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_as(debug=False):
        client.get("/livez")
        client.get("/metrics")
    (line,) = lines_of(capsys.readouterr().out)
    assert (line["route"], line["status"]) == ("metrics", 404)


def test_what_a_request_learns_is_on_its_lines_and_not_on_the_next_ones(capsys: pytest.CaptureFixture[str]) -> None:
    def view(request: HttpRequest) -> HttpResponse:
        if "team" in request.GET:
            log_bind(team=request.GET["team"])
        return HttpResponse()

    middleware = RequestLogMiddleware(view)
    with logging_as(debug=False):
        middleware(RequestFactory().get("/?team=sales"))
        middleware(RequestFactory().get("/"))
    first, second = lines_of(capsys.readouterr().out)
    assert first["team"] == "sales"
    assert "team" not in second
    assert structlog.contextvars.get_contextvars() == {}


def test_a_stream_is_told_at_its_end_with_what_it_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one"
        log_bind(team="sales")
        yield b"two"

    with logging_as(debug=False):
        answer = RequestLogMiddleware(lambda _: StreamingHttpResponse(parts()))(RequestFactory().get("/"))
        assert isinstance(answer, StreamingHttpResponse)
        assert capsys.readouterr().out == ""
        assert list(answer) == [b"one", b"two"]
        (line,) = lines_of(capsys.readouterr().out)
    assert line["team"] == "sales"
    assert line["request_id"] == answer.headers["X-Request-ID"]


@pytest.mark.django_db  # the end of a request closes connections that other tests may have left
def test_a_stream_whose_client_leaves_is_told_too(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as(debug=False):
        answer = RequestLogMiddleware(lambda _: StreamingHttpResponse(iter([b"1", b"2"])))(RequestFactory().get("/"))
        assert isinstance(answer, StreamingHttpResponse)
        assert next(iter(answer)) == b"1"
        answer.close()
    assert len(lines_of(capsys.readouterr().out)) == 1
