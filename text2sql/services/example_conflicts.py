"""Approved examples that speak against each other: nearly one question, and other SQL."""

from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from text2sql.models import Example
from text2sql.pipeline.retrieval import NEAR, Likeness, likeness_words

LOOKED_AT = 50
"""The likest others that each is compared with."""


def conflicts_find(examples: Collection[Example]) -> dict[UUID, list[Example]]:
    """Of each the others in force of its team and database that are near it and have other SQL, the nearest first.

    One query, over all examples in force of these teams and databases.
    """
    others: defaultdict[int, list[Example]] = defaultdict(list)
    rows = Example.objects.filter(access__in={example.access_id for example in examples}).in_force()
    for row in rows.only("access_id", "question", "digest", "sql").order_by("created_at", "id"):
        others[row.access_id].append(row)
    likenesses = {
        access_id: Likeness([likeness_words(row.question) for row in rows]) for access_id, rows in others.items()
    }
    return {
        example.pk: _conflicts(example, others[example.access_id], likenesses[example.access_id])
        if example.access_id in likenesses else []
        for example in examples
    }  # fmt: skip


def _conflicts(example: Example, others: list[Example], likeness: Likeness) -> list[Example]:
    near = [others[place] for place, _ in likeness.rank(example.question, limit=LOOKED_AT, least=NEAR)]
    # Of one digest are the versions of one example.
    return [other for other in near if other.digest != example.digest and _words(other.sql) != _words(example.sql)]


def _words(sql: str) -> list[str]:
    return sql.rstrip("; \n").split()
