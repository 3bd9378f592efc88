"""What the Messages API refuses, in its words. Every check raises ApiError (400)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from text2sql.demo.claude.errors import ApiError, invalid
from text2sql.demo.claude.models import Model, Thinking
from text2sql.demo.claude.prompt import Part, list_parts, read_schema
from text2sql.demo.claude.schemas import check_schema

VERSIONS = ("2023-06-01", "2026-10-21")
SAMPLING = ("temperature", "top_p", "top_k")
COUNTED = {
    "model", "messages", "system", "tools", "tool_choice", "thinking", "output_config", "cache_control", "speed",
}  # fmt: skip
CREATED = COUNTED | {
    "max_tokens", "stream", "metadata", "stop_sequences", "service_tier", "inference_geo", "diagnostics", "container",
}  # fmt: skip
BLOCKS = {
    "text", "image", "document", "search_result", "tool_use", "tool_result", "thinking", "redacted_thinking",
}  # fmt: skip
EFFORTS = ("low", "medium", "high", "xhigh", "max")


def read_key(headers: Mapping[str, str]) -> str:
    """The API key of a request, from either header. Raises ApiError (401)."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = headers.get("x-api-key", "") or (token.strip() if scheme.lower() == "bearer" else "")
    if not key:
        raise ApiError(401, "x-api-key or authorization header is required")
    return key


def check_version(headers: Mapping[str, str]) -> None:
    version = headers.get("anthropic-version")
    if version is None:
        raise invalid("anthropic-version: header is required")
    if version not in VERSIONS:
        raise invalid(f'anthropic-version: "{version}" is not a valid version')


def read_model_id(body: Any) -> str:
    if not isinstance(body, dict):
        raise invalid("The request body is not a JSON object")
    if "model" not in body:
        raise invalid("model: Field required")
    if not isinstance(body["model"], str):
        raise invalid("model: Input should be a valid string")
    return body["model"]


def check_request(body: dict[str, Any], model: Model, *, counting: bool = False) -> None:
    """`counting` for count_tokens, which answers nothing and so takes no max_tokens."""
    check_fields(body, COUNTED if counting else CREATED)
    if not counting:
        check_max_tokens(body, model)
        check_service(body, model)
    check_messages(body)
    check_output(body, model)
    check_thinking(body, model)
    check_tool_choice(body, model)
    parts = list_parts(body)
    for part in parts:
        check_block(part, formatted=read_schema(body) is not None)
    check_breakpoints(body, parts)


def check_fields(body: dict[str, Any], known: set[str]) -> None:
    for name in SAMPLING:
        if name in body:
            raise invalid(f"{name}: This parameter was removed in API version 2026-10-21")
    if "output_format" in body:
        raise invalid("output_format: This field is deprecated. Use 'output_config.format' instead.")
    for name in sorted(set(body) - known):
        raise invalid(f"{name}: Extra inputs are not permitted")


def check_max_tokens(body: dict[str, Any], model: Model) -> None:
    if "max_tokens" not in body:
        raise invalid("max_tokens: Field required")
    limit = body["max_tokens"]
    if not isinstance(limit, int) or isinstance(limit, bool):
        raise invalid("max_tokens: Input should be a valid integer")
    if limit < 0:
        raise invalid("max_tokens: Input should be greater than or equal to 0")
    if limit > model.max_output:
        raise invalid(
            f"max_tokens: {limit} > {model.max_output}, which is the maximum allowed number of output tokens"
            f" for {model.id}"
        )


def check_service(body: dict[str, Any], model: Model) -> None:
    geo = body.get("inference_geo")
    if geo not in {None, "global", "us"}:
        raise invalid("inference_geo: Input should be 'global' or 'us'")
    if geo == "us" and not model.serves_us:
        raise invalid(f"inference_geo: 'us' is not supported by {model.id}")
    if body.get("service_tier") not in {None, "auto", "standard_only"}:
        raise invalid("service_tier: Input should be 'auto' or 'standard_only'")
    if body.get("speed") not in {None, "standard"}:
        raise invalid("speed: fast mode is not enabled for this organization")


def check_messages(body: dict[str, Any]) -> None:
    """Also makes sure of the shapes that everything after it relies on."""
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise invalid("messages: Field required" if messages is None else "messages: Input should be a valid array")
    if not messages:
        raise invalid("messages: at least one message is required")
    for n, message in enumerate(messages):
        if not isinstance(message, dict) or message.get("role") not in {"user", "assistant", "system"}:
            raise invalid(f"messages.{n}.role: Input should be 'user', 'assistant' or 'system'")
        check_content(message.get("content"), f"messages.{n}.content")
        if not message["content"]:
            raise invalid(f"messages.{n}: {message['role']} messages must have non-empty content")
    if messages[0]["role"] != "user":
        raise invalid('messages: first message must use the "user" role')
    if messages[-1]["role"] == "assistant":
        raise invalid(
            "This model does not support assistant message prefill. The conversation must end with a user message."
        )
    check_content(body.get("system") or [], "system")
    check_content(body.get("tools") or [], "tools")


def check_content(content: Any, path: str) -> None:
    if isinstance(content, str) and path != "tools":
        return
    if not isinstance(content, list) or not all(isinstance(block, dict) for block in content):
        raise invalid(f"{path}: Input should be a valid array of objects")


def check_block(part: Part, *, formatted: bool) -> None:
    if part.section == "tools":
        return
    block, kind = part.block, part.block.get("type")
    if kind not in BLOCKS or (part.section == "system" and part.path.startswith("system") and kind != "text"):
        raise invalid(
            f"{part.path}.type: Input tag '{kind}' found using 'type' does not match any of the expected tags"
        )
    if kind == "text":
        check_text(part)
    if kind == "document" and part.section == "assistant":
        raise invalid(f"{part.path}: document blocks are not permitted in assistant turns")
    citations = block.get("citations")
    if formatted and isinstance(citations, dict) and citations.get("enabled"):
        raise invalid(f"{part.path}.citations: citations are incompatible with output_config.format")
    if kind in {"thinking", "redacted_thinking"} and "cache_control" in block:
        raise invalid(f"{part.path}.{kind}.cache_control: Extra inputs are not permitted")


def check_text(part: Part) -> None:
    text, where = part.block.get("text"), part.path.partition(".")[0]
    if not isinstance(text, str):
        raise invalid(f"{part.path}.text: Input should be a valid string")
    if not text and "cache_control" in part.block:
        raise invalid(f"{part.path}: cache_control cannot be set for empty text blocks")
    if not text:
        raise invalid(f"{where}: text content blocks must be non-empty")
    if not text.strip():
        raise invalid(f"{where}: text content blocks must contain non-whitespace text")
    if part.section == "user" and part.block.get("citations"):
        raise invalid(f"{part.path}.citations: citations are not permitted on text blocks in user turns")


def check_output(body: dict[str, Any], model: Model) -> None:
    config = body.get("output_config") or {}
    if not isinstance(config, dict) or not isinstance(config.get("format") or {}, dict):
        raise invalid("output_config: Input should be a valid dictionary")
    for name in sorted(set(config) - {"effort", "format"}):
        raise invalid(f"output_config.{name}: Extra inputs are not permitted")
    effort = config.get("effort")
    if effort is not None and effort not in EFFORTS:
        raise invalid("output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or 'max'")
    if effort is not None and effort not in model.efforts:
        raise invalid(
            f"output_config.effort: '{effort}' is not supported by {model.id}"
            if model.efforts
            else "This model does not support the effort parameter."
        )
    if form := config.get("format"):
        if form.get("type") != "json_schema":
            raise invalid("output_config.format.type: Input should be 'json_schema'")
        check_schema(form.get("schema"))


def check_thinking(body: dict[str, Any], model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type") if isinstance(thinking, dict) else None
    if kind not in {"enabled", "disabled", "adaptive", "between_tools"}:
        raise invalid("thinking.type: Input should be 'adaptive', 'between_tools', 'disabled' or 'enabled'")
    if kind == "enabled":
        check_budget(thinking, body, model)
        return
    refused = {
        "adaptive": model.thinking is Thinking.BUDGET,
        "disabled": model.thinking in {Thinking.ALWAYS_ON, Thinking.BETWEEN_TOOLS},
        "between_tools": model.thinking is not Thinking.BETWEEN_TOOLS,
    }
    if refused[kind]:
        raise invalid(f'"thinking.type.{kind}" is not supported for this model.')
    effort = (body.get("output_config") or {}).get("effort")
    if kind in {"disabled", "between_tools"} and effort in {"xhigh", "max"}:
        raise invalid(f'"thinking.type.{kind}" is not supported with "output_config.effort" \'{effort}\'.')


def check_budget(thinking: dict[str, Any], body: dict[str, Any], model: Model) -> None:
    if not model.takes_budget:
        raise invalid(
            '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive" and'
            ' "output_config.effort" to control thinking behavior.'
        )
    budget = thinking.get("budget_tokens")
    if not isinstance(budget, int) or budget < 1024:
        raise invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if "max_tokens" in body and budget >= body["max_tokens"]:
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`.")


def check_tool_choice(body: dict[str, Any], model: Model) -> None:
    choice = body.get("tool_choice")
    if not isinstance(choice, dict) or choice.get("type") not in {"any", "tool"}:
        return
    if model.thinking in {Thinking.ALWAYS_ON, Thinking.BETWEEN_TOOLS}:
        raise invalid("Thinking may not be enabled when tool_choice forces tool use.")
    raise invalid("tool_choice: this is the built-in stand-in for Claude, and it cannot call tools.")


def check_breakpoints(body: dict[str, Any], parts: list[Part]) -> None:
    marked = [(part.path, part.block["cache_control"]) for part in parts if part.block.get("cache_control")]
    if body.get("cache_control"):
        marked.append((parts[-1].path, body["cache_control"]))
    for path, control in marked:
        if not isinstance(control, dict) or control.get("type") != "ephemeral":
            raise invalid(f"{path}.cache_control.type: Input should be 'ephemeral'")
        if control.get("ttl", "5m") not in {"5m", "1h"}:
            raise invalid(f"{path}.cache_control.ttl: Input should be '5m' or '1h'")
    if len(marked) > 4:
        raise invalid(f"A maximum of 4 blocks with cache_control may be provided. Found {len(marked)}.")
    for (_, earlier), (path, later) in pairwise(marked):
        if (earlier.get("ttl", "5m"), later.get("ttl", "5m")) == ("5m", "1h"):
            raise invalid(
                f"{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m'"
                " cache_control block. Note that blocks are processed in the following order:"
                " `tools`, `system`, `messages`."
            )
