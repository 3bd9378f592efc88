"""Posts to addresses that people typed in: nothing inside our own network is reached by them.

The name is resolved once, every address it has is checked, and the connection goes to a checked address, so that a
name which answers differently the next time opens nothing. Redirects and proxies are not followed. The deadline holds
for all of it together, however slowly the other side speaks.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpcore
import httpx
from django.conf import settings

LONGEST_TEXT = 300  # characters of an answer that are worth keeping
_TRANSLATED = IPv6Network("64:ff9b::/96")  # IPv4 addresses as a NAT64 gateway writes them
_PUBLIC = IPv6Network("2000::/3")  # all of IPv6 that is routed in the internet
# What Python's `is_global` lets pass, in some releases: protocol assignments (a cloud's metadata among them), Azure's
# metadata, relays, documentation.
_SPECIAL = (
    IPv4Network("192.0.0.0/24"),
    IPv4Network("168.63.129.16/32"),
    IPv4Network("192.88.99.0/24"),
    IPv6Network("3fff::/20"),
)

SocketOptions = Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]]


class AddressRefused(Exception):
    """The URL or what its name stands for is not allowed; the message says why and names no address."""


class Unanswered(Exception):
    """Nothing came back in time. `maybe_sent`: something had been sent when it ended."""

    def __init__(self, message: str, *, maybe_sent: bool) -> None:
        super().__init__(message)
        self.maybe_sent = maybe_sent


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by their names in small letters; `text` is the printable start of what was said."""

    status: int
    headers: Mapping[str, str]
    text: str


def url_check(url: str) -> httpx.URL:
    """The URL where it may be posted to, as far as can be told without asking the network. Raises AddressRefused."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressRefused("This is not a URL.") from error
    schemes = ("https", "http") if settings.ALERT_PRIVATE_ADDRESSES_ALLOWED else ("https",)
    if parsed.scheme not in schemes or not parsed.host:
        raise AddressRefused("The URL must begin with https:// and name a host.")
    if parsed.userinfo:
        raise AddressRefused("The URL must hold no user and no password.")
    with suppress(ValueError):  # a name: what it stands for is checked when it is used
        _check(ip_address(parsed.host))
    return parsed


def post(url: str, *, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    """Post once and return the answer, whatever its status. Raises AddressRefused or Unanswered within `seconds`.

    Only the machine's resolver keeps its own time.
    """
    parsed = url_check(url)
    backend = _CheckedBackend(time.monotonic() + seconds)
    target = httpcore.URL(scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path)
    sent_headers = {b"Host": parsed.netloc, **{name.encode(): value.encode() for name, value in headers.items()}}
    try:
        with (
            httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=backend) as pool,
            pool.stream("POST", target, headers=list(sent_headers.items()), content=body) as response,
        ):
            known = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, known, "" if response.status < 300 else _start_of(response))
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as trouble:
        told = str(trouble) or "the other side did not answer in time"
        raise Unanswered(f"{type(trouble).__name__}: {told}", maybe_sent=backend.sent) from trouble


def _start_of(response: httpcore.Response) -> str:
    text = b""
    # The status is known by now: what goes wrong from here on changes nothing.
    with suppress(httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError):
        for chunk in response.iter_stream():
            text += chunk
            if len(text) > LONGEST_TEXT * 4:
                break
    printable = "".join(one if one.isprintable() else " " for one in text.decode("utf-8", "replace"))
    return " ".join(printable.split())[:LONGEST_TEXT]


def _addresses(host: str, port: int) -> list[str]:
    """All that the name stands for, each of them checked. Raises AddressRefused, or ConnectError for no such name."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as unknown:
        raise httpcore.ConnectError(f"the name of the host cannot be resolved: {unknown}") from unknown
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    for address in addresses:
        _check(ip_address(address))
    return addresses


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """It lies in the internet: not private, loopback, link-local, a cloud's metadata or otherwise special."""
    inner = _embedded(address)
    special = inner.is_multicast or inner.is_reserved or any(inner in network for network in _SPECIAL)
    return inner.is_global and not special and (isinstance(inner, IPv4Address) or inner in _PUBLIC)


def _check(address: IPv4Address | IPv6Address) -> None:
    if not settings.ALERT_PRIVATE_ADDRESSES_ALLOWED and not is_public(address):
        raise AddressRefused(
            "The URL leads to a private, loopback, link-local or otherwise special address, which is refused unless "
            "ALERT_PRIVATE_ADDRESSES_ALLOWED is true."
        )


def _embedded(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, if it does."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


class _CheckedBackend(httpcore.NetworkBackend):
    """Connects only to checked addresses, and until `ends` by the monotonic clock."""

    def __init__(self, ends: float) -> None:
        self.sent = False
        self._ends = ends
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions | None = None,
    ) -> httpcore.NetworkStream:
        trouble: Exception = httpcore.ConnectError("the name of the host stands for no address")
        for address in _addresses(host, port):
            try:
                stream = self._sockets.connect_tcp(address, port, self.left(), local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
            else:
                return _BoundedStream(stream, self)
        raise trouble

    def left(self) -> float:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the other side did not answer in time")
        return left


class _BoundedStream(httpcore.NetworkStream):
    """A stream whose every step ends with the backend's deadline, whatever timeout it is given."""

    def __init__(self, stream: httpcore.NetworkStream, backend: _CheckedBackend) -> None:
        self._stream, self._backend = stream, backend

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._backend.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._backend.sent = True
        self._stream.write(buffer, self._backend.left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._backend.left())
        return _BoundedStream(secured, self._backend)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
