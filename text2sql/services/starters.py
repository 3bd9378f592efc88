"""The questions with which a database is introduced: read off its tables at first, then as people want them."""

from collections.abc import Iterable

from observability.services.audit import change_audited
from text2sql.cache.keys import question_normalize
from text2sql.models import Database

MOST_STARTERS = 10


def starters_set(*, database: Database, questions: Iterable[str], actor: str) -> None:
    """In this order, each once. With none, the next reading of the tables proposes anew."""
    once: dict[str, str] = {}
    for question in questions:
        once.setdefault(question_normalize(question), question)
    with change_audited(database, actor=actor, target=database.name, fields=["starter_questions"]):
        database.starter_questions = list(once.values())[:MOST_STARTERS]
        database.save(update_fields=["starter_questions"])
