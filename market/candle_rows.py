"""Recorded candles and funding rates on their way into rows: compared first, then written in batches.

Nothing is overwritten in silence: what is there already is left alone, and what differs is refused before
the first row is written. Each batch is a transaction, so a run that was stopped is simply run again.
The trap avoided: a volume of more digits than SQLite keeps would come back changed and look different
for ever, so volumes keep 15 significant digits on every database. Prices and rates are never rounded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from django.db import IntegrityError, connection, transaction

from market.domain.canonical import utc_text
from market.domain.data import (
    PRICE_COLUMNS,
    CandleSeries,
    FundingSeries,
    from_milliseconds,
    to_milliseconds,
)
from market.domain.numbers import ZERO, plain
from market.fields import SQLITE_DIGITS, AmountField, check_fits
from market.models import Candle, FundingRate

BATCH: Final = 2000
_PLACES: Final = 12

_MILLISECOND = timedelta(milliseconds=1)

Values = tuple[Decimal, ...]
Span = tuple[datetime, datetime]
"""(from, up to but not including)."""
Progress = Callable[[int, int], None]
"""Called with (rows done, rows in all)."""


class RowsDiffer(ValueError):
    """Something else is stored for the same time; the message says what, in one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of rows: written, found there as they are, put in place of others."""

    added: int = 0
    same: int = 0
    replaced: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleKey:
    """Which candles: of a venue's symbol, in a timeframe, of trades or of the mark price."""

    venue: str
    symbol: str
    timeframe: timedelta
    is_mark: bool = False

    @property
    def columns(self) -> Mapping[str, Any]:
        return {
            "venue": self.venue,
            "symbol": self.symbol,
            "timeframe_seconds": self.timeframe // timedelta(seconds=1),
            "is_mark": self.is_mark,
        }


@dataclass(frozen=True, slots=True)
class _Plan:
    """Places of a series to write: those that are not there, and those where something else is."""

    new: Sequence[int]
    differing: Sequence[int]
    same: int


def ignore_progress(_done: int, _total: int) -> None:
    """For callers that show none."""


def store_candles(
    key: CandleKey,
    series: CandleSeries,
    *,
    replace: bool = False,
    progress: Progress = ignore_progress,
) -> Stored:
    """Write the candles that are not there yet. Raises RowsDiffer when one differs from what is stored and
    `replace` is not said, AmountDoesNotFit for a price that a row can't keep; then nothing is written."""
    _check_fits(series)
    plan = _planned(key, series)
    if plan.differing and not replace:
        raise RowsDiffer(_difference(key, series, plan))
    places = sorted([*plan.new, *plan.differing])
    differing = frozenset(plan.differing)
    done = plan.same
    progress(done, len(series))
    for first in range(0, len(places), BATCH):
        batch = places[first : first + BATCH]
        _write(key, series, batch, differing.intersection(batch))
        done += len(batch)
        progress(done, len(series))
    return Stored(added=len(plan.new), same=plan.same, replaced=len(plan.differing))


def store_funding(
    venue: str, symbol: str, funding: FundingSeries, *, replace: bool = False
) -> Stored:
    """Write settled rates, all or none. Raises RowsDiffer and AmountDoesNotFit as for candles."""
    known = dict(FundingRate.objects.filter(venue=venue, symbol=symbol).values_list("at", "rate"))
    told = {
        from_milliseconds(int(at)): rate for at, rate in zip(funding.at, funding.rates, strict=True)
    }
    differing = [at for at, rate in told.items() if at in known and known[at] != rate]
    if differing and not replace:
        at = differing[0]
        raise RowsDiffer(
            f"the funding rate of {symbol} at {utc_text(at)} is {plain(known[at])} in the database"
            f" and {plain(told[at])} in the file ({_count(len(differing), 'rate')} differ)"
        )
    new = [at for at in told if at not in known]
    with transaction.atomic():
        FundingRate.objects.filter(venue=venue, symbol=symbol, at__in=differing).delete()
        FundingRate.objects.bulk_create(
            [
                FundingRate(venue=venue, symbol=symbol, at=at, rate=told[at])
                for at in (*new, *differing)
            ],
            batch_size=BATCH,
        )
    return Stored(
        added=len(new), same=len(told) - len(new) - len(differing), replaced=len(differing)
    )


def check_rates_fit(funding: FundingSeries) -> None:
    """Raise AmountDoesNotFit for a rate that a row can't keep."""
    for rate in funding.rates:
        _check_value(rate)


# --- comparing ----------------------------------------------------------------------------------------


def _planned(key: CandleKey, series: CandleSeries) -> _Plan:
    new: list[int] = []
    differing: list[int] = []
    for first in range(0, len(series), BATCH):
        last = min(first + BATCH, len(series))
        known = _known(key, series, first, last)
        for place in range(first, last):
            found = known.get(int(series.opened_at[place]))
            if found is None:
                new.append(place)
            elif found != _values(series, place):
                differing.append(place)
    return _Plan(new, differing, len(series) - len(new) - len(differing))


def _known(key: CandleKey, series: CandleSeries, first: int, last: int) -> Mapping[int, Values]:
    """What is stored between two places of a series, by time."""
    rows = Candle.objects.filter(
        **key.columns,
        opened_at__gte=series.opened(first),
        opened_at__lte=series.opened(last - 1),
    ).values_list("opened_at", *PRICE_COLUMNS, "volume")
    return {to_milliseconds(row[0]): row[1:] for row in rows}


def _values(series: CandleSeries, place: int) -> Values:
    """Open, high, low, close, volume as they are stored."""
    volume = Decimal(int(series.volume[place])).scaleb(series.volume_exponent)
    return (
        *(series.price(getattr(series, name)[place]) for name in PRICE_COLUMNS),
        kept_volume(volume),
    )


def kept_volume(volume: Decimal) -> Decimal:
    """A volume as every database keeps it: 15 significant digits, 12 decimals, towards zero."""
    if not volume:
        return ZERO
    places = min(_PLACES, SQLITE_DIGITS - 1 - volume.adjusted())
    return volume.quantize(Decimal(1).scaleb(-places), ROUND_DOWN)


def _difference(key: CandleKey, series: CandleSeries, plan: _Plan) -> str:
    place = plan.differing[0]
    known = _known(key, series, place, place + 1)[int(series.opened_at[place])]
    told = _values(series, place)
    name, stored, read = next(
        (name, one, other)
        for name, one, other in zip((*PRICE_COLUMNS, "volume"), known, told, strict=True)
        if one != other
    )
    return (
        f"the candle of {key.symbol} at {utc_text(series.opened(place))} has {name} {plain(stored)}"
        f" in the database and {plain(read)} here ({_count(len(plan.differing), 'candle')} differ)"
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' * (number > 1)}"


def _check_fits(series: CandleSeries) -> None:
    """Raise AmountDoesNotFit for a price that a row can't keep; almost always told without a look at each."""
    columns = [getattr(series, name) for name in PRICE_COLUMNS]
    largest = max((int(column.max()) for column in columns if len(column)), default=0)
    if series.price_exponent >= -_PLACES and largest < 10**SQLITE_DIGITS:
        return
    for column in columns:
        for scaled in column:
            _check_value(series.price(scaled))


def _check_value(value: Decimal) -> None:
    field = AmountField()
    check_fits(value, connection.vendor, field.max_digits, field.decimal_places)


def missing_spans(key: CandleKey, start: datetime, end: datetime) -> Sequence[Span]:
    """Where candles are missing between two instants, oldest first; bars open at multiples of their length."""
    length = key.timeframe // _MILLISECOND
    expected = -(-to_milliseconds(start) // length) * length
    until = -(-to_milliseconds(end) // length) * length
    opened = (
        Candle.objects.filter(**key.columns, opened_at__gte=start, opened_at__lt=end)
        .order_by("opened_at")
        .values_list("opened_at", flat=True)
    )
    spans = []
    for at in [*map(to_milliseconds, opened), until]:
        if at > expected:
            spans.append((from_milliseconds(expected), from_milliseconds(at)))
        expected = at + length
    return spans


# --- writing ------------------------------------------------------------------------------------------


def _write(
    key: CandleKey, series: CandleSeries, places: Sequence[int], differing: frozenset[int]
) -> None:
    """One batch, one transaction. Raises RowsDiffer when another process writes the same candles."""
    try:
        with transaction.atomic():
            if differing:
                times = [series.opened(place) for place in differing]
                Candle.objects.filter(**key.columns, opened_at__in=times).delete()
            Candle.objects.bulk_create(list(_rows(key, series, places)))
    except IntegrityError as error:
        raise RowsDiffer(
            f"the candles of {key.symbol} could not be written ({error}): if another process loads"
            " them, run this again when it has ended"
        ) from error


def _rows(key: CandleKey, series: CandleSeries, places: Sequence[int]) -> Iterator[Candle]:
    columns = key.columns
    for place in places:
        opens, high, low, close, volume = _values(series, place)
        yield Candle(
            **columns,
            opened_at=series.opened(place),
            open=opens,
            high=high,
            low=low,
            close=close,
            volume=volume,
        )
