"""Writes of the venue's rows, each named for the act. Commands and tasks call these and hold no logic.

Nothing is asked of a venue while a transaction is open: what it tells is read first, then written.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from django.db import DatabaseError, transaction

from market.candle_rows import (
    CandleKey,
    Progress,
    Stored,
    check_rates_fit,
    ignore_progress,
    missing_spans,
    store_candles,
    store_funding,
)
from market.domain.data import CandleSeries, FundingSeries, MarketSnapshot
from market.domain.enums import InstrumentStatus
from market.domain.instruments import Instrument as DomainInstrument
from market.errors import VenueUnavailable
from market.instrument_rows import instrument_of, is_same_listing, row_of
from market.models import Instrument, SimAccount
from market.price_rows import store_prices
from market.venues.candle_files import load_candles, load_funding, parse_utc_offset
from market.venues.clocks import SystemClock
from market.venues.paper_records import settings_text, state_text
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import SimState
from market.venues.timeframes import parse_timeframe, timeframe_text

logger = logging.getLogger(__name__)

_VENUE = re.compile(r"[a-z0-9_]{1,40}")
_SYMBOL = re.compile(r"[^\s/:]+/[^\s/:]+(:[^\s/:]+)?")


def open_sim_account(currency: str, cash: Decimal, settings: SimSettings) -> SimAccount:
    """Open an account at the simulated venue with this much of its settlement currency. Raises
    ValueError without any cash."""
    if not cash > 0:
        raise ValueError(f"an account is opened with cash, not with {cash}")
    return SimAccount.objects.create(
        currency=currency,
        opening_cash=cash,
        settings=settings_text(settings),
        state=state_text(SimState(cash=cash)),
    )


# --- candles ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleFile:
    """A file of candles and what is said of it, as a person says it. `funding_zone` None: the file's clock
    is UTC, or states its zone."""

    path: Path
    venue: str
    symbol: str
    timeframe: str
    timestamp: Literal["open", "close"] = "open"
    is_mark: bool = False
    allow_gaps: bool = False
    funding: Path | None = None
    funding_zone: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What a load did: candles from the first to the last open, and funding rates where there was a file."""

    candles: Stored
    first: datetime
    last: datetime
    funding: Stored | None = None


def load_candle_file(
    file: CandleFile, *, replace: bool = False, progress: Progress = ignore_progress
) -> Loaded:
    """Read a file whole, check it, then store what is not there yet, in batches: run again after a stop it
    goes on. Raises ValueError (CandleFileError, RowsDiffer, AmountDoesNotFit) in one sentence, before
    anything is written."""
    key = _key(file.venue, file.symbol, file.timeframe, is_mark=file.is_mark)
    series = _candles(file, key)
    funding = _funding(file)
    stored_funding = None
    if funding is not None:
        check_rates_fit(funding)
    candles = store_candles(key, series, replace=replace, progress=progress)
    if funding is not None:
        stored_funding = store_funding(file.venue, file.symbol, funding, replace=replace)
    return Loaded(
        candles=candles,
        first=series.opened(0),
        last=series.opened(len(series) - 1),
        funding=stored_funding,
    )


def _key(venue: str, symbol: str, timeframe: str, *, is_mark: bool) -> CandleKey:
    """Which candles a person means. Raises ValueError."""
    if not _VENUE.fullmatch(venue):
        raise ValueError(f"{venue!r} is no venue: it is a word like binanceusdm")
    if not _SYMBOL.fullmatch(symbol):
        raise ValueError(f"{symbol!r} is no symbol: it is like BTC/USDT:USDT or BTC/USDT")
    return CandleKey(
        venue=venue, symbol=symbol, timeframe=parse_timeframe(timeframe), is_mark=is_mark
    )


def _candles(file: CandleFile, key: CandleKey) -> CandleSeries:
    series = load_candles(
        file.path,
        timeframe=key.timeframe,
        symbol=key.symbol,
        timestamp=file.timestamp,
        allow_gaps=file.allow_gaps,
    )
    if series.timeframe != key.timeframe:
        raise ValueError(
            f"{file.path} holds candles of {timeframe_text(series.timeframe)},"
            f" not of {timeframe_text(key.timeframe)}"
        )
    return series


def _funding(file: CandleFile) -> FundingSeries | None:
    if file.funding is None:
        if file.funding_zone is not None:
            raise ValueError("a zone of funding times says nothing without a funding file")
        return None
    offset = timedelta() if file.funding_zone is None else parse_utc_offset(file.funding_zone)
    return load_funding(file.funding, utc_offset=offset, symbol=file.symbol)


def download_candles(
    venue: str,
    symbol: str,
    timeframe: str,
    start: datetime,
    end: datetime | None = None,
    *,
    is_mark: bool = False,
    progress: Progress = ignore_progress,
) -> Stored:
    """Ask a venue for the candles that are missing between two instants (`end` None: now) and store each
    part as it comes: run again after a stop it goes on. `same` counts those that were there. Raises
    ValueError for what the venue does not have, VenueUnavailable when it does not answer."""
    from market.venues.candle_downloads import download_candles as download  # loads ccxt

    key = _key(venue, symbol, timeframe, is_mark=is_mark)
    end = min(end or SystemClock().now(), SystemClock().now())
    if start >= end:
        raise ValueError("the first instant lies before the second one, and before now")
    total = (end - start) // key.timeframe
    spans = missing_spans(key, start, end)
    there = total - sum((until - since) // key.timeframe for since, until in spans)
    added = 0
    for since, until in spans:
        for part in download(venue, symbol, key.timeframe, since, until, is_mark=is_mark):
            added += store_candles(key, part).added
            progress(there + added, total)
    return Stored(added=added, same=max(there, 0))


# --- instruments --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentChanges:
    """Symbols in name order: new, listed otherwise than before, no longer listed; and how many are as they
    were."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    delisted: tuple[str, ...]
    same: int


def sync_instruments(venue: str) -> InstrumentChanges:
    """Ask a venue what it lists and remember it. Raises ValueError for a venue that nobody knows,
    VenueUnavailable when it does not answer."""
    from market.venues.candle_downloads import load_instruments  # loads ccxt

    if not _VENUE.fullmatch(venue):
        raise ValueError(f"{venue!r} is no venue: it is a word like binanceusdm")
    return record_instruments(venue, load_instruments(venue), SystemClock().now())


def record_instruments(
    venue: str, listed: list[DomainInstrument], as_of: datetime
) -> InstrumentChanges:
    """Remember a venue's list. What is no longer on it is SUSPENDED, never deleted: rows of old trades need
    it. Raises VenueUnavailable for an empty list, which would suspend everything."""
    if not listed:
        raise VenueUnavailable(f"{venue} listed no instrument at all: nothing was changed")
    with transaction.atomic():
        known = {row.symbol: row for row in Instrument.objects.filter(venue=venue)}
        rows = [row_of(venue, instrument, as_of) for instrument in listed]
        added = [one.symbol for one in listed if one.symbol not in known]
        changed = [
            one.symbol
            for one in listed
            if one.symbol in known and not is_same_listing(known[one.symbol], one)
        ]
        listed_now = {one.symbol for one in listed}
        delisted = [
            row
            for symbol, row in known.items()
            if symbol not in listed_now and row.status != InstrumentStatus.SUSPENDED
        ]
        for row in delisted:
            suspended = replace(instrument_of(row), status=InstrumentStatus.SUSPENDED)
            rows.append(row_of(venue, suspended, as_of))
        Instrument.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["venue", "symbol"],
            update_fields=[
                "kind", "status", "base", "settle", "price_step", "quantity_step", "data", "as_of",
            ],
        )  # fmt: skip
    return InstrumentChanges(
        added=tuple(sorted(added)),
        changed=tuple(sorted(changed)),
        delisted=tuple(sorted(row.symbol for row in delisted)),
        same=len(listed) - len(added) - len(changed),
    )


def note_instruments(venue: str, listed: Sequence[DomainInstrument], as_of: datetime) -> None:
    """Keep what a venue lists now where nothing is kept yet: once it is delisted, nobody else can say what a
    position in it is. In the caller's transaction."""
    Instrument.objects.bulk_create(
        [row_of(venue, instrument, as_of) for instrument in listed], ignore_conflicts=True
    )


def note_prices(venue: str, snapshot: MarketSnapshot) -> bool:
    """Keep what a snapshot showed, for pages; whether any price moved on. One statement. Prices that are
    unusable, or older than those kept, change nothing; a database that refuses them is said in the log: a
    look at the market has never failed for this. Not inside a transaction, which would be lost with it."""
    try:
        return store_prices(venue, snapshot) > 0
    except DatabaseError:
        logger.exception("the prices of %s could not be kept", venue)
        return False


def described_venue(venue: str) -> dict[str, Any] | None:
    """Where a real venue is spoken to, whether it answers and how far its clock is off, as
    `market.venues.venue_checks` tells it; None for the simulated one. Raises ValueError for none we read."""
    from market.venues.feeds import SIMULATED
    from market.venues.venue_checks import describe_venue

    return None if venue == SIMULATED else describe_venue(venue)


def venue_names() -> tuple[str, ...]:
    """Every venue that can be seen, the simulated market first."""
    from market.venues.feeds import venue_names

    return venue_names()


def venue_problem(venue: str, seconds: float) -> str | None:
    """Why a venue can't be used now, as a sentence; None when it says within so many seconds what can be traded
    there. The simulated market always can. Raises ValueError for none we read."""
    from market.venues.feeds import SIMULATED
    from market.venues.venue_checks import problem_within

    return None if venue == SIMULATED else problem_within(venue, seconds)


def usual_symbols(venue: str) -> tuple[str, ...]:
    """What somebody trades at a venue who names nothing: the large coins in one currency, as far as it lists
    them now. Raises ValueError for a venue that nobody knows, VenueUnavailable."""
    from market.venues.feeds import feed_for
    from market.venues.usual_symbols import usual_symbols

    return usual_symbols(feed_for(venue, timedelta(minutes=1)).instruments())
