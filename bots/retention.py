"""How long the records of decisions are kept: the setting RECORD_DAYS, nothing for ever.

What goes is the record (prompt, answer, verdicts); the decision's own row with its outcome, actions, costs and
orders stays. The trap avoided: one statement over a million rows that holds everybody up.
"""

from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from bots import models

AT_ONCE: Final = 500
"""Records of one sweep; with one a minute, 720,000 a day."""


def prune(now: datetime) -> int:
    """Take the records of cycles away that ended too long ago; how many."""
    if not settings.RECORD_DAYS:
        return 0
    before = now - timedelta(days=settings.RECORD_DAYS)
    old = models.TradingCycle.objects.filter(record__isnull=False, ended_at__lt=before)
    ids = list(old.order_by("ended_at").values_list("pk", flat=True)[:AT_ONCE])
    return models.TradingCycle.objects.filter(pk__in=ids).update(record=None) if ids else 0
