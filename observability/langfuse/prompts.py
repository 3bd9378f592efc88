"""A text prompt from Langfuse, asked for by a worker and never by a request."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from observability.langfuse.client import LangfuseUnavailable, langfuse_api, langfuse_asked


@dataclass(frozen=True, slots=True)
class LangfusePrompt:
    version: int
    text: str


def prompt_get(name: str, *, label: str | None = None, version: int | None = None) -> LangfusePrompt:
    """The version that carries the label, or that of this number; asked for once.

    Raises LangfuseUnavailable, also where there is none.
    """
    with langfuse_asked():
        # The client puts the name into the path as it is, and a name may stand in folders.
        answer = langfuse_api().prompts.get(
            quote(name, safe=""), label=label, version=version, request_options={"max_retries": 0}
        )
    if answer.name != name:
        raise LangfuseUnavailable(f"Langfuse answered with another prompt, {answer.name[:100]!r}")
    if answer.type != "text":
        raise LangfuseUnavailable(f"{name} is a {answer.type} prompt in Langfuse; a text prompt is needed")
    return LangfusePrompt(answer.version, answer.prompt)
