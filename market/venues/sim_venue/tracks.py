"""How far the venue has walked each symbol's bars, and its mark series laid on the same times.

A window of a longer series is recognised by its base, so a replay is aligned once per run; on paper the
series are new each time and short, and the place is found by time.
"""

from collections.abc import Callable, Iterator

import numpy as np

from market.domain.data import CandleSeries, FundingSeries, InstrumentSnapshot
from market.errors import VenueUnavailable
from market.venues.sim_venue.moments import Bar, FundingDue
from market.venues.sim_venue.settings import MILLISECOND


class Track:
    """One symbol's bars: `next` is the first index not walked; `event` and `event_at` are where the walk
    stops next."""

    __slots__ = (
        "_mark_base",
        "_until",
        "event",
        "event_at",
        "mark",
        "next",
        "rates",
        "symbol",
        "trade",
    )

    def __init__(self, symbol: str, until: int) -> None:
        self.symbol = symbol
        self._until = until
        self.next = 0
        self.trade: CandleSeries | None = None
        self.mark: CandleSeries | None = None
        self.rates: FundingSeries | None = None
        self._mark_base: CandleSeries | None = None
        self.event = 0
        self.event_at = 0

    def follow(self, item: InstrumentSnapshot, is_exposed: Callable[[str], bool]) -> int:
        """Lay the track on a snapshot's bars; returns where they end. Raises VenueUnavailable when bars are
        missing between the last one walked and the first one given, and something is held or rests."""
        bars, marks = item.bars, item.mark_bars
        if bars.base is not self.trade:
            self._until = self.until
            if bars.end and 0 <= self._until < bars.opened_at[0] and is_exposed(self.symbol):
                raise VenueUnavailable(
                    f"{self.symbol}: no candles from {self._until} to {int(bars.opened_at[0])} ms; "
                    "what happened to the position is unknown"
                )
            self.trade = bars.base
            frame = bars.timeframe // MILLISECOND
            self.next = int(np.searchsorted(bars.opened_at, self._until - frame + 1, side="left"))
            self._mark_base = self.mark = None
        mark_base = None if marks is None else marks.base
        if mark_base is not self._mark_base:
            self._mark_base = mark_base
            self.mark = None if mark_base is None else aligned_marks(self.trade, mark_base)
        self.rates = item.funding
        return bars.end

    @property
    def until(self) -> int:
        """The close of the last bar walked, ms; −1 before the first."""
        if self.trade is None or not self.next:
            return self._until
        closed = int(self.trade.opened_at[self.next - 1]) + self.trade.timeframe // MILLISECOND
        return max(closed, self._until)  # a snapshot older than the last one takes nothing back

    @property
    def series(self) -> CandleSeries:
        """The bars followed. Raises VenueUnavailable before the first snapshot."""
        if self.trade is None:
            raise VenueUnavailable(f"{self.symbol}: no bars seen yet")
        return self.trade

    def bar(self, index: int) -> Bar:
        return Bar(self.series, index, self.mark)

    def opened_at(self, index: int) -> int:
        """When a bar opened, ms."""
        return int(self.series.opened_at[index])

    def seek(self, at: int, stop: int) -> int:
        """The first index not walked whose bar opens at or after `at`, else `stop`."""
        ahead = self.series.opened_at[self.next : stop]
        return self.next + int(np.searchsorted(ahead, at, side="left"))

    def dues(self, index: int, after: int) -> Iterator[FundingDue]:
        """Rates settled after a time and at or before the open of bar `index`, with their mark prices: the
        open of the first bar at or after that time."""
        if self.rates is None:
            return
        opened_at = self.series.opened_at
        marks = self.series if self.mark is None else self.mark
        for due, rate in self.rates.between(after, int(opened_at[index])):
            place = int(np.searchsorted(opened_at[: index + 1], due, side="left"))
            yield FundingDue(
                symbol=self.symbol, at=due, rate=rate, mark=marks.price(marks.open[place])
            )


def aligned_marks(trade: CandleSeries, mark: CandleSeries) -> CandleSeries:
    """The mark series on the times of the trades; where a mark candle is missing, the trade candle."""
    if len(mark) == len(trade) and bool(np.array_equal(mark.opened_at, trade.opened_at)):
        return mark
    exponent = min(trade.price_exponent, mark.price_exponent)
    mark_scale = 10 ** (mark.price_exponent - exponent)
    trade_scale = 10 ** (trade.price_exponent - exponent)
    places = np.searchsorted(mark.opened_at, trade.opened_at)
    inside = np.minimum(places, max(len(mark) - 1, 0))
    known = (
        mark.opened_at[inside] == trade.opened_at if len(mark) else np.zeros(len(trade), dtype=bool)
    )
    columns = {
        name: np.where(
            known,
            getattr(mark, name)[inside] * mark_scale if len(mark) else 0,
            getattr(trade, name) * trade_scale,
        )
        for name in ("open", "high", "low", "close")
    }
    return CandleSeries(
        timeframe=trade.timeframe,
        opened_at=trade.opened_at.copy(),
        open=columns["open"],
        high=columns["high"],
        low=columns["low"],
        close=columns["close"],
        volume=trade.volume.copy(),
        price_exponent=exponent,
        volume_exponent=trade.volume_exponent,
    )
