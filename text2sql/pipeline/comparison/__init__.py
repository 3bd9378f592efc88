"""Compares the rows of an answer with those of verified SQL: see `rows.results_compare`."""

from text2sql.pipeline.comparison.gold import GoldQuery, gold_query, golds_accepted, order_asked
from text2sql.pipeline.comparison.rows import Comparison, Gold, results_compare
from text2sql.pipeline.comparison.values import ResultSet

__all__ = [
    "Comparison",
    "Gold",
    "GoldQuery",
    "ResultSet",
    "gold_query",
    "golds_accepted",
    "order_asked",
    "results_compare",
]
