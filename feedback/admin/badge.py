from django.http import HttpRequest

from feedback.models import Feedback
from feedback.services.waiting import waiting_count
from teams.admin.base import rows_of
from teams.site import request_principal


def feedback_waiting(request: HttpRequest) -> str:
    """What waits for this person's review, beside the menu's line."""
    return waiting_count(rows_of(request_principal(request), Feedback.objects.all()))
