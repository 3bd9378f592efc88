"""The media types that some addresses speak besides JSON. Problems are JSON in any of them."""

from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request


class EventStreamRenderer(JSONRenderer):
    """Names the media type for the negotiation; the events themselves are written by streams.py."""

    media_type = "text/event-stream"
    format = "event-stream"


class CsvRenderer(JSONRenderer):
    """Names the media type for the negotiation; the lines themselves are written by lines.py."""

    media_type = "text/csv"
    format = "csv"


def speaks(request: Request, renderer: type[JSONRenderer]) -> bool:
    """Whether the client is to be answered so."""
    return isinstance(request.accepted_renderer, renderer)
