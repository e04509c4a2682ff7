"""What several bots hold, each position with its plan, its price and whether its stop rests at the venue.

It goes on from rows that were read with the bots (`worth`), so that positions and totals of one page agree.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from bots import models
from bots.domain.entries import ExitPlan
from bots.domain.stored_book import book_from
from bots.queries.holdings import HeldPosition, held_positions
from bots.queries.worth import Prices, Stand
from market.domain.enums import OrderPurpose, OrderStatus
from market.domain.instruments import Instrument
from market.instrument_rows import instrument_of
from market.models import Instrument as InstrumentRow

RESTING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED, OrderStatus.TRIGGERED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPosition:
    """A position of one of several bots. `priced_at`: when its mark price was seen, None where there is
    none. `stop_rests`: an order for its stop is known to rest at the venue."""

    bot_id: UUID
    bot: str
    currency: str
    held: HeldPosition
    priced_at: datetime | None
    stop_rests: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AtStake:
    """What several bots hold, by bot and symbol in name order, and how many entries of theirs may fill."""

    positions: tuple[OpenPosition, ...] = ()
    entries: int = 0


def at_stake(stands: Sequence[Stand], prices: Prices) -> AtStake:
    """What these bots hold and have waiting, dust left out. Three queries."""
    holding = [stand for stand in stands if stand.held]
    orders = models.Order.objects.filter(
        bot__in=[stand.bot.pk for stand in stands], status__in=models.LIVING_STATUSES
    ).values_list("bot_id", "symbol", "purpose", "status")
    stops: set[tuple[UUID, str]] = set()
    entries = 0
    for bot_id, symbol, purpose, status in orders:
        entries += purpose == OrderPurpose.ENTRY
        if purpose == OrderPurpose.STOP and status in RESTING:
            stops.add((bot_id, symbol))
    plans, instruments = _plans(holding), _instruments(holding)
    return AtStake(
        positions=tuple(
            one
            for stand in holding
            for one in _positions(stand, prices, plans[stand.bot.pk], instruments, stops)
        ),
        entries=entries,
    )


def _plans(stands: Iterable[Stand]) -> Mapping[UUID, Mapping[str, ExitPlan]]:
    books = models.BotState.objects.filter(bot__in=[stand.bot.pk for stand in stands])
    found: dict[UUID, Mapping[str, ExitPlan]] = defaultdict(dict)
    for bot_id, text in books.values_list("bot_id", "book"):
        found[bot_id] = book_from(text, {}).plans
    return found


def _instruments(stands: Iterable[Stand]) -> Mapping[tuple[str, str], Instrument]:
    wanted = {(stand.bot.venue, one.symbol) for stand in stands for one in stand.held}
    listed = InstrumentRow.objects.filter(
        venue__in={venue for venue, _ in wanted}, symbol__in={symbol for _, symbol in wanted}
    )
    return {(row.venue, row.symbol): instrument_of(row) for row in listed}


def _positions(
    stand: Stand,
    prices: Prices,
    plans: Mapping[str, ExitPlan],
    instruments: Mapping[tuple[str, str], Instrument],
    stops: set[tuple[UUID, str]],
) -> Iterable[OpenPosition]:
    venue = stand.bot.venue
    rows = [one for one in stand.held if not one.is_dust]
    seen = {one.symbol: prices[venue, one.symbol] for one in rows if (venue, one.symbol) in prices}
    marks: dict[str, Decimal] = {symbol: price.mark_price for symbol, price in seen.items()}
    known = {
        one.symbol: instruments[venue, one.symbol]
        for one in rows
        if (venue, one.symbol) in instruments
    }
    for held in held_positions(rows, plans, known, marks):
        price = seen.get(held.symbol)
        yield OpenPosition(
            bot_id=stand.bot.pk,
            bot=stand.bot.name,
            currency=stand.bot.currency,
            held=held,
            priced_at=None if price is None else price.at,
            stop_rests=(stand.bot.pk, held.symbol) in stops,
        )
