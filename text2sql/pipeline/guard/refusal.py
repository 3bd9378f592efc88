"""Why a statement was not let through."""

from sqlglot import exp


class GuardRefusal(Exception):
    """`code` is stable; the message is a sentence that a person, or the model, can act on.

    `tree` is the statement as parsed where it could be read and only a name in it, or a rule about names, was refused.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.tree: exp.Expr | None = None
