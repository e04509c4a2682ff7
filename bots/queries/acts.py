"""What a bot did by its own rules between two decisions, as its events tell it."""

from collections.abc import Sequence
from datetime import datetime

from bots import models
from bots.domain.entries import NoticeKind
from bots.domain.events import EventKind

LOOKED_BACK = 1000
"""Events: where the last act lies further back, it is not looked for."""


def own_acts(bot: models.Bot, limit: int) -> Sequence[tuple[datetime, str, str]]:
    """The last moves of stops, rungs and time stops as (when, symbol, what), the latest first. One query."""
    told = models.Event.objects.filter(
        bot=bot,
        sequence__gt=bot.event_sequence - LOOKED_BACK,
        kind=EventKind.NOTICE,
        payload__kind=NoticeKind.MANAGED_EXIT,
    )
    found = told.order_by("-sequence").values_list("at", "payload__symbol", "payload__text")
    return tuple(found[:limit])
