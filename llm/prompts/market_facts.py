"""The facts of one instrument: prices, indicators of closed bars, series, the longer context.

Everything is text already, so that nothing is rounded later. The unfinished bar is set apart and enters
no indicator (P9). It looks at `candles` as far as they go and at nothing of the series they were cut
from; `book` sees to that (P5).
"""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from llm.prompts import outside
from llm.prompts.figures import (
    DIGITS,
    NOT_AVAILABLE,
    decimal_text,
    digits_of,
    figure,
    price,
    scaled,
)
from llm.prompts.template import PromptSettings, TemplateError
from market.domain.canonical import utc_text
from market.domain.data import Candle, CandleSeries, InstrumentSnapshot
from market.indicators import Book, book

Fact = dict[str, object]
_DUST = 1e-12
_MID = "mid"
_MACD, _BOLLINGER, _STOCHASTIC = (12.0, 26.0, 9.0), (20.0, 2.0), (5.0, 3.0, 3.0)


class Line(NamedTuple):
    """One line of an indicator: how it is labelled, read from a book, and whether it is a price."""

    label: str
    name: str
    params: tuple[float, ...]
    is_price: bool


@lru_cache(maxsize=256)
def lines_of(spec: str) -> tuple[Line, ...]:
    """The lines of an indicator, the main one first. Raises TemplateError for an unknown name."""
    name, *texts = spec.split(":")
    params = tuple(float(text) for text in texts)
    shown = "/".join(texts)
    if name in ("ema", "sma"):
        return (Line(f"{name.upper()}{shown}", name, params, True),)
    if name in ("rsi", "atr"):
        return (Line(f"{name.upper()}{shown}", name, params, False),)
    if name == "macd":
        label, params = f"MACD{shown and ' ' + shown}", params or _MACD
        parts = (("", "macd"), (" signal", "macd_signal"), (" histogram", "macd_histogram"))
        return tuple(Line(label + part, line, params, False) for part, line in parts)
    if name == "bollinger":
        label, params = f"Bollinger{shown and ' ' + shown}", params or _BOLLINGER
        bands = ("upper", "middle", "lower")
        return tuple(Line(f"{label} {band}", f"{name}_{band}", params, True) for band in bands)
    if name == "stochastic":
        label, params = f"Stochastic{shown and ' ' + shown}", params or _STOCHASTIC
        return tuple(Line(f"{label} %{k.upper()}", f"{name}_{k}", params, False) for k in "kd")
    raise TemplateError(f"{spec!r} is no indicator of the standard set")


@lru_cache(maxsize=64)
def timeframe_label(timeframe: timedelta) -> str:
    """`1m`, `15m`, `4h`, `1d`; seconds where nothing larger divides."""
    seconds = timeframe // timedelta(seconds=1)
    for size, letter in ((86_400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{letter}"
    return f"{seconds}s"


def instrument_facts(snapshot: InstrumentSnapshot, settings: PromptSettings) -> Fact:
    """All that the market section shows of one usable instrument."""
    candles, quote, tick = snapshot.candles, snapshot.quote, snapshot.instrument.price_step
    mark = quote.mark if quote is not None else None
    reader = _Reader(candles, mark, tick)
    length = settings.series_length
    return {
        "symbol": outside.name(snapshot.symbol),
        "timeframe": timeframe_label(candles.timeframe),
        "mark": price(mark, tick),
        "bid": price(quote.bid if quote else None, tick),
        "ask": price(quote.ask if quote else None, tick),
        "closed_at": utc_text(candles.closed(-1)) if len(candles) else None,
        "now": reader.now(settings.indicators),
        "series": reader.all_series(settings.series, length),
        "unfinished": _unfinished(snapshot.unfinished, tick),
        "context": _context(snapshot.context, mark, tick, settings),
        "funding_rate": decimal_text(snapshot.funding_rate),
        "next_funding_at": utc_text(at) if (at := snapshot.next_funding_at) else None,
        "open_interest": decimal_text(snapshot.open_interest),
    }


def _context(
    candles: CandleSeries | None,
    mark: Decimal | None,
    tick: Decimal,
    settings: PromptSettings,
) -> Fact | None:
    if candles is None or not len(candles):
        return None
    reader = _Reader(candles, mark, tick)
    bars = settings.volume_average_bars
    volumes = candles.volume[-bars:].tolist()
    unit = 10.0**candles.volume_exponent
    return {
        "timeframe": timeframe_label(candles.timeframe),
        "closed_at": utc_text(candles.closed(-1)),
        "now": reader.now(settings.context_indicators),
        "volume": figure(volumes[-1] * unit),
        "average_volume": figure(sum(volumes) / len(volumes) * unit),
        "average_bars": len(volumes),
        "series": reader.all_series(settings.context_series, settings.series_length),
    }


def _unfinished(candle: Candle | None, tick: Decimal) -> Fact | None:
    if candle is None:
        return None
    return {
        "opened_at": utc_text(candle.opened_at),
        "open": price(candle.open, tick),
        "high": price(candle.high, tick),
        "low": price(candle.low, tick),
        "last": price(candle.close, tick),
        "volume": decimal_text(candle.volume),
    }


class _Reader:
    """Reads indicator lines of one series as text, with as many digits as its prices need."""

    __slots__ = ("_book", "_candles", "_digits", "_dust")

    def __init__(self, candles: CandleSeries, mark: Decimal | None, tick: Decimal) -> None:
        self._candles = candles
        self._book: Book = book(candles)
        if mark is None and len(candles):
            mark = candles.price(candles.close[-1])
        self._digits = DIGITS if mark is None else digits_of(mark, tick)
        self._dust = 0.0 if mark is None else float(mark) * _DUST

    def now(self, specs: Sequence[str]) -> list[list[str]]:
        """(label, value at the last closed bar) of every line of these indicators."""
        read: list[list[str]] = []
        for spec in specs:
            if spec.startswith("ta:"):
                read.extend([label, values[-1]] for label, values in self._catalogue(spec, 1))
                continue
            for line in lines_of(spec):
                value = self._book.last(line.name, *line.params)
                digits = self._digits if line.is_price else DIGITS
                read.append([line.label, figure(value, digits, self._dust)])
        return read

    def all_series(self, specs: Sequence[str], length: int) -> list[list[object]]:
        """(label, the last `length` values oldest → newest) of each indicator's main line."""
        read: list[list[object]] = []
        for spec in specs:
            if spec == _MID:
                read.append(["Mid prices", self._closes(length)])
            elif spec.startswith("ta:"):
                read.extend([label, values] for label, values in self._catalogue(spec, length))
            else:
                line = lines_of(spec)[0]
                digits = self._digits if line.is_price else DIGITS
                values = self._book.tail(length, line.name, *line.params).tolist()
                read.append([line.label, [figure(one, digits, self._dust) for one in values]])
        return read

    def _closes(self, length: int) -> list[str]:
        exponent = self._candles.price_exponent
        return [scaled(close, exponent) for close in self._candles.close[-length:].tolist()]

    def _catalogue(self, spec: str, length: int) -> list[tuple[str, list[str]]]:
        _, name, *texts = spec.split(":")
        params = {"length": int(texts[0])} if texts else {}
        try:
            lines = self._book.catalogue(name, **params)
        except ValueError as error:
            raise TemplateError(str(error)) from None
        if not lines:
            return [(name, [NOT_AVAILABLE])]
        return [
            (
                outside.name(label),
                [figure(one, self._digits, self._dust) for one in values[-length:].tolist()]
                or [NOT_AVAILABLE],
            )
            for label, values in lines.items()
        ]
