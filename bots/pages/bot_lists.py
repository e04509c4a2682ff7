"""Bots as rows of a list: by kind of money, each with its day, what it did last and how its equity went."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID

from django.urls import reverse

from bots import queries
from bots.domain.bot import STATUS_MOVES, BotStatus
from bots.models import CycleStatus
from bots.pages.stories import Story, story_of
from bots.queries import BotLine, Today, Total

SPARK: Final = timedelta(days=1)
SPARK_STEPS: Final = 24
_TOP, _HEIGHT, _MIDDLE = Decimal(2), Decimal(20), Decimal(12)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A link to a question about a bot."""

    name: str
    href: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBot:
    """A bot in a list. `spark`: its equity of the last 24 hours as the points of a small line. `last`: what it
    did in its latest cycle, None where there was none, or it runs."""

    line: BotLine
    today: Today | None = None
    spark: str = ""
    last: Story | None = None

    @property
    def next_step(self) -> Step | None:
        """What may be asked of it from the list: to pause, or to be put away; None for no such thing."""
        moves = STATUS_MOVES[self.line.status]
        if BotStatus.PAUSED in moves:
            return Step(name="Pause", href=reverse("pause_bot", args=[self.line.id]))
        if BotStatus.ARCHIVED in moves and not self.line.open_positions:
            return Step(name="Archive", href=reverse("archive_bot", args=[self.line.id]))
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotGroup:
    """Bots of one kind of money."""

    total: Total
    bots: tuple[ShownBot, ...]


def groups_of(lines: Sequence[BotLine], shown: Mapping[UUID, ShownBot]) -> tuple[BotGroup, ...]:
    """The bots by kind of money, in the order of pages."""
    return tuple(
        BotGroup(
            total=total,
            bots=tuple(shown[line.id] for line in lines if line.money == total.money),
        )
        for total in queries.by_rank(queries.totals_of(lines))
    )


def with_sparks(
    lines: Sequence[BotLine], days: Mapping[UUID, Today], now: datetime
) -> Mapping[UUID, ShownBot]:
    """The bots with their day and the way their equity went. One query."""
    ends = now.replace(second=0, microsecond=0)
    begins = max(ends - SPARK, min(line.opened_at for line in lines))
    ids = [line.id for line in lines]
    drawn = queries.curves_of(ids, min(begins, ends), ends, steps=SPARK_STEPS).values
    return {
        line.id: ShownBot(
            line=line,
            today=days[line.id],
            spark=spark([*drawn.get(line.id, ()), line.equity]),
        )
        for line in lines
    }


def with_last_stories(lines: Sequence[BotLine]) -> Mapping[UUID, ShownBot]:
    """The bots with what each did last. One query."""
    cycles = {line.id: line.last_cycle for line in lines if line.last_cycle is not None}
    orders = queries.orders_in(cycle.id for cycle in cycles.values() if cycle.order_ids)
    told = {
        bot_id: story_of(bot_id, cycle, orders.get(cycle.id, ()))
        for bot_id, cycle in cycles.items()
        if cycle.status != CycleStatus.RUNNING
    }
    return {line.id: ShownBot(line=line, last=told.get(line.id)) for line in lines}


def spark(values: Sequence[Decimal | None]) -> str:
    """Points of a line in a box of 100 × 24, the highest value at the top; "" for fewer than two values."""
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return ""
    lowest, highest = min(value for _, value in known), max(value for _, value in known)
    first, last = known[0][0], known[-1][0]
    span = highest - lowest

    def point(index: int, value: Decimal) -> str:
        x = Decimal(100) * (index - first) / (last - first)
        y = _TOP + (highest - value) / span * _HEIGHT if span else _MIDDLE
        return f"{x:.0f},{y:.1f}"

    return " ".join(point(index, value) for index, value in known)
