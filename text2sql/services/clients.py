"""Who answers: Claude, or the demo's stand-in."""

from typing import Any

from django.conf import settings

from text2sql.pipeline.claude import ClaudeFailure, client_open


def claude_name() -> str:
    """Who answers: `claude`, or `stand-in` where no API key is set and the demo's stand-in plays Claude."""
    return "claude" if settings.ANTHROPIC_API_KEY else "stand-in"


def claude_client() -> Any:
    """The process's client, for Claude or for the stand-in.

    Raises:
        ClaudeFailure: Neither a key nor a stand-in is there.
    """
    if settings.ANTHROPIC_API_KEY:
        return client_open(api_key=settings.ANTHROPIC_API_KEY, base_url=settings.ANTHROPIC_BASE_URL)
    if settings.CLAUDE_STAND_IN_URL:
        return client_open(api_key="stand-in", base_url=settings.CLAUDE_STAND_IN_URL)
    raise ClaudeFailure("claude-misconfigured", "No ANTHROPIC_API_KEY is set, and the stand-in is not running.")
