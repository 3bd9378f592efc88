"""Posts to addresses that people typed in, over real sockets; only the resolver's answers are made up."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from observability.outgoing import LONGEST_TEXT, AddressRefused, Answer, Unanswered, post, url_check
from tests.standins.receiver import Fault, Receiver, certificate_for

Resolver = Callable[..., list[Any]]


@pytest.fixture
def inside(settings: Settings) -> None:
    settings.ALERT_PRIVATE_ADDRESSES_ALLOWED = True


def send(url: str, *, seconds: float = 5, body: bytes = b"{}") -> Answer:
    return post(url, body=body, headers={"X-Of": "test"}, seconds=seconds)


def resolve(monkeypatch: pytest.MonkeyPatch, host: str, *answers: list[str]) -> list[str]:
    """Answer for that name with these addresses, once each; returns the list of names that were asked for."""
    real, left, asked = socket.getaddrinfo, list(answers), []

    def answer(name: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        wanted = name.decode() if isinstance(name, bytes) else name
        if wanted != host:
            return real(name, port, *args, **kwargs)
        asked.append(wanted)
        family = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(family[":" in one], socket.SOCK_STREAM, 6, "", (one, port)) for one in left.pop(0)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


def test_a_post_arrives_as_it_was_given(receiver: Receiver) -> None:
    answer = send(receiver.url("/a%20b?c=d"), body=b'{"of": 1}')
    assert answer.status == 200
    (request,) = receiver.requests
    assert (request.method, request.path, request.body) == ("POST", "/a%20b?c=d", b'{"of": 1}')
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["x-of"] == "test"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254",
        "100.100.100.200", "192.0.0.192", "168.63.129.16", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fec0::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::127.0.0.1", "192.88.99.1", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:7f00:1::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_no_address_inside_is_posted_to_by_number_or_by_name(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused, match="private, loopback, link-local"):
        url_check(f"https://{host}/hook")
    # A name that has one good address and this one is refused as a whole.
    asked = resolve(monkeypatch, "hooks.example.com", ["93.184.216.34", address])
    with pytest.raises(AddressRefused):
        send("https://hooks.example.com/hook")
    assert asked == ["hooks.example.com"]


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
def test_public_addresses_are_fine(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert url_check(f"https://{host}/hook").scheme == "https"


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
def test_an_address_in_disguise_is_seen_through(host: str) -> None:
    with pytest.raises(AddressRefused):
        send(f"https://{host}:1/hook")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://example.com/", "https://"), ("ftp://example.com/", "https://"), ("https:///hook", "name a host"),
        ("hooks", "https://"), ("https://user:secret@example.com/", "no password"), ("https://exa mple.com:x/", "URL"),
    ],
)  # fmt: skip
def test_a_url_of_another_form_is_refused_without_repeating_it(url: str, words: str) -> None:
    with pytest.raises(AddressRefused, match=words) as refusal:
        url_check(url)
    assert "secret" not in str(refusal.value)


def test_http_inside_is_for_those_who_allow_it(receiver: Receiver, settings: Settings) -> None:
    assert send(receiver.url()).status == 200
    settings.ALERT_PRIVATE_ADDRESSES_ALLOWED = False
    with pytest.raises(AddressRefused):
        send(receiver.url())
    assert len(receiver.requests) == 1


def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_checked(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The second answer would lead nowhere.
    asked = resolve(monkeypatch, "rebinding.example.com", ["127.0.0.1"], ["203.0.113.1"])
    assert send(receiver.url(host="rebinding.example.com")).status == 200
    assert asked == ["rebinding.example.com"]
    assert receiver.requests[0].headers["host"] == f"rebinding.example.com:{receiver.port}"


def test_tls_checks_the_certificate_of_the_name_not_of_the_address(
    inside: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = certificate_for("hooks.example.com", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    resolve(monkeypatch, "hooks.example.com", ["127.0.0.1"])
    with Receiver(files) as receiver:
        assert send(receiver.url(host="hooks.example.com")).status == 200
        assert receiver.requests[0].name == "hooks.example.com"
        resolve(monkeypatch, "elsewhere.example.com", ["127.0.0.1"])
        with pytest.raises(Unanswered, match="certificate verify failed") as trouble:
            send(receiver.url(host="elsewhere.example.com"))
        assert trouble.value.maybe_sent is False
        assert len(receiver.requests) == 1


def test_a_certificate_that_nobody_vouches_for_is_refused(
    inside: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "hooks.example.com", ["127.0.0.1"])
    with Receiver(certificate_for("hooks.example.com", tmp_path)) as receiver:
        with pytest.raises(Unanswered, match="certificate verify failed"):
            send(receiver.url(host="hooks.example.com"))
        assert receiver.requests == []


def test_the_next_address_of_a_name_is_tried_when_the_first_is_down(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(monkeypatch, "two.example.com", ["127.0.0.2", "127.0.0.1"])
    assert send(receiver.url(host="two.example.com")).status == 200


def test_a_redirect_is_an_answer_and_not_followed(receiver: Receiver) -> None:
    receiver.fail(Fault(302, {"Location": receiver.url("/elsewhere")}))
    assert send(receiver.url()).status == 302
    assert [request.path for request in receiver.requests] == ["/hook"]


def test_no_proxy_of_the_environment_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert send(receiver.url()).status == 200


def test_of_an_answer_only_the_printable_start_is_kept(receiver: Receiver) -> None:
    receiver.fail(Fault(500, text="no\x00 \x1b[1m\nway " + "x" * 100_000))
    answer = send(receiver.url())
    assert answer.text.startswith("no [1m way xxx")
    assert len(answer.text) == LONGEST_TEXT


def test_a_receiver_that_hangs_up_may_have_taken_it(receiver: Receiver) -> None:
    receiver.fail(Fault(cut=True))
    with pytest.raises(Unanswered) as trouble:
        send(receiver.url())
    assert trouble.value.maybe_sent is True


def test_nobody_there_is_known_not_to_have_taken_it(inside: None) -> None:
    with pytest.raises(Unanswered, match="refused") as trouble:
        send("http://127.0.0.1:1/hook")
    assert trouble.value.maybe_sent is False


def test_an_unknown_name_is_told_without_the_url(inside: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def unknown(name: Any, *args: Any, **kwargs: Any) -> Any:
        if name == "nowhere.example.com":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unanswered, match=r"cannot be resolved: .*not known") as trouble:
        send("https://nowhere.example.com/T0/secret")
    assert "secret" not in str(trouble.value)


def test_one_who_never_answers_is_left_at_the_deadline(inside: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(Unanswered, match="Timeout") as trouble:
            send(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.3)
        assert trouble.value.maybe_sent is True
        assert time.monotonic() - started < 60


def test_one_who_drips_is_left_at_the_deadline_too(receiver: Receiver) -> None:
    # Each byte comes well within any timeout of a single read; all of them would take a minute.
    receiver.fail(Fault(drip=0.06))
    started = time.monotonic()
    with pytest.raises(Unanswered):
        send(receiver.url(), seconds=0.5)
    assert time.monotonic() - started < 30
