"""Why a statement was not let through."""


class GuardRefusal(Exception):
    """`code` is stable; the message is a sentence that a person, or the model, can act on."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
