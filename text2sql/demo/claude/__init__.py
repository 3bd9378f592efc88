"""A local stand-in for Claude: the Messages API over HTTP, for the demo without an API key and for tests.

It knows the demo's recorded questions and says plainly that it is no Claude. It refuses, bills, caches and fails as
the real API does, so what works against it has a chance against Claude.
"""

from text2sql.demo.claude.billing import Bill, Usage
from text2sql.demo.claude.desk import Received
from text2sql.demo.claude.server import ClaudeStandIn

__all__ = ["Bill", "ClaudeStandIn", "Received", "Usage"]
