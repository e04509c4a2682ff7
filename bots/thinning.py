"""Equity that is old is kept hour by hour instead of minute by minute: the setting EQUITY_DAYS, nothing for ever.

Of an hour its first, last, lowest and highest point stay, and the two of its worst fall: real points, never
means. So what is read off them stays exact to the last digit: the equity at every full hour, the range of any
span of whole hours, and the worst fall from a peak, which lies either within one hour or between the highest
point of one and the lowest of another. No breaker reads them; theirs is a fold of the ledger. The trap avoided:
every n-th point, which hides a drawdown.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

from django.conf import settings

from bots import models

BOTS_AT_ONCE: Final = 100
POINTS_AT_ONCE: Final = 2000
"""Read of one bot in one sweep."""

Point = tuple[datetime, Decimal]
"""(when, equity)."""

_thinned: dict[UUID, datetime] = {}
"""Up to which hour each bot's points were thinned by this process; another begins anew, and finds little."""


def thin(now: datetime) -> int:
    """Thin points that are old enough, of some bots; how many went. Harmless twice, and at once."""
    if settings.EQUITY_DAYS <= 0:
        return 0
    until = _hour_of(now - timedelta(days=settings.EQUITY_DAYS))
    bots = models.Bot.objects.filter(created_at__lt=until).values_list("pk", flat=True)
    behind = [pk for pk in bots if (done := _thinned.get(pk)) is None or done < until]
    return sum(_thin_bot(pk, until) for pk in behind[:BOTS_AT_ONCE])


def forget() -> None:
    """Remember nothing: for a process whose database was emptied."""
    _thinned.clear()


def _thin_bot(bot_id: UUID, until: datetime) -> int:
    stored = models.EquityPoint.objects.filter(bot=bot_id)
    rows = stored.filter(at__lt=until)
    if (done := _thinned.get(bot_id)) is not None:
        rows = rows.filter(at__gte=done)
    points = list(rows.order_by("at").values_list("at", "equity")[:POINTS_AT_ONCE])
    if len(points) == POINTS_AT_ONCE:  # the last hour may not be whole
        until = _hour_of(points[-1][0])
        points = [point for point in points if point[0] < until]
    superfluous = {at for at, _ in points} - {at for at, _ in kept(points)}
    _thinned[bot_id] = until
    return stored.filter(at__in=superfluous).delete()[0] if superfluous else 0


def kept(points: Iterable[Point]) -> Sequence[Point]:
    """Those of some points, which are in order of time, that stay."""
    return [
        point
        for _, hour in groupby(points, key=lambda point: _hour_of(point[0]))
        for point in sorted(_telling(list(hour)))
    ]


def _telling(hour: Sequence[Point]) -> set[Point]:
    """First, last, lowest and highest, and the peak and the bottom of the worst fall. Equity that is not
    above zero falls no further in a measure that is a share of the peak."""
    lowest = min(hour, key=lambda point: point[1])
    highest = max(hour, key=lambda point: point[1])
    peak, worst = hour[0], Decimal(0)
    fall: tuple[Point, ...] = ()
    for point in hour:
        if point[1] > peak[1]:
            peak = point
        elif peak[1] > 0 and point[1] / peak[1] - 1 < worst:
            worst, fall = point[1] / peak[1] - 1, (peak, point)
    return {hour[0], hour[-1], lowest, highest, *fall}


def _hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
