"""How long alerts and their messages are kept, and the events that they were made of: ALERT_DAYS, EVENT_DAYS.

A few at a time, so that nobody waits. What an event told stands in the desk's own rows; pages look at a bot's
number of events, never at old ones, and the only reader that goes through them is the scan. So an event may go
once the scan has read it. The trap avoided: one that a scan which was down for a week has not read yet.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db.models import Exists, F, OuterRef

from bots.alerts.models import Alert, Delivery, DeliveryStatus
from bots.models import Event

AT_ONCE: Final = 500
"""Rows of a kind in one round; with four a minute, 2,880,000 a day."""
UNDECIDED: Final = (DeliveryStatus.PENDING, DeliveryStatus.CLAIMED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How many rows went."""

    deliveries: int = 0
    alerts: int = 0
    events: int = 0


def prune(now: datetime) -> Pruned:
    """Take away what is older than the settings say. Harmless twice, and at once."""
    deliveries = alerts = events = 0
    if settings.ALERT_DAYS > 0:
        before = now - timedelta(days=settings.ALERT_DAYS)
        deliveries, alerts = _prune_deliveries(before), _prune_alerts(before)
    if settings.EVENT_DAYS > 0:
        events = _prune_events(now - timedelta(days=settings.EVENT_DAYS))
    return Pruned(deliveries=deliveries, alerts=alerts, events=events)


def _prune_deliveries(before: datetime) -> int:
    """Messages that are decided, whether their alert goes on or not."""
    old = Delivery.objects.filter(created_at__lt=before).exclude(status__in=UNDECIDED)
    ids = list(old.order_by("created_at").values_list("pk", flat=True)[:AT_ONCE])
    return Delivery.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _prune_alerts(before: datetime) -> int:
    """Alerts that are over and whose messages have all gone, acknowledged or not."""
    kept = Exists(Delivery.objects.filter(alert=OuterRef("pk")))
    old = Alert.objects.filter(~kept, is_open=False, last_at__lt=before)
    ids = list(old.order_by("last_at").values_list("pk", flat=True)[:AT_ONCE])
    return Alert.objects.filter(pk__in=ids).delete()[0] if ids else 0


def _prune_events(before: datetime) -> int:
    """Among the first events of all, those that the scan has read. One that it has not is waited for."""
    first = list(Event.objects.order_by("pk").values_list("pk", "at")[:AT_ONCE])
    ids = [pk for pk, at in first if at < before]
    if not ids:
        return 0
    read = Event.objects.filter(pk__in=ids, sequence__lte=F("bot__alert_cursor__sequence"))
    return Event.objects.filter(pk__in=list(read.values_list("pk", flat=True))).delete()[0]
