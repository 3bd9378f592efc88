"""Prompts: versions of a text under a name, found by number or by label."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.standins.langfuse.answers import Answer, invalid_data, not_imitated, wrong_type

PATH = "/api/public/v2/prompts/"
LATEST = "latest"  # always on the newest version


@dataclass(frozen=True)
class Version:
    number: int
    content: str | list[dict[str, str]]


class Prompts:
    """Safe to use from several threads."""

    def __init__(self) -> None:
        self._versions: dict[str, list[Version]] = {}
        self._labels: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def put(self, name: str, content: str | list[dict[str, str]], labels: Sequence[str]) -> int:
        """Add a version; a label is on one version of a name only, so it leaves the one that had it."""
        with self._lock:
            versions = self._versions.setdefault(name, [])
            versions.append(Version(len(versions) + 1, content))
            for label in (*labels, LATEST):
                self._labels[name, label] = len(versions)
            return len(versions)

    def label(self, name: str, label: str, number: int) -> None:
        """Move a label to a version that is there."""
        with self._lock:
            self._labels[name, label] = number

    def answer(self, method: str, path: str, query: Mapping[str, list[str]]) -> Answer:
        if method not in ("GET", "DELETE"):
            return Answer(405, {"message": "Method not allowed", "error": "MethodNotAllowedError"})
        if method == "DELETE" or "/versions/" in path:
            raise not_imitated("changes of prompts over HTTP")
        name, label = unquote(path.removeprefix(PATH)), query.get("label", [None])[-1]
        number = query.get("version", [None])[-1]
        if number is not None and not number.isdecimal():
            raise invalid_data(wrong_type(["version"], "number", number))
        if number and label:
            raise not_imitated("a version and a label at once")
        with self._lock:
            wanted = int(number) if number else self._labels.get((name, label or "production"), 0)
            found = next((one for one in self._versions.get(name, []) if one.number == wanted), None)
            if found is None:
                told = f"version {number}" if number else f"label '{label or 'production'}'"
                message = f"Prompt not found: '{name}' with {told}"
                return Answer(404, {"message": message, "error": "LangfuseNotFoundError"})
            return Answer(200, self._shown(name, found))

    def _shown(self, name: str, version: Version) -> dict[str, Any]:
        labels = [label for (of, label), number in self._labels.items() if of == name and number == version.number]
        return {
            "name": name,
            "version": version.number,
            "type": "text" if isinstance(version.content, str) else "chat",
            "prompt": version.content,
            "config": {},
            "labels": labels,
            "tags": [],
            "commitMessage": None,
            "resolutionGraph": None,
        }
