"""When what a venue tells of an instrument must not be traded on: the reason in one sentence, or none.

Pure: it looks at one instrument and changes nothing. The trap avoided: one bad symbol that stops a
bot's other symbols; a reason belongs to the instrument it is about.
"""

from datetime import datetime, timedelta
from decimal import Decimal

from market.domain.canonical import utc_text
from market.domain.data import CandleSeries, Quote
from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument

OLDEST_BAR = timedelta(minutes=3)
OLDEST_QUOTE = timedelta(seconds=60)
WIDEST_MARK = Decimal("0.03")
"""How far mark and the middle of the book may be from the last price, as a fraction."""
FROZEN_BARS = 15
"""So many one-minute bars at one single price are no market."""


def candles_reason(
    now: datetime, bars: CandleSeries, candles: CandleSeries, marks: CandleSeries | None
) -> str | None:
    """Judge one-minute bars, the candles of the cycle and mark bars (None: the venue has none)."""
    if not len(bars) or not len(candles):
        return "the venue shows no closed candles"
    if marks is not None and not len(marks):
        return "the venue shows no closed candles of the mark price"
    for name, series, oldest in (
        ("bar", bars, OLDEST_BAR),
        ("candle", candles, candles.timeframe + OLDEST_BAR),
        ("bar of the mark price", marks or bars, OLDEST_BAR),
    ):
        closed = series.closed(-1)
        if now - closed > oldest:
            seconds = (now - closed) // timedelta(seconds=1)
            return f"the last {name} closed at {utc_text(closed)}, {seconds} seconds ago"
    newest = bars.opened_at[-FROZEN_BARS:]
    if len(newest) == FROZEN_BARS and (
        int(bars.high[-FROZEN_BARS:].max()) == int(bars.low[-FROZEN_BARS:].min())
    ):
        return f"the price has not moved for {FROZEN_BARS} minutes"
    return None


def quote_reason(now: datetime, quote: Quote) -> str | None:
    """Judge the prices of this instant."""
    age = now - quote.at
    if age > OLDEST_QUOTE:
        return f"the quote is {age // timedelta(seconds=1)} seconds old"
    middle = (quote.bid + quote.ask) / 2
    for name, price in (("mark price", quote.mark), ("middle of the book", middle)):
        if abs(price - quote.last) > WIDEST_MARK * quote.last:
            return f"the {name} {price} is implausibly far from the last price {quote.last}"
    return None


def status_reason(instrument: Instrument) -> str | None:
    """Judge what the venue lets anybody do with it."""
    if instrument.status is InstrumentStatus.TRADING:
        return None
    return f"the venue lists it as {instrument.status.value.lower().replace('_', ' ')}"
