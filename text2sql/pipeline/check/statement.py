"""Reads the tree of one statement once and collects what is wrong with it."""

import logging

from sqlglot import exp

from text2sql.pipeline.check.catalog import Catalog, catalog_of
from text2sql.pipeline.check.columns import Columns
from text2sql.pipeline.check.expressions import Expressions
from text2sql.pipeline.check.queries import Queries
from text2sql.pipeline.check.readers import reader_of
from text2sql.pipeline.check.scope import Scope, Source
from text2sql.pipeline.check.sources import Sources
from text2sql.pipeline.check.wording import Text, lacks_condition, wording_findings
from text2sql.pipeline.finding import Finding
from text2sql.pipeline.schema import Schema

MOST_FINDINGS = 20

logger = logging.getLogger(__name__)


def statement_findings(
    tree: exp.Expr, schema: Schema, *, sql: str | None = None, functions: frozenset[str] = frozenset()
) -> list[Finding]:
    """What the database would refuse about `tree`, in the order of reading; nothing is changed in it.

    An "error" is surely refused, a "warning" maybe. `sql` is the text that `tree` was parsed from: with it more is
    known, how a function was called and which quotes were used. `functions` are names in lower case that this
    database has besides its dialect's own. A dialect without rules gives no findings.
    """
    catalog = catalog_of(schema)
    if catalog is None:
        return []
    statement = Statement(catalog, sql, functions)
    try:
        statement.read(tree)
    except RecursionError:
        statement.report("unchecked", "The statement is too deeply nested to be checked.", is_sure=False)
    except Exception as error:  # noqa: BLE001  # a form of tree that was not foreseen makes no statement wrong
        logger.warning("check stumbled over a statement: %s", type(error).__name__)
        statement.report("unchecked", "The statement could not be checked to its end.", is_sure=False)
    return statement.findings


class Statement:
    """What the readers of one statement share."""

    def __init__(self, catalog: Catalog, sql: str | None, functions: frozenset[str]) -> None:
        self.catalog = catalog
        self.rules = catalog.rules
        self.types = catalog.types
        self.sql = sql
        self.text = Text(sql) if sql is not None else None
        self.joins = 0
        """Joins with a condition, and those that need none."""
        self.own_functions = functions
        self.findings: list[Finding] = []
        self.meanings: dict[int, tuple[Scope, Source | None, str]] = {}
        """By the id of a column's node: what it was found to mean."""
        self.touched: set[int] = set()
        """The ids of the scopes that the expression being read takes columns from."""
        self.columns = Columns(self)
        self.expressions = Expressions(self, reader_of)
        self.sources = Sources(self)
        self.queries = Queries(self)

    def read(self, tree: exp.Expr) -> None:
        if self.text is not None:
            for finding in wording_findings(self.text, self.rules.dialect):
                self.add(finding)
        self.queries.read(tree, None, {})
        if self.text is not None and self.rules.dialect == "postgres" and lacks_condition(self.text, tree, self.joins):
            self.report("syntax", "A JOIN needs a condition: write ON …, or CROSS JOIN.")

    def report(self, code: str, message: str, closest: tuple[str, ...] = (), *, is_sure: bool = True) -> None:
        self.add(Finding(code, message, closest, "error" if is_sure else "warning"))

    def add(self, finding: Finding) -> None:
        if len(self.findings) < MOST_FINDINGS and finding not in self.findings:
            self.findings.append(finding)
