"""The prompt cache: exact prefixes per API key and model, with the minimum, lookback and TTLs of the real one."""

import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from text2sql.demo.claude.models import Model
from text2sql.demo.claude.prompt import list_parts, read_schema
from text2sql.demo.claude.tokens import count_block, count_hidden, dump_block

TTLS = {"5m": timedelta(minutes=5), "1h": timedelta(hours=1)}
LOOKBACK = 20


@dataclass(frozen=True)
class Prefix:
    """The prompt up to and with one block: its hash, its tokens, and the TTL where the block is a breakpoint."""

    digest: str
    tokens: int
    ttl: timedelta | None = None


@dataclass(frozen=True)
class Plan:
    """How the prompt of one request splits into tokens, and what the cache keeps once its answer has started."""

    uncached: int
    written_5m: int
    written_1h: int
    read: int
    started: datetime
    new: tuple[Prefix, ...]
    used: tuple[str, ...]


def build_prefixes(body: dict[str, Any], model: Model, key: str) -> list[Prefix]:
    """The prefixes of a valid request, shortest first.

    Whatever makes the model see another prompt is hashed first: model, effort, thinking, tool_choice and the output
    schema. So are the hidden tokens of structured output, which the real API puts before everything else.
    """
    config = {name: body.get(name) for name in ("output_config", "thinking", "tool_choice")}
    digest = hashlib.sha256(json.dumps([key, model.id, config], sort_keys=True).encode())
    tokens = count_hidden(read_schema(body))
    prefixes = []
    for part in list_parts(body):
        digest.update(json.dumps([part.section, dump_block(part.block)]).encode())
        tokens += count_block(part.block)
        control = part.block.get("cache_control")
        prefixes.append(Prefix(digest.hexdigest(), tokens, TTLS[control.get("ttl", "5m")] if control else None))
    if control := body.get("cache_control"):
        last = prefixes[-1]
        prefixes[-1] = Prefix(last.digest, last.tokens, last.ttl or TTLS[control.get("ttl", "5m")])
    return prefixes


class PromptCache:
    """Entries by prefix hash. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, tuple[datetime, timedelta]] = {}

    def plan(self, prefixes: Sequence[Prefix], minimum: int, now: datetime) -> Plan:
        """What would be read and written now. Changes nothing: an entry exists only once an answer has started."""
        with self._lock:
            hit = self._find_longest(prefixes, now)
        read = prefixes[hit].tokens if hit >= 0 else 0
        new = tuple(prefix for prefix in prefixes[hit + 1 :] if prefix.ttl and prefix.tokens >= minimum)
        end = max((prefix.tokens for prefix in new), default=read)
        end_1h = max((prefix.tokens for prefix in new if prefix.ttl == TTLS["1h"]), default=read)
        return Plan(
            uncached=prefixes[-1].tokens - end,
            written_5m=end - end_1h,
            written_1h=end_1h - read,
            read=read,
            started=now,
            new=new,
            used=tuple(prefix.digest for prefix in prefixes[: hit + 1]),
        )

    def keep(self, plan: Plan) -> None:
        """The answer has started: its writes become readable, and every entry it used lives on for its whole TTL."""
        with self._lock:
            live = {key: entry for key, entry in self._entries.items() if entry[0] > plan.started}
            kept = [(key, live[key][1]) for key in plan.used if key in live]
            kept += [(prefix.digest, prefix.ttl) for prefix in plan.new if prefix.ttl]
            for key, ttl in kept:
                # Answers start in another order than their requests: an older one must not shorten a life.
                until = live[key][0] if key in live else plan.started
                live[key] = (max(until, plan.started + ttl), ttl)
            self._entries = live

    def _find_longest(self, prefixes: Sequence[Prefix], now: datetime) -> int:
        """The index of the longest live prefix within reach of a breakpoint, -1 without one."""
        for point in range(len(prefixes) - 1, -1, -1):
            if prefixes[point].ttl is None:
                continue
            for index in range(point, max(-1, point - LOOKBACK), -1):
                entry = self._entries.get(prefixes[index].digest)
                if entry and entry[0] > now:
                    return index
        return -1
