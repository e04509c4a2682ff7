"""Which time zone a user had at an instant, read from the audit trail. Nothing is changed here."""

from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime

from tradingagent.accounts.models import AuditEntry, User


def zone_at(user: User) -> Callable[[datetime], str]:
    """The zone that was the user's at an instant: the day of what was booked then was its day. One query."""
    changes = AuditEntry.objects.filter(
        action="change_time_zone", target_type=User._meta.label, target_id=str(user.pk)
    )
    found = [
        (entry.at, (entry.before or {})["time_zone"]) for entry in changes.order_by("at", "pk")
    ]
    instants, zones = [at for at, _ in found], [*(zone for _, zone in found), user.time_zone]
    return lambda instant: zones[bisect_right(instants, instant)]
