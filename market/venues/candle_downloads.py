"""A venue's past candles, page by page, and its list of instruments: for files and tables, not for cycles.

Nothing is stored here and nothing remembered: who calls stores each part, and resumes behind it. The
trap avoided: the newest row that a venue tells is not closed yet; it is never among what is returned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from market.domain.data import CandleSeries, to_milliseconds
from market.domain.instruments import Instrument, MarginTier
from market.errors import VenueUnavailable
from market.venues.candle_tracks import series_of, sound_rows
from market.venues.ccxt_instruments import published_tiers
from market.venues.clocks import SystemClock
from market.venues.feeds import venue_data
from market.venues.timeframes import timeframe_text
from market.venues.venue_data import SETTLING_MS, VenueData

_MILLISECOND = timedelta(milliseconds=1)
PAGE = 1000


def download_candles(
    venue: str,
    symbol: str,
    timeframe: timedelta,
    start: datetime,
    end: datetime,
    *,
    is_mark: bool = False,
) -> Iterator[CandleSeries]:
    """Yield the closed candles opened from `start` up to, not including, `end`, oldest first, in parts of
    at most a thousand. Stretches that the venue does not have are left out.

    To resume, call again from the close of the last candle stored. Raises ValueError for a symbol, a
    timeframe or mark candles that the venue does not have, VenueUnavailable when it does not answer or
    answers nonsense.
    """
    data = venue_data(venue)
    data.instrument(symbol)
    if timeframe not in data.timeframes:
        known = ", ".join(timeframe_text(one) for one in sorted(data.timeframes))
        raise ValueError(
            f"{venue} has no candles of {timeframe_text(timeframe)}: there are {known}"
        )
    if is_mark and not data.spec.mark_limit:
        raise ValueError(f"{venue} has no candles of the mark price")
    length = timeframe // _MILLISECOND
    now = SystemClock().now()
    settled = to_milliseconds(now) - SETTLING_MS + min(0, data.clock_ahead_ms(now))
    first = -(-to_milliseconds(start) // length) * length
    last = min(to_milliseconds(end) - 1, settled - length)
    while first <= last:
        until = min(last, first + (PAGE - 1) * length)
        rows = data.rows(symbol, timeframe, first, until, is_mark=is_mark)
        sound = [row for row in sound_rows(rows, length, until) if row[0] >= first]
        if sound:
            yield series_of(sound, timeframe)
        first = until - until % length + length


def load_instruments(venue: str, tiers_of: Sequence[str] = ()) -> list[Instrument]:
    """Return what can be traded on a venue now, in name order.

    Perpetuals named in `tiers_of` get the margin tiers that the venue publishes, where it does without
    a key; all others keep the stated ones (`ccxt_instruments.default_tiers`). Raises ValueError for an
    unknown venue or symbol, VenueUnavailable.
    """
    data = venue_data(venue)
    found = dict(data.instruments())
    for symbol in tiers_of:
        instrument = data.instrument(symbol)
        if data.spec.tier_unit is not None and not instrument.is_spot:
            found[symbol] = replace(instrument, margin_tiers=_tiers(data, instrument))
    return list(found.values())


def _tiers(data: VenueData, instrument: Instrument) -> tuple[MarginTier, ...]:
    unit = data.spec.tier_unit
    mark = data.context(instrument).mark
    told = data.client.call("fetch_market_leverage_tiers", instrument.symbol)
    try:
        if unit is None or mark is None:
            raise ValueError("the venue tells no mark price")
        return published_tiers(told, unit, instrument.contract_size * mark)
    except (ValueError, KeyError, TypeError) as error:
        raise VenueUnavailable(f"the margin tiers of {instrument.symbol}: {error}") from None
