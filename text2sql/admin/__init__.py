"""The admin's rooms for databases, questions and what they cost."""

from text2sql.admin import (
    charges,
    databases,
    descriptions,
    evaluation_plans,
    evaluations,
    examples,
    generations,
    glossaries,
)

__all__ = [
    "charges",
    "databases",
    "descriptions",
    "evaluation_plans",
    "evaluations",
    "examples",
    "generations",
    "glossaries",
]
