"""Decides whether a statement may run: see `statement.guard_statement`."""

from text2sql.pipeline.guard.refusal import GuardRefusal
from text2sql.pipeline.guard.statement import GuardedStatement, guard_statement, supported_dialects

__all__ = ["GuardRefusal", "GuardedStatement", "guard_statement", "supported_dialects"]
