"""What must hold before anything is started."""

import errno
import os
import socket
import tempfile
from pathlib import Path

from text2sql.launch.error import StartError


def make_data_dir(data_dir: Path) -> None:
    """Make the folder for data and logs if it is missing, and see that we may write there."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        (data_dir / "logs").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir), tempfile.TemporaryFile(dir=data_dir / "logs"):
            pass
    except OSError as error:
        raise StartError(
            f"{data_dir} cannot be written ({os.strerror(error.errno or 0)}): "
            "change its owner, or give DATA_DIR another folder."
        ) from None


def check_port(host: str, port: int) -> None:
    """See that `host:port` can be listened on."""
    if not 1 <= port <= 65535:
        raise StartError(f"{port} is no port: choose one from 1 to 65535 with --port.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise StartError(f"{host} is no address of this machine: choose another with --host.") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            listener.bind(address)
            listener.listen(1)
        except OSError as error:
            raise StartError(_port_sentence(host, port, error)) from None


def _port_sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken by another program: stop that one, or choose another port with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} may only be used by root: choose one above 1023 with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: choose another with --host."
    return f"Port {port} on {host} cannot be used ({error.strerror}): choose another with --port."
