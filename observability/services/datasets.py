"""Verified questions for Langfuse's data sets, sent by a worker within the pace and the breaker of its API."""

import logging
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from observability.langfuse.client import LangfuseUnavailable
from observability.langfuse.datasets import DatasetItem, DatasetRefused, dataset_item_put, dataset_put
from observability.langfuse.sdk import sdk_load
from observability.masking import mask
from observability.models import Channel
from observability.services.channels import channel_is_open, channel_succeeded, channel_take, channel_troubled
from observability.services.deliveries import connection_release

logger = logging.getLogger(__name__)


class ItemSent(Enum):
    TAKEN = auto()
    REJECTED = auto()  # never again as it is
    POSTPONED = auto()  # the same again later: nothing is doubled


@dataclass(frozen=True, slots=True)
class ItemSending:
    sent: ItemSent
    dataset_id: str = ""
    error: str = ""


def datasets_are_open() -> bool:
    """Whether Langfuse may be asked just now."""
    sdk_load()
    return channel_is_open(Channel.Name.API)


@dataclass(slots=True)
class DatasetSender:
    """Sends one run's items; the data sets that it has seen to are not seen to again."""

    known: dict[str, str] = field(default_factory=dict)

    def send(self, item: DatasetItem) -> ItemSending:
        """Never raises for what the network or Langfuse does. Holds no connection while it waits."""
        taken_at = channel_take(Channel.Name.API)
        if taken_at is None:
            return ItemSending(ItemSent.POSTPONED, error="Langfuse's API is left alone for now.")
        connection_release()
        masked = replace(item, input=mask(item.input), expected_output=mask(item.expected_output))
        try:
            if item.dataset not in self.known:
                self.known[item.dataset] = dataset_put(item.dataset)
            dataset_item_put(masked)
        except LangfuseUnavailable as trouble:
            channel_troubled(Channel.Name.API, str(trouble), retry_after=trouble.retry_after)
            return ItemSending(ItemSent.POSTPONED, error=str(trouble))
        except DatasetRefused as refused:
            channel_succeeded(Channel.Name.API, taken_at)
            logger.error("Langfuse refuses an item of %s: %s", item.dataset, refused)  # noqa: TRY400  # it says it all
            return ItemSending(ItemSent.REJECTED, error=str(refused))
        channel_succeeded(Channel.Name.API, taken_at)
        return ItemSending(ItemSent.TAKEN, dataset_id=self.known[item.dataset])
