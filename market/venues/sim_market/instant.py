"""One instant of the simulated market: where the open minute stands, and the book around it.

The path inside a minute visits the bar's own extremes, so that what was seen of it on the way is what
its closed bar says. Pure functions of the bar and of the minute's own random numbers.
"""

from dataclasses import replace
from decimal import Decimal
from random import Random

from market.domain.data import BookLevel, Candle, CandleSeries, OrderBook
from market.domain.instruments import Instrument
from market.venues.sim_market.days import ASSETS

LEVELS = 10


class InsideMinute:
    """The path inside one bar: open, one extreme, the other, close, at times drawn by the minute.

    `fraction` is how much of the minute has passed, from 0 up to but not including 1; `price` the
    price then, in the series' integer units.
    """

    def __init__(self, random: Random, bars: CandleSeries, index: int, fraction: float) -> None:
        self._bars, self._index, self._fraction = bars, index, fraction
        open_, close = int(bars.open[index]), int(bars.close[index])
        extremes = [int(bars.low[index]), int(bars.high[index])]
        early, late = sorted((random.uniform(0.05, 0.95), random.uniform(0.05, 0.95)))
        if random.random() < 0.5:
            extremes.reverse()
        points = [(0.0, open_), (early, extremes[0]), (late, extremes[1]), (1.0, close)]
        ahead = next(place for place, (at, _) in enumerate(points) if at > fraction)
        (at, price), (until, target) = points[ahead - 1 : ahead + 1]
        self.price = price + round((target - price) * (fraction - at) / (until - at))
        self._seen = [*(value for _, value in points[:ahead]), self.price]

    def candle(self) -> Candle:
        """Return the bar as far as it has come."""
        bars, index = self._bars, self._index
        traded = int(bars.volume[index] * self._fraction)
        return Candle(
            opened_at=bars.opened(index),
            open=bars.price(self._seen[0]),
            high=bars.price(max(self._seen)),
            low=bars.price(min(self._seen)),
            close=bars.price(self.price),
            volume=Decimal(traded).scaleb(bars.volume_exponent),
            is_closed=False,
        )


def joined(before: Candle | None, moving: Candle) -> Candle:
    """Return the open candle of a longer timeframe: its closed minutes and the moving one."""
    if before is None:
        return moving
    return replace(
        before,
        high=max(before.high, moving.high),
        low=min(before.low, moving.low),
        close=moving.close,
        volume=before.volume + moving.volume,
    )


def scale(step: Decimal) -> tuple[int, int]:
    """Return a step as (integer, exponent): step = integer × 10^exponent."""
    exponent = int(step.normalize().as_tuple().exponent)
    return int(step.scaleb(-exponent)), exponent


def order_book(random: Random, instrument: Instrument, exponent: int, last: int) -> OrderBook:
    """Return ten levels a side around a price of `last` × 10^exponent, bid ≤ last ≤ ask.

    Levels are further apart and deeper the further away they are.
    """
    asset = ASSETS[instrument.base]
    tick, _ = scale(instrument.price_step)
    step, step_exponent = scale(instrument.quantity_step)
    half = max(1, round(last / tick * asset.spread_bps / 20_000))
    bid = max(1, last // tick - random.randint(0, half))
    ask = max(bid + 1, bid + 2 * half - 1)
    # Steps on the best level: a fortieth of a minute's turnover.
    depth = asset.turnover / 40 / (last * 10.0**exponent * float(instrument.quantity_step))

    def level(ticks: int, place: int) -> BookLevel:
        steps = max(1, int(depth * (1 + place) * (0.5 + random.random())))
        return BookLevel(
            price=Decimal(ticks * tick).scaleb(exponent),
            quantity=Decimal(steps * step).scaleb(step_exponent),
        )

    bids, asks = [], []
    for place in range(LEVELS):
        asks.append(level(ask, place))
        if bid >= 1:
            bids.append(level(bid, place))
        apart = max(1, half * (place + 1) // 2)
        bid, ask = bid - apart, ask + apart
    return OrderBook(bids=tuple(bids), asks=tuple(asks))
