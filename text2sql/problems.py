"""Everything that can go wrong for a client, as stable types (RFC 9457). A type never changes its meaning."""

from dataclasses import dataclass, field
from typing import Any

URN = "urn:text2sql:problem:"


@dataclass(frozen=True)
class ProblemType:
    title: str
    status: int


PROBLEMS: dict[str, ProblemType] = {
    # The request
    "invalid-request": ProblemType("The request is not valid", 400),
    "bad-request": ProblemType("The request could not be read", 400),
    "unauthenticated": ProblemType("A valid API key is needed", 401),
    "signed-out": ProblemType("Nobody is signed in", 401),
    "forbidden": ProblemType("The API key may not do this", 403),
    "not-found": ProblemType("There is no such thing here", 404),
    "method-not-allowed": ProblemType("The method is not allowed here", 405),
    "not-acceptable": ProblemType("None of the accepted media types can be served", 406),
    "conflict": ProblemType("The state does not allow this", 409),
    "idempotency-in-flight": ProblemType("The request with this Idempotency-Key is still running", 409),
    "idempotency-mismatch": ProblemType("The Idempotency-Key was used for another request", 422),
    "too-large": ProblemType("The request is too large", 413),
    "unsupported-media-type": ProblemType("Only application/json is read", 415),
    "throttled": ProblemType("Too many requests", 429),
    "questions-busy": ProblemType("As many questions wait for Claude here as may", 503),
    "streams-busy": ProblemType("As many streams run here as can", 503),
    "stopping": ProblemType("This server is being stopped", 503),
    # The database
    "database-not-read": ProblemType("The database's tables have not been read yet", 409),
    "target-unreachable": ProblemType("The database cannot be reached", 503),
    "execution-failed": ProblemType("The database refused the query", 422),
    "execution-cancelled": ProblemType("The query was cancelled", 409),
    "execution-timeout": ProblemType("The query took too long", 504),
    # The money
    "budget-exhausted": ProblemType("The budget is spent", 402),
    "budget-in-flight": ProblemType("The rest of the budget is held by running questions", 402),
    "requests-exhausted": ProblemType("The budget's questions are used up", 402),
    "request-too-expensive": ProblemType("The question could cost more than the budget", 402),
    "model-unpriced": ProblemType("The model has no price", 503),
    # Claude
    "claude-overloaded": ProblemType("Claude is overloaded", 503),
    "claude-unreachable": ProblemType("Claude cannot be reached", 503),
    "claude-spend-limit": ProblemType("The Anthropic account's spend limit is reached", 503),
    "claude-misconfigured": ProblemType("Claude refuses this installation", 503),
    "claude-refused": ProblemType("Claude declined the question", 422),
    "answer-truncated": ProblemType("Claude's answer was cut off", 502),
    "answer-malformed": ProblemType("Claude's answer was not of the agreed shape", 502),
    "sql-refused": ProblemType("The generated SQL was not allowed", 422),
    "sql-invalid": ProblemType("The generated SQL would not run", 422),
    "deadline-exceeded": ProblemType("The question took too long", 504),
    "question-lost": ProblemType("The question was lost when a process ended", 500),
    "internal-error": ProblemType("Something went wrong here", 500),
}


@dataclass
class Problem(Exception):
    """A problem to be answered; `extras` become members of the problem document."""

    kind: str
    detail: str
    extras: dict[str, Any] = field(default_factory=dict)
    retry_after: float | None = None
    """Seconds."""

    @property
    def type(self) -> ProblemType:
        return PROBLEMS[self.kind]

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"

    def as_document(self) -> dict[str, Any]:
        return {
            "type": URN + self.kind,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            **self.extras,
        }


def not_found(what: str) -> Problem:
    """The same for what is not there and for what is another team's."""
    return Problem("not-found", f"There is no such {what}, or it is not your team's.")
