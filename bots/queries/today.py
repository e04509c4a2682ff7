"""What the owner's day has brought so far, as a sum that adds up exactly.

The net is equity now less equity at local midnight, money paid in or out left aside. Realised, fees, funding,
model and adjustments are the ledger's entries since then; the change in what is open is the rest, so the
terms make the net to the last digit. The trap avoided: a day that turned while nothing was held and nobody
looked; such a bot's last equity is that of midnight.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from uuid import UUID
from zoneinfo import ZoneInfo

from bots import models
from bots.domain.entries import EntryKind
from bots.queries.worth import Stand
from market.domain.numbers import ZERO

MOVED = frozenset({EntryKind.DEPOSIT, EntryKind.WITHDRAWAL})
"""Money that was brought or taken: neither won nor lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The day so far in one currency, signed: what is paid is below zero. `start`: equity at midnight, with
    what was paid in since; `net` = realized + fees + funding + model + adjustments + open_change."""

    start: Decimal = ZERO
    net: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    funding: Decimal = ZERO
    model: Decimal = ZERO
    adjustments: Decimal = ZERO

    @property
    def open_change(self) -> Decimal:
        """How much more, or less, is open than at midnight."""
        booked = self.realized + self.fees + self.funding + self.model + self.adjustments
        return self.net - booked

    @property
    def return_fraction(self) -> Decimal | None:
        return self.net / self.start if self.start > 0 else None

    def __add__(self, other: "Today") -> "Today":
        return Today(
            **{
                name: getattr(self, name) + getattr(other, name)
                for name in Today.__dataclass_fields__
            }
        )


def midnight(time_zone: str, now: datetime) -> datetime:
    """When the day began that it is in this zone, in UTC."""
    zone = ZoneInfo(time_zone)
    return datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)


def today_of(stands: Sequence[Stand], since: datetime) -> Mapping[UUID, Today]:
    """Each bot's day since local midnight, at the worth that it stands with. One query."""
    booked: dict[UUID, dict[EntryKind, Decimal]] = defaultdict(lambda: defaultdict(lambda: ZERO))
    entries = models.LedgerEntry.objects.filter(
        bot__in=[stand.bot.pk for stand in stands], at__gte=since
    )
    for bot_id, kind, amount in entries.values_list("bot_id", "kind", "amount").iterator():
        booked[bot_id][EntryKind(kind)] += amount
    return {stand.bot.pk: _today(stand, booked[stand.bot.pk], since) for stand in stands}


def _today(stand: Stand, booked: Mapping[EntryKind, Decimal], since: datetime) -> Today:
    moved = sum((booked[kind] for kind in MOVED), ZERO)
    start = _at_midnight(stand.bot.state, since) + moved
    return Today(
        start=start,
        net=stand.worth.equity - start,
        realized=booked[EntryKind.REALIZED_PNL],
        fees=booked[EntryKind.FEE],
        funding=booked[EntryKind.FUNDING],
        model=booked[EntryKind.LLM_COST],
        adjustments=booked[EntryKind.ADJUSTMENT],
    )


def _at_midnight(state: models.BotState, since: datetime) -> Decimal:
    """Equity when the day began: nothing for a bot that was opened since; what its day opened with, if it was
    looked at since; else what it was last worth."""
    if state.opened_at >= since:
        return ZERO
    was_seen = state.equity_at >= since and state.day_open_nav
    equity: Decimal = state.day_open_nav if was_seen else state.equity
    return equity
