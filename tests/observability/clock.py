"""Time passes without anybody sleeping: every moment that our rows and the stand-in remember moves back.

What Langfuse was seen to show has no future any more and keeps its moments.
"""

from datetime import timedelta

from django.db.models import F

from observability.models import Channel, Score, Trace
from tests.standins.langfuse import LangfuseStandIn

ROWS = ("next_try_at", "claimed_until", "created_at", "delivered_at")
CHANNELS = ("free_at", "closed_until", "last_error_at", "last_success_at")


def time_passes(lf: LangfuseStandIn, seconds: float) -> None:
    past = timedelta(seconds=seconds)
    for model in (Trace, Score):
        model.objects.exclude(state="delivered", confirmed_at__isnull=False).update(
            **{name: F(name) - past for name in ROWS}
        )
    Channel.objects.update(**{name: F(name) - past for name in CHANNELS})
    lf.store.grow_older(seconds)
