"""What the venue is told: the market at a moment, and the commands.

A bar is a view on columns: Decimals are made of the few values that somebody asks for. Events inside
a bar are stamped with its last millisecond, so a record never claims to have known a bar at its open.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from market.domain.data import CandleSeries, OrderBook, Quote, from_milliseconds, to_milliseconds
from market.domain.enums import FillReason
from market.domain.orders import Order

IN_BAR = timedelta(milliseconds=1)
"""How long before a bar's close its inner events are stamped."""

Prices = tuple[Decimal, Decimal]
"""(last, mark)."""


class Bar:
    """One closed candle of trades and, where recorded, of the mark price at the same index."""

    __slots__ = ("index", "mark", "trade")

    def __init__(self, trade: CandleSeries, index: int, mark: CandleSeries | None = None) -> None:
        self.trade = trade
        self.index = index
        self.mark = trade if mark is None else mark

    @property
    def open(self) -> Decimal:
        return self.trade.price(self.trade.open[self.index])

    @property
    def high(self) -> Decimal:
        return self.trade.price(self.trade.high[self.index])

    @property
    def low(self) -> Decimal:
        return self.trade.price(self.trade.low[self.index])

    @property
    def close(self) -> Decimal:
        return self.trade.price(self.trade.close[self.index])

    @property
    def volume(self) -> Decimal:
        return Decimal(int(self.trade.volume[self.index])).scaleb(self.trade.volume_exponent)

    @property
    def has_volume(self) -> bool:
        return bool(self.trade.volume[self.index] > 0)

    @property
    def is_priced(self) -> bool:
        """False for a bar whose prices are missing (not above zero): nothing may fill on it."""
        if self.mark is self.trade:
            return bool(self.trade.low[self.index] > 0)
        return bool(self.trade.low[self.index] > 0 and self.mark.low[self.index] > 0)

    @property
    def closes(self) -> Prices:
        """(last, mark) at the close."""
        last = self.close
        return (last, last if self.mark is self.trade else self.mark_close)

    @property
    def mark_open(self) -> Decimal:
        return self.mark.price(self.mark.open[self.index])

    @property
    def mark_high(self) -> Decimal:
        return self.mark.price(self.mark.high[self.index])

    @property
    def mark_low(self) -> Decimal:
        return self.mark.price(self.mark.low[self.index])

    @property
    def mark_close(self) -> Decimal:
        return self.mark.price(self.mark.close[self.index])


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingDue:
    """A settled rate: `at` in ms, `mark` the mark price of that instant."""

    symbol: str
    at: int
    rate: Decimal
    mark: Decimal


class BarMoment:
    """One closed bar of every symbol that has one at `opened_at` (ms), in name order.

    `at` (ms) is now at the venue: the bar's close, or later when nothing newer is known.
    """

    __slots__ = ("_prices", "at", "bars", "closes_at", "funding", "opened_at")

    def __init__(
        self,
        *,
        opened_at: int,
        timeframe: timedelta,
        bars: Mapping[str, Bar],
        funding: tuple[FundingDue, ...] = (),
        at: int | None = None,
    ) -> None:
        self.opened_at = opened_at
        self.closes_at = opened_at + timeframe // timedelta(milliseconds=1)
        self.bars = bars if len(bars) < 2 else dict(sorted(bars.items()))
        self.funding = funding
        self.at = self.closes_at if at is None else at
        self._prices: dict[str, Prices | None] = {}

    @classmethod
    def instant(cls, at: int) -> "BarMoment":
        """An instant (ms) of which no price is known."""
        return cls(opened_at=at, timeframe=timedelta(0), bars={})

    @property
    def last_instant(self) -> datetime:
        """The stamp of what happens inside the bar."""
        return from_milliseconds(self.closes_at) - IN_BAR

    def prices(self, symbol: str) -> Prices | None:
        """Last trade and mark at the close, or None when they are missing."""
        if symbol not in self._prices:
            bar = self.bars.get(symbol)
            self._prices[symbol] = bar.closes if bar is not None and bar.is_priced else None
        return self._prices[symbol]


class QuoteMoment:
    """The live market of an instant: quotes, and books where there are any."""

    __slots__ = ("at", "books", "quotes")

    def __init__(
        self, *, at: int, quotes: Mapping[str, Quote], books: Mapping[str, OrderBook] | None = None
    ) -> None:
        self.at = at
        self.quotes = {symbol: quote for symbol, quote in quotes.items() if _is_priced(quote)}
        self.books = books or {}

    @classmethod
    def of(cls, *quotes: Quote, books: Mapping[str, OrderBook] | None = None) -> "QuoteMoment":
        return cls(
            at=max(to_milliseconds(quote.at) for quote in quotes),
            quotes={quote.symbol: quote for quote in quotes},
            books=books,
        )

    def prices(self, symbol: str) -> Prices | None:
        """Last trade and mark, or None when they are missing."""
        quote = self.quotes.get(symbol)
        return (quote.last, quote.mark) if quote is not None else None


def _is_priced(quote: Quote) -> bool:
    return quote.bid > 0 and quote.ask > 0 and quote.last > 0 and quote.mark > 0


Moment = BarMoment | QuoteMoment


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOrder:
    """Send an order with the stop and target that live from its first fill."""

    order: Order
    attached: tuple[Order, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel a live order; of an ended one the answer says what became of it."""

    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """The market moved to the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMargin:
    """Put cash behind an open position. The wallet does not change, so nothing is reported."""

    symbol: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAll:
    """The data ends here: close every position at these prices, cancel everything that lives."""

    prices: Mapping[str, Decimal] = field(default_factory=dict)
    reason: FillReason = FillReason.END_OF_DATA


Command = SubmitOrder | CancelOrder | Advance | AddMargin | CloseAll
