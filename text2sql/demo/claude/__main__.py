"""`python -m text2sql.demo.claude --port 8091`: the stand-in as a process of its own, until SIGTERM or Ctrl-C."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from text2sql.demo.claude.server import ClaudeStandIn

REMEMBERED = 100


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m text2sql.demo.claude", description=__doc__)
    parser.add_argument("--port", type=int, default=8091, help="0 takes a free one (default: 8091)")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it listens")
    parser.add_argument("--delay", type=float, default=0.3, help="seconds before each answer (default: 0.3)")
    return parser.parse_args()


def write_port(path: Path, port: int) -> None:
    """In one step, so that nobody reads half a number."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(f"{port}\n")
    draft.replace(path)


def main() -> int:
    arguments = parse_arguments()
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    try:
        stand_in = ClaudeStandIn(arguments.port, delay=arguments.delay, keep=REMEMBERED)
    except OSError as error:
        sys.stderr.write(f"The stand-in cannot listen on port {arguments.port}: {error.strerror}.\n")
        return 1
    with stand_in:
        if arguments.port_file:
            write_port(arguments.port_file, stand_in.port)
        sys.stdout.write(f"Claude stand-in (not Claude) listening on {stand_in.base_url}\n")
        sys.stdout.flush()
        ending.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
