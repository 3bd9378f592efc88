"""Work that leaves the house: a row with a state, claimed by one worker at a time.

The row is the truth. A worker claims rows for a lease, talks to the outside with no transaction open, and notes
the outcome only on rows that are still its own. What a killed worker left behind comes due when its lease ends.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import models, transaction
from django.db.models import ExpressionWrapper, F, Q
from django.utils import timezone

BACKOFF_LIMIT = timedelta(minutes=5)

AnyDelivery = TypeVar("AnyDelivery", bound="Delivery")


def backoff(tries: int) -> timedelta:
    """The pause after so many tries: 1 s, 2 s, 4 s … up to five minutes."""
    return min(timedelta(seconds=2 ** min(max(tries - 1, 0), 10)), BACKOFF_LIMIT)


class DeliveryQuerySet(models.QuerySet[AnyDelivery]):
    def claim(self, *, limit: int, lease: timedelta) -> list[AnyDelivery]:
        """Claim up to `limit` rows that are due, oldest first, for the time of the lease.

        A row whose earlier claim was never settled comes back with `maybe_sent` set: its worker may have died
        before or after sending.
        """
        now = timezone.now()
        with transaction.atomic():
            due = self.filter(state__in=[Delivery.State.PENDING, Delivery.State.CLAIMED], next_try_at__lte=now)
            rows = list(due.order_by("next_try_at").select_for_update(skip_locked=True)[:limit])
            until = now + lease
            # next_try_at moves to the end of the lease, so that one index answers "what is due?".
            self.filter(pk__in=[row.pk for row in rows]).update(
                maybe_sent=ExpressionWrapper(
                    Q(state=Delivery.State.CLAIMED) | Q(maybe_sent=True), output_field=models.BooleanField()
                ),
                state=Delivery.State.CLAIMED,
                tries=F("tries") + 1,
                claimed_until=until,
                next_try_at=until,
            )
        for row in rows:
            row.maybe_sent = row.maybe_sent or row.state == Delivery.State.CLAIMED
            row.state, row.tries = Delivery.State.CLAIMED, row.tries + 1
            row.claimed_until = row.next_try_at = until
        return rows

    def note_delivered(self, rows: Iterable[AnyDelivery]) -> None:
        now = timezone.now()
        self._settle(rows, state=Delivery.State.DELIVERED, delivered_at=now, maybe_sent=False, last_error="")

    def note_failed(self, rows: Iterable[AnyDelivery], *, error: str) -> None:
        """Never again as it is: the other side refused these rows for what they say."""
        self._settle(rows, state=Delivery.State.FAILED, maybe_sent=False, last_error=error)

    def note_postponed(
        self,
        rows: Iterable[AnyDelivery],
        *,
        error: str,
        maybe_sent: bool = False,
        at_least: timedelta = timedelta(0),
        at_most: timedelta = BACKOFF_LIMIT,
    ) -> None:
        """Pending again after a back-off by the row's own tries, `at_least` so long, of which `at_most` is obeyed.

        `maybe_sent`: this try may have arrived. That stays known until the row is settled: a later try that surely
        did not arrive tells nothing about this one.
        """
        now = timezone.now()
        by_tries: defaultdict[int, list[AnyDelivery]] = defaultdict(list)
        for row in rows:
            by_tries[row.tries].append(row)
        known: dict[str, Any] = {"maybe_sent": True} if maybe_sent else {}
        for tries, group in by_tries.items():
            pause = max(backoff(tries), min(at_least, at_most))
            self._settle(group, state=Delivery.State.PENDING, next_try_at=now + pause, last_error=error, **known)

    def release(self, rows: Iterable[AnyDelivery]) -> None:
        """Due again at once, as if never claimed: nothing was tried."""
        self._settle(rows, state=Delivery.State.PENDING, tries=F("tries") - 1, next_try_at=timezone.now())

    def _settle(self, rows: Iterable[AnyDelivery], **changes: Any) -> None:
        # Only what is still ours: a row whose lease ran out is the next worker's, and a score may have been set anew.
        claims: defaultdict[datetime | None, list[Any]] = defaultdict(list)
        for row in rows:
            claims[row.claimed_until].append(row.pk)
        for until, keys in claims.items():
            self.filter(pk__in=keys, state=Delivery.State.CLAIMED, claimed_until=until).update(
                claimed_until=None, **changes
            )


class Delivery(models.Model):
    class State(models.TextChoices):
        PENDING = "pending"
        CLAIMED = "claimed"
        DELIVERED = "delivered"
        FAILED = "failed"

    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING, editable=False)
    tries = models.PositiveIntegerField(default=0, editable=False)
    next_try_at = models.DateTimeField(default=timezone.now, editable=False)
    claimed_until = models.DateTimeField(null=True, editable=False)
    maybe_sent = models.BooleanField(
        default=False, editable=False, help_text="A try may have arrived although its outcome was never seen."
    )
    last_error = models.TextField(blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    delivered_at = models.DateTimeField(null=True, editable=False)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        abstract = True
        indexes = [
            models.Index(
                fields=["next_try_at"],
                condition=Q(state__in=["pending", "claimed"]),
                name="%(app_label)s_%(class)s_due",
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["pending", "claimed", "delivered", "failed"]),
                name="%(app_label)s_%(class)s_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="claimed", claimed_until__isnull=False)
                | (~Q(state="claimed") & Q(claimed_until__isnull=True)),
                name="%(app_label)s_%(class)s_claimed_has_lease",
            ),
        ]


class LangfuseDelivery(Delivery):
    """Delivered means that Langfuse took it. It answers before it stores, so what it shows is looked at later."""

    confirmed_at = models.DateTimeField(null=True, editable=False, help_text="When Langfuse was seen to show it.")
    losses = models.PositiveSmallIntegerField(
        default=0, editable=False, help_text="How often Langfuse took it and did not show it."
    )

    class Meta(Delivery.Meta):
        abstract = True
        indexes = [
            *Delivery.Meta.indexes,
            models.Index(
                fields=["delivered_at"],
                condition=Q(state="delivered", confirmed_at=None),
                name="%(app_label)s_%(class)s_unseen",
            ),
            models.Index(fields=["created_at"], condition=Q(state="failed"), name="%(app_label)s_%(class)s_failed"),
        ]
