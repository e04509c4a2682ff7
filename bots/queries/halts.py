"""Which halts are in force, and over whom."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q

from bots import models
from tradingagent.accounts.access import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltLine:
    """A halt in force. `scope` is BOT, USER or ALL; `bot_id` is set for the first."""

    scope: str
    bot_id: UUID | None
    reason: str
    halted_by: str
    halted_at: datetime


def halts_over(user: Any) -> tuple[HaltLine, ...]:
    """The halts in force that cover a bot of the user, the latest first. One query."""
    mine = visible(models.Bot, user)
    covers = Q(scope=models.HaltScope.ALL) | Q(user=user.pk) | Q(bot__in=mine)
    found = models.TradingHalt.objects.filter(covers, resumed_at__isnull=True)
    return tuple(
        HaltLine(
            scope=row.scope,
            bot_id=row.bot_id,
            reason=row.reason,
            halted_by=row.halted_by,
            halted_at=row.halted_at,
        )
        for row in found.order_by("-halted_at")
    )
