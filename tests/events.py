"""Server-sent events as a client reads them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    id: str
    name: str
    data: Any


def events_read(lines: Iterable[str]) -> Iterator[Told | str]:
    """The events, and comments as plain text, by the standard's rules for lines."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield line[1:].strip()
        elif line:
            name, _, value = line.partition(":")
            assert name not in fields, "we send one line of data"
            fields[name] = value.removeprefix(" ")
        elif fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
    assert not fields, "the last event has no end"


def events_of(response: Any) -> list[Told]:
    """All events of a response of Django's test client."""
    body = b"".join(response.streaming_content).decode()
    response.close()
    return [told for told in events_read(body.split("\n")) if isinstance(told, Told)]
