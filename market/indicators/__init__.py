"""Indicators: closed candles in, named float series out; the same values in every run.

The standard set goes straight to TA-Lib, the wider catalogue to pandas-ta-classic by name. Nothing
here decides, and nothing looks at an unfinished candle or past the end of the series it was given.
The trap avoided: an indicator computed over a moving window changes its own past; here it is
computed over the whole closed series a run holds, and read causally (`book`).
"""

from market.indicators.book import Book, book
from market.indicators.catalogue import catalogue, catalogue_names
from market.indicators.columns import Floats, closes, highs, lows, opens, volumes
from market.indicators.standard import (
    Bollinger,
    Macd,
    StandardSet,
    Stochastic,
    atr,
    bollinger,
    ema,
    line_names,
    macd,
    rsi,
    sma,
    standard_set,
    stochastic,
    warm_up,
)

__all__ = [
    "Bollinger",
    "Book",
    "Floats",
    "Macd",
    "StandardSet",
    "Stochastic",
    "atr",
    "bollinger",
    "book",
    "catalogue",
    "catalogue_names",
    "closes",
    "ema",
    "highs",
    "line_names",
    "lows",
    "macd",
    "opens",
    "rsi",
    "sma",
    "standard_set",
    "stochastic",
    "volumes",
    "warm_up",
]
