"""The breaker over all bots of a user, and over everybody's: a day on which they lost what they may is stopped.

Marks look, so it trips between decisions too; claims obey (`bots.account_check`), until the day is over. The trap
avoided: a price that comes back in the same day, and lets a day that was lost open again.
"""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from bots import events, models, runtime
from bots.account_check import day_of, lost_today
from bots.domain.bot import BotStatus
from bots.domain.entries import NoticeKind
from bots.domain.events import EventKind
from market.domain.numbers import plain
from risk.domain import Code
from risk.models import AccountLimits, DailyLossStop
from tradingagent.accounts.services import SYSTEM, audit


def stop_lost_days(owner_ids: Collection[int]) -> int:
    """Stop the day of each of these users, and everybody's, whose bots have lost what they may; how many were
    stopped. Three queries for each that has such a limit."""
    now, stopped = runtime.clock().now(), 0
    limited = AccountLimits.objects.filter(max_daily_loss__isnull=False)
    for row in limited.filter(Q(user__in=owner_ids) | Q(user=None)).select_related("user"):
        if DailyLossStop.objects.filter(user=row.user, day=day_of(row, now)).exists():
            continue
        lost = lost_today(row.user_id, now)
        if row.max_daily_loss is not None and lost >= row.max_daily_loss:
            stopped += _stop(row, lost, now)
    return stopped


def _stop(row: AccountLimits, lost: Decimal, now: datetime) -> bool:
    """Stop this day, once, and tell every bot that would have opened something."""
    code = Code.OPERATOR_LIMIT if row.user is None else Code.ACCOUNT_DAILY_LOSS
    told = {"kind": str(NoticeKind.BREAKER_TRIPPED), "symbol": "", "text": str(code)}
    with transaction.atomic():
        stop, is_new = DailyLossStop.objects.get_or_create(
            user=row.user, day=day_of(row, now), defaults={"lost": lost, "at": now}
        )
        if not is_new:
            return False
        audit(SYSTEM, "stop_lost_day", stop, after={"lost": plain(lost), "day": str(stop.day)})
        bots = models.Bot.objects.filter(status=BotStatus.ACTIVE)
        if row.user is not None:
            bots = bots.filter(owner=row.user)
        for bot_id in bots.order_by("pk").values_list("pk", flat=True):
            events.emit(bot_id, [(now, EventKind.NOTICE, told)])
    return True
