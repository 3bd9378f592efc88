from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from text2sql.problems import Problem

BODY_BYTES = 1_000_000
"""The largest body that is read: a question, a comment and a corrected statement fit many times."""


class BoundedJsonParser(JSONParser):
    """DRF's reads bodies of any size, and fails with a 500 on JSON that is nested too deeply."""

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        length = int((parser_context or {})["request"].META.get("CONTENT_LENGTH") or 0)
        if length > BODY_BYTES:
            raise Problem("too-large", f"The body holds {length} bytes; {BODY_BYTES} are read at most.")
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
