"""The product's own logging for the time of a test, and what it wrote."""

import json
import logging
import logging.config
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from observability.logging import logging_config


@contextmanager
def logging_as(**options: Any) -> Iterator[None]:
    """Logging as an installation has it; `options` as for `logging_config`. Streams are those of this moment."""
    config = logging_config(**options)
    loggers = [logging.getLogger(), *map(logging.getLogger, config["loggers"])]
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    raises = logging.raiseExceptions
    try:
        logging.config.dictConfig(config)
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers, logger.level, logger.propagate = handlers, level, propagate
            logger.manager._clear_cache()  # type: ignore[attr-defined]  # levels are remembered
        logging.raiseExceptions = raises


def lines_of(written: str, message: str = "") -> list[dict[str, Any]]:
    """The JSON lines, numbers as Decimal; with `message` only those that say it."""
    found = [json.loads(line, parse_float=Decimal) for line in written.splitlines()]
    return [line for line in found if not message or line["message"] == message]
