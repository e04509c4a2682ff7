"""Equity of several bots at equal steps, for lines that are compared: as much work for a year as for a day.

Each value is the last one stored at or before its step, found through the index: real points, at the cost of
one look-up each. What a bot did between two steps is on its own page (`equity`). The trap avoided: reading
every point of every bot, which grows with time and with the number of bots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery

from bots import models

MOST_STEPS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """`values[bot]`: its equity at each of `at`, oldest first; None before its first point."""

    at: tuple[datetime, ...]
    values: dict[UUID, tuple[Decimal | None, ...]]


def curves_of(
    bots: Sequence[UUID], start: datetime, end: datetime, steps: int = MOST_STEPS
) -> Curves:
    """The bots' equity at `steps` + 1 equal steps (1 to 96) from `start` to `end`. One query."""
    count = max(1, min(steps, MOST_STEPS))
    width = max((end - start) / count, timedelta(microseconds=1))
    at = (*(start + index * width for index in range(count)), end)
    points = models.EquityPoint.objects.filter(bot=OuterRef("pk")).order_by("-at")
    wanted: dict[str, Any] = {
        f"step_{index}": Subquery(points.filter(at__lte=instant).values("equity")[:1])
        for index, instant in enumerate(at)
    }
    rows = models.Bot.objects.filter(pk__in=bots).annotate(**wanted).values_list("pk", *wanted)
    return Curves(at=at, values={pk: tuple(values) for pk, *values in rows})
