from observability.models.alerts import Alert
from observability.models.audit import AuditEntry
from observability.models.deliveries import Delivery, DeliveryQuerySet
from observability.models.prices import Price
from observability.models.scores import Score
from observability.models.traces import Trace

__all__ = ["Alert", "AuditEntry", "Delivery", "DeliveryQuerySet", "Price", "Score", "Trace"]
