"""What waits for review."""

from django.db.models import QuerySet

from feedback.models import Feedback

MOST_COUNTED = 99


def waiting_count(rows: QuerySet[Feedback]) -> str:
    """How much of `rows` waits, `99+` for more: a full count of a long table is too dear for every page."""
    count = rows.filter(state=Feedback.State.NEW).order_by()[: MOST_COUNTED + 1].count()
    return f"{MOST_COUNTED}+" if count > MOST_COUNTED else str(count)
