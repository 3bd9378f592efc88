"""The processes of the product: web, worker, beat, and the stand-in for Claude where no key is given."""

import signal
import sys
from pathlib import Path

from text2sql.launch.processes import Child

_WEB_WORKERS = 2
# Questions in flight wait for Claude on a thread each, without a database connection; 0.2 to 0.3 MB per waiting one.
_WEB_THREADS = 64
_WEB_STOP_SECONDS = 10


def web_child(host: str, port: int) -> Child:
    """Granian with the WSGI application; it ends its own workers, also when the supervisor is killed."""
    options = {
        "--interface": "wsgi",
        "--http": "1",
        "--host": host,
        "--port": str(port),
        "--workers": str(_WEB_WORKERS),
        "--blocking-threads": str(_WEB_THREADS),
        "--backpressure": str(_WEB_THREADS),
        "--workers-kill-timeout": str(_WEB_STOP_SECONDS),
        "--log-level": "error",  # its one warning is that these threads are many, which they are on purpose
    }
    flags = ["--no-ws", "--respawn-failed-workers", "text2sql.wsgi:application"]
    return Child(
        "web",
        [sys.executable, "-m", "granian", *_words(options), *flags],
        stop_seconds=_WEB_STOP_SECONDS + 2,
        death_signal=signal.SIGTERM,
    )


def worker_child() -> Child:
    """The Celery worker: one process, its tasks wait for the network on threads."""
    options = {"--pool": "threads", "--concurrency": "4", "--loglevel": "warning"}
    flags = ["--without-mingle", "--without-gossip"]
    return Child("worker", [*_celery("worker"), *_words(options), *flags], stop_seconds=15)


def beat_child(data_dir: Path) -> Child:
    """The Celery schedule; there must be only one."""
    options = {"--schedule": str(data_dir / "celerybeat-schedule"), "--pidfile": "", "--loglevel": "warning"}
    return Child("beat", [*_celery("beat"), *_words(options)], stop_seconds=5)


def stand_in_child(port_file: Path, port: int = 0) -> Child:
    """The stand-in for Claude; it writes its port number to `port_file` (0 lets the system choose one)."""
    command = [sys.executable, "-m", "text2sql.demo.claude", "--port", str(port), "--port-file", str(port_file)]
    return Child("claude-stand-in", command, stop_seconds=3)


def _celery(command: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--quiet", "-A", "text2sql", command]


def _words(options: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in options.items()]
