"""What was recorded of instruments, checked to fit together before a feed shows it.

It cuts and compares; it reads no files and shows nothing. The trap avoided: two instruments recorded
at different times, replayed side by side, would each be looked at as of another instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from market.domain.canonical import utc_text
from market.domain.data import CandleSeries, FundingSeries
from market.domain.instruments import Instrument
from market.errors import CandleFileError
from market.venues.timeframes import divides, timeframe_text


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentHistory:
    """All that was recorded of one instrument: its finest closed bars, mark bars, funding rates.

    Mark bars are cut to the trade bars. Raises CandleFileError when there are no bars, or a trade
    bar has no mark bar.
    """

    instrument: Instrument
    bars: CandleSeries
    mark_bars: CandleSeries | None = None
    funding: FundingSeries | None = None

    def __post_init__(self) -> None:
        symbol = self.instrument.symbol
        if not len(self.bars):
            raise CandleFileError(f"{symbol}: there are no candles")
        if self.mark_bars is not None:
            object.__setattr__(self, "mark_bars", _aligned(symbol, self.mark_bars, self.bars))


def _aligned(symbol: str, mark: CandleSeries, bars: CandleSeries) -> CandleSeries:
    """Return the mark bars that belong to the trade bars, one for each."""
    if mark.timeframe != bars.timeframe:
        raise CandleFileError(
            f"{symbol}: mark candles of {timeframe_text(mark.timeframe)} do not go with "
            f"trade candles of {timeframe_text(bars.timeframe)}"
        )
    if np.array_equal(mark.opened_at, bars.opened_at):
        return mark
    places = np.searchsorted(mark.opened_at, bars.opened_at)
    found = places < len(mark)
    found[found] = mark.opened_at[places[found]] == bars.opened_at[found]
    if not found.all():
        missing = utc_text(bars.opened(int(np.argmin(found))))
        raise CandleFileError(f"{symbol}: there is no mark candle of {missing}")
    return CandleSeries(
        timeframe=mark.timeframe,
        opened_at=mark.opened_at[places],
        open=mark.open[places],
        high=mark.high[places],
        low=mark.low[places],
        close=mark.close[places],
        volume=mark.volume[places],
        price_exponent=mark.price_exponent,
        volume_exponent=mark.volume_exponent,
    )


def check_fit(histories: Sequence[InstrumentHistory], timeframe: timedelta) -> None:
    """Raise CandleFileError unless all bars open together and make whole candles of a timeframe."""
    first = histories[0]
    if not divides(first.bars.timeframe, timeframe):
        raise CandleFileError(
            f"{first.instrument.symbol}: candles of {timeframe_text(first.bars.timeframe)} "
            f"can't make {timeframe_text(timeframe)} ones"
        )
    for other in histories[1:]:
        if other.bars.timeframe != first.bars.timeframe or not np.array_equal(
            other.bars.opened_at, first.bars.opened_at
        ):
            raise CandleFileError(
                f"{other.instrument.symbol} and {first.instrument.symbol} were not recorded at the "
                "same times: all candles of a replay must open together"
            )
