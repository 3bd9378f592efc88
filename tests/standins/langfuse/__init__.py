"""A Langfuse server for tests: real HTTP on a real port, for the unmodified SDK and OTLP exporter."""

from tests.standins.langfuse.api import Project
from tests.standins.langfuse.records import Observation, Score, Trace
from tests.standins.langfuse.server import Request
from tests.standins.langfuse.stand_in import LangfuseStandIn

__all__ = ["LangfuseStandIn", "Observation", "Project", "Request", "Score", "Trace"]
