"""Asks Claude, for nothing, whether it takes our key and knows a model."""

from dataclasses import dataclass

import anthropic
import httpx2
from anthropic import Anthropic


@dataclass(frozen=True)
class ClaudeProblem(Exception):
    """What is wrong, as a sentence, and what to do about it. `passing`: it may be over in a minute."""

    told: str
    hint: str
    passing: bool = False

    def __str__(self) -> str:
        return self.told


def model_probe(client: Anthropic, *, model: str, seconds: float) -> int:
    """Have the tokens of a short question counted: free, and refused for the same reasons as a question.

    Raises:
        ClaudeProblem: For everything but a number.
    """
    try:
        counted = client.with_options(timeout=seconds).messages.count_tokens(
            model=model, messages=[{"role": "user", "content": "How many customers are there?"}]
        )
        return int(counted.input_tokens)
    except anthropic.APIStatusError as error:
        raise _refused(error, model) from error
    except (anthropic.APITimeoutError, httpx2.TimeoutException) as error:
        raise ClaudeProblem(
            f"no answer within {seconds:g} s", "Look at the network and at status.claude.com.", passing=True
        ) from error
    except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
        raise ClaudeProblem(
            f"cannot be reached ({type(error).__name__})",
            "Allow this machine to reach ANTHROPIC_BASE_URL on port 443, or correct that setting.",
        ) from error
    except (ValueError, TypeError, AttributeError, anthropic.AnthropicError) as error:
        raise ClaudeProblem(
            f"the answer is none of Claude's ({type(error).__name__})", "Something else answers: ANTHROPIC_BASE_URL."
        ) from error


def _refused(error: anthropic.APIStatusError, model: str) -> ClaudeProblem:
    status = error.status_code
    if status in (401, 403):
        return ClaudeProblem(
            f"the key is not accepted ({status})", "Set ANTHROPIC_API_KEY to a valid key from the Claude console."
        )
    if status == 404:
        return ClaudeProblem(
            f"{model} is not known or is retired ({status})", "Name another in CLAUDE_MODEL or in the team."
        )
    if status == 429 or status >= 500:
        return ClaudeProblem(f"Claude is busy ({status})", "Try again in a minute; see status.claude.com.", True)
    return ClaudeProblem(f"refused ({status})", "See the message in the Claude console; check CLAUDE_MODEL.")
