from observability.models.alerts import Alert, AlertChannel, AlertDelivery
from observability.models.audit import AuditEntry
from observability.models.channels import Channel
from observability.models.deliveries import Delivery, DeliveryQuerySet, LangfuseDelivery
from observability.models.heartbeats import Heartbeat
from observability.models.prices import Price
from observability.models.prompts import ManagedPrompt
from observability.models.schedules import Schedule
from observability.models.scores import Score
from observability.models.traces import Trace

__all__ = [
    "Alert",
    "AlertChannel",
    "AlertDelivery",
    "AuditEntry",
    "Channel",
    "Delivery",
    "DeliveryQuerySet",
    "Heartbeat",
    "LangfuseDelivery",
    "ManagedPrompt",
    "Price",
    "Schedule",
    "Score",
    "Trace",
]
