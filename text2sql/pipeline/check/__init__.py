"""The static check: what the database would refuse when it prepares a statement, found without the database."""

from text2sql.pipeline.check.statement import statement_findings

__all__ = ["statement_findings"]
