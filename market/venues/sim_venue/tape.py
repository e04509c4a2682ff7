"""What there is to trade with: prices and depth for one symbol at one moment.

An offer is (price, quantity or None for any amount). Prices that the slippage model makes are rounded
to the tick against the taker; a recorded price that needs no model is taken as it is.
"""

from datetime import datetime
from decimal import Decimal

from market.domain.data import OrderBook, Quote, from_milliseconds
from market.domain.enums import OrderSide
from market.domain.instruments import Instrument
from market.domain.numbers import ONE, ZERO, ceil_to_tick, floor_to_tick
from market.venues.sim_venue.moments import Bar, BarMoment
from market.venues.sim_venue.settings import SimSettings, VolumeUnit

Offer = tuple[Decimal, Decimal | None]


def slipped(price: Decimal, side: OrderSide, fraction: Decimal, tick: Decimal) -> Decimal:
    """What a taker pays: price × (1 ± fraction), rounded to the tick against them, never below one tick."""
    if not fraction:
        return price
    if side is OrderSide.BUY:
        return ceil_to_tick(price * (ONE + fraction), tick)
    return max(floor_to_tick(price * (ONE - fraction), tick), tick)


def is_beyond(price: Decimal, side: OrderSide, limit: Decimal) -> bool:
    """True when a price is worse than a limit."""
    return price > limit if side is OrderSide.BUY else price < limit


def capped(price: Decimal, side: OrderSide, limit: Decimal | None) -> Decimal:
    """A taker's price, never worse than the limit."""
    if limit is None or not is_beyond(price, side, limit):
        return price
    return limit


class BarTape:
    """A bar as a place to trade. A bar without volume offers nothing; `depth` None is any amount.

    `opened_at` is the bar's open in ms; what happens in a bar counts as alive `since` then.
    """

    __slots__ = ("_slip", "at", "bar", "depth", "instrument", "is_silent", "opened_at", "since")

    def __init__(
        self, instrument: Instrument, moment: BarMoment, bar: Bar, settings: SimSettings
    ) -> None:
        self.instrument = instrument
        self.bar = bar
        self.opened_at = self.since = moment.opened_at
        self.at: datetime = from_milliseconds(moment.opened_at)
        self.is_silent = not bar.has_volume
        self.depth = self._depth(settings)
        self._slip = settings.bar_slip

    def _depth(self, settings: SimSettings) -> Decimal | None:
        if self.is_silent:
            return ZERO
        if settings.max_volume_fraction is None:
            return None
        size = self.instrument.contract_size
        if settings.volume_unit is VolumeUnit.QUOTE:
            size *= self.bar.open
        return self.instrument.round_quantity(self.bar.volume * settings.max_volume_fraction / size)

    def offers(self, side: OrderSide, price: Decimal, limit: Decimal | None = None) -> list[Offer]:
        """What a taker gets at a price of the path; nothing when it is worse than the limit."""
        if self.depth == 0 or (limit is not None and is_beyond(price, side, limit)):
            return []
        taken_at = slipped(price, side, self._slip, self.instrument.price_step)
        return [(capped(taken_at, side, limit), self.depth)]

    def maker_offers(self, side: OrderSide, price: Decimal) -> list[Offer]:  # noqa: ARG002
        """What a resting limit gets when the path reaches it."""
        return [] if self.depth == 0 else [(price, self.depth)]

    def take(self, quantity: Decimal) -> None:
        """Quantity that is gone for others in this bar."""
        if self.depth is not None:
            self.depth -= quantity


class QuoteTape:
    """A quote, or the book behind it, as a place to trade."""

    __slots__ = (
        "_slip",
        "at",
        "book",
        "instrument",
        "is_silent",
        "opened_at",
        "quote",
        "since",
        "taken",
    )

    def __init__(
        self,
        instrument: Instrument,
        at: int,
        quote: Quote,
        book: OrderBook | None,
        settings: SimSettings,
    ) -> None:
        self.instrument = instrument
        self.quote = quote
        self.book = book
        self.opened_at = self.since = at
        self.at: datetime = from_milliseconds(at)
        self.is_silent = False
        self.taken = ZERO
        self._slip = settings.quote_slip

    def offers(self, side: OrderSide, price: Decimal, limit: Decimal | None = None) -> list[Offer]:  # noqa: ARG002
        """Levels of the book no worse than the limit, or bid and ask; the path's price plays no part."""
        buys = side is OrderSide.BUY
        if self.book is None:
            best = self.quote.ask if buys else self.quote.bid
            if limit is not None and is_beyond(best, side, limit):
                return []
            taken_at = slipped(best, side, self._slip, self.instrument.price_step)
            return [(capped(taken_at, side, limit), None)]
        gone = self.taken
        offers: list[Offer] = []
        for level in self.book.asks if buys else self.book.bids:
            if level.price <= 0 or (limit is not None and is_beyond(level.price, side, limit)):
                break
            left = level.quantity - gone
            gone = max(ZERO, -left)
            left = self.instrument.round_quantity(max(left, ZERO))
            if left:
                offers.append((level.price, left))
        return offers

    def maker_offers(self, side: OrderSide, price: Decimal) -> list[Offer]:
        """What meets a resting limit, at its own price: as much as the book now offers through it."""
        if self.book is None:
            best = self.quote.ask if side is OrderSide.BUY else self.quote.bid
            return [] if is_beyond(best, side, price) else [(price, None)]
        through = sum((depth for _, depth in self.offers(side, price, price) if depth), ZERO)
        return [(price, through)] if through else []

    def take(self, quantity: Decimal) -> None:
        """Quantity that is gone for others at this quote."""
        self.taken += quantity


Tape = BarTape | QuoteTape
