"""The one way in which the start gives up."""


class StartError(Exception):
    """Why the product does not start: a sentence that says what to do, with log lines below it where they help."""
