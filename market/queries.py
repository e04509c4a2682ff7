"""Reads of the venue's rows, as the values of the domain."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from market.domain.data import CandleSeries, series_from_columns, to_milliseconds
from market.domain.instruments import Instrument as DomainInstrument
from market.instrument_rows import instrument_of
from market.models import Candle, Instrument, LatestPrice

_COLUMNS = ("opened_at", "open", "high", "low", "close", "volume")


def instruments_of(venue: str) -> Sequence[DomainInstrument]:
    """What a venue listed when it was last asked, in name order; the delisted ones are SUSPENDED."""
    rows = Instrument.objects.filter(venue=venue).order_by("symbol")
    return tuple(instrument_of(row) for row in rows)


def stored_candles(
    venue: str,
    symbol: str,
    timeframe: timedelta,
    start: datetime,
    end: datetime,
    *,
    is_mark: bool = False,
) -> CandleSeries | None:
    """The recorded candles opened from `start` up to, not including, `end`; None when there are none."""
    rows = list(
        Candle.objects.filter(
            venue=venue,
            symbol=symbol,
            timeframe_seconds=timeframe // timedelta(seconds=1),
            is_mark=is_mark,
            opened_at__gte=start,
            opened_at__lt=end,
        )
        .order_by("opened_at")
        .values_list(*_COLUMNS)
    )
    if not rows:
        return None
    opened_at, opens, highs, lows, closes, volumes = zip(*rows, strict=True)
    return series_from_columns(
        timeframe=timeframe,
        opened_at=[to_milliseconds(at) for at in opened_at],
        prices={"open": opens, "high": highs, "low": lows, "close": closes},
        volume=volumes,
    )


def latest_prices(
    pairs: Iterable[tuple[str, str]],
) -> Mapping[tuple[str, str], LatestPrice]:
    """What these (venue, symbol) were last seen at; who was never seen is left out. For pages, never for
    decisions. One query, none without pairs."""
    wanted = set(pairs)
    if not wanted:
        return {}
    found = LatestPrice.objects.filter(
        venue__in={venue for venue, _ in wanted}, symbol__in={symbol for _, symbol in wanted}
    )
    rows = {(row.venue, row.symbol): row for row in found}
    return {pair: row for pair, row in rows.items() if pair in wanted}
