"""The one place where candles become floats.

It does not compute anything. The trap avoided: `scaled * 10.0 ** exponent` is not the float that the
decimal text reads as (46377.1 would come out one bit off); a correctly rounded division is.
"""

import numpy as np
import numpy.typing as npt

from market.domain.data import CandleSeries, IntColumn

Floats = npt.NDArray[np.float64]

# A float holds whole numbers up to 2^53, and powers of ten up to 10^22, exactly: one division of two
# exact numbers is then correctly rounded (Clinger 1990, "How to read floating point numbers").
_EXACT_INTEGER = 2**53
_EXACT_POWER = 22


def to_floats(scaled: IntColumn, exponent: int) -> Floats:
    """Turn scaled integers into floats equal to `float(text)` of each number; read-only."""
    floats = _scale(scaled, exponent)
    floats.flags.writeable = False
    return floats


def _scale(scaled: IntColumn, exponent: int) -> Floats:
    if exponent == 0:
        return scaled.astype(np.float64)
    if abs(exponent) <= _EXACT_POWER and _all_exact(scaled):
        floats, power = scaled.astype(np.float64), float(10 ** abs(exponent))
        return floats / power if exponent < 0 else floats * power
    numbers = (int(number) for number in scaled)
    if exponent < 0:
        divisor = 10**-exponent  # int / int is correctly rounded at any size
        return np.array([number / divisor for number in numbers], dtype=np.float64)
    return np.array([float(number * 10**exponent) for number in numbers], dtype=np.float64)


def _all_exact(scaled: IntColumn) -> bool:
    if not len(scaled):
        return True
    return int(scaled.min()) >= -_EXACT_INTEGER and int(scaled.max()) <= _EXACT_INTEGER


def opens(series: CandleSeries) -> Floats:
    """Return the opening prices, one for each candle, oldest first."""
    return to_floats(series.open, series.price_exponent)


def highs(series: CandleSeries) -> Floats:
    """Return the highest prices, one for each candle, oldest first."""
    return to_floats(series.high, series.price_exponent)


def lows(series: CandleSeries) -> Floats:
    """Return the lowest prices, one for each candle, oldest first."""
    return to_floats(series.low, series.price_exponent)


def closes(series: CandleSeries) -> Floats:
    """Return the closing prices, one for each candle, oldest first."""
    return to_floats(series.close, series.price_exponent)


def volumes(series: CandleSeries) -> Floats:
    """Return the volumes, in the unit of their source, one for each candle, oldest first."""
    return to_floats(series.volume, series.volume_exponent)
