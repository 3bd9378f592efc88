"""Recorded questions of the demo databases."""

import re
import unicodedata

from text2sql.demo.questions import marketing_db, operations_db, sales_db, support_db
from text2sql.demo.questions.recorded import RecordedQuestion

RECORDED: dict[str, tuple[RecordedQuestion, ...]] = {
    "sales_db": sales_db.QUESTIONS,
    "marketing_db": marketing_db.QUESTIONS,
    "operations_db": operations_db.QUESTIONS,
    "support_db": support_db.QUESTIONS,
}


def _plain(question: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", question).casefold())
    return re.sub(r"\s+", " ", folded).rstrip(" .?!。").lstrip(" ¿¡")


_BY_QUESTION: dict[tuple[str, str], RecordedQuestion] = {
    (database, _plain(recorded.question)): recorded
    for database, questions in RECORDED.items()
    for recorded in questions
}


def find_recorded(database: str, question: str) -> RecordedQuestion | None:
    """The recorded question asked; case, white space, final punctuation and Unicode form do not matter."""
    return _BY_QUESTION.get((database, _plain(question)))


__all__ = ["RECORDED", "RecordedQuestion", "find_recorded"]
