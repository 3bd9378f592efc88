"""A receiver of webhooks over a real socket, plain or with TLS, with the faults that real ones have."""

import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Received:
    """`headers` by their names in small letters; `name` is what the client called us by in TLS, if anything."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    name: str | None


@dataclass(frozen=True)
class Fault:
    """What the next requests get instead of 200.

    `cut`: nothing at all; `drip`: a header byte each so many seconds; `until`: the answer comes when that happened.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    cut: bool = False
    drip: float = 0.0
    until: threading.Event | None = None


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        """`certificate`: the files of a certificate and its key; then it speaks TLS."""
        super().__init__(("127.0.0.1", 0), _Talk)
        self.requests: list[Received] = []
        self.names: list[str | None] = []
        self._faults: list[Fault] = []
        self._scheme = "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            context.sni_callback = lambda _socket, name, _context: self.names.append(name)
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            self._scheme = "https"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{host}:{self.port}{path}"

    def fail(self, fault: Fault, *, times: int = 1) -> None:
        self._faults += [fault] * times

    def next_fault(self) -> Fault:
        return self._faults.pop(0) if self._faults else Fault()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves is none of a test's noise."""


class _Talk(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        name = self.server.names[-1] if self.server.names else None
        self.server.requests.append(Received("POST", self.path, headers, body, name))
        fault = self.server.next_fault()
        if fault.until:
            fault.until.wait(30)
        if fault.cut:
            self.close_connection = True
            return
        if fault.drip:
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1_000:
                self.wfile.write(bytes([byte]))
                time.sleep(fault.drip)
            return
        self.send_response(fault.status)
        for header, value in fault.headers.items():
            self.send_header(header, value)
        text = fault.text.encode()
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST  # noqa: N815  # what a followed redirect would ask

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the parent's name for it
        """Tests read `requests`."""


def certificate_for(host: str, folder: Path) -> tuple[Path, Path]:
    """A certificate for that name, signed by itself, and its key. Trust it by SSL_CERT_FILE."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{host}.crt", folder / f"{host}.key"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
