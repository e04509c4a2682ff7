"""The equity curve, thinned for a chart without losing what a chart is looked at for.

The span is cut into equal buckets, and of each its first, last, lowest and highest point stay: real
points, never means. The rows are streamed once, in order; no more than four of each bucket are held,
so memory is bounded however many there are. The trap avoided: every n-th point, which hides a drawdown.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import groupby

from django.db.models import Count, Max, Min

from bots import models

MOST_POINTS = 500
KEPT_OF_A_BUCKET = 4
CHUNK = 5000

Point = tuple[datetime, Decimal]
"""(when, equity in the bot's currency)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityOf:
    """A bot's equity between two instants, oldest first; `of`: how many points are stored there."""

    points: tuple[Point, ...]
    of: int


def equity_of(
    bot: models.Bot,
    start: datetime | None = None,
    end: datetime | None = None,
    points: int = MOST_POINTS,
) -> EquityOf:
    """At most `points` (4 to 500) of the bot's equity from `start` up to, not including, `end`; None: from
    the first, to the last. Two queries."""
    rows = models.EquityPoint.objects.filter(bot=bot)
    if start is not None:
        rows = rows.filter(at__gte=start)
    if end is not None:
        rows = rows.filter(at__lt=end)
    span = rows.aggregate(count=Count("pk"), first=Min("at"), last=Max("at"))
    most = max(KEPT_OF_A_BUCKET, min(points, MOST_POINTS))
    stored = rows.order_by("at").values_list("at", "equity").iterator(chunk_size=CHUNK)
    if span["count"] <= most:
        return EquityOf(points=tuple(stored), of=span["count"])
    width = (span["last"] - span["first"]) / (most // KEPT_OF_A_BUCKET) + timedelta(microseconds=1)
    return EquityOf(points=tuple(thinned(stored, span["first"], width)), of=span["count"])


def thinned(points: Iterable[Point], first: datetime, width: timedelta) -> Iterator[Point]:
    """The first, lowest, highest and last point of every `width` since `first`, each once, in order."""
    for _, bucket in groupby(points, key=lambda point: (point[0] - first) // width):
        yield from sorted(_corners(bucket))


def _corners(bucket: Iterator[Point]) -> set[Point]:
    begins = lowest = highest = last = next(bucket)
    for last in bucket:
        if last[1] < lowest[1]:
            lowest = last
        elif last[1] > highest[1]:
            highest = last
    return {begins, lowest, highest, last}
