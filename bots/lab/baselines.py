"""The control group of an arena: rules that need no model, with the exits that they are run with.

Stated once, so that everybody's baselines are the same. Pure. The trap avoided: a rule without a stop of its
own next to models that must name one; each runs with a catastrophe stop far from the market, and with a
target further still, so that the profiles which require both accept them and its own rule decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

MINUTE_SECONDS: Final = 60
STOP_ATR_AT_A_MINUTE: Final = 60
"""Distance of the catastrophe stop on one-minute candles, in ATR14s: about a day's move."""
SHORTEST_STOP_ATR: Final = 3
REWARD: Final = 3
"""Distance of the target, in distances of the stop."""
LEVERAGE: Final = 3
"""On how little margin: what is held of all instruments together is about the equity, as without leverage, but
profiles that let half of it be used as margin do not halve it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineEntry:
    """A baseline as it is entered: its trader's name, how tables and charts call it, its own parameters."""

    trader: str
    label: str
    params: Mapping[str, str]


BASELINES: Final = (
    BaselineEntry(trader="buy_and_hold", label="Buy and hold", params={}),
    BaselineEntry(trader="ema_trend", label="EMA trend", params={"fast": "50", "slow": "200"}),
    BaselineEntry(trader="rsi_mean_reversion", label="RSI reversion", params={"low": "20"}),
    BaselineEntry(trader="seeded_random", label="Random", params={"seed": "1", "rate": "0.007"}),
    BaselineEntry(trader="flat", label="Cash", params={}),
)
"""Their tempo on one-minute candles of three instruments stays within 15 entries a day."""


BY_TRADER: Final[Mapping[str, BaselineEntry]] = {entry.trader: entry for entry in BASELINES}


def catastrophe_stop_atr(timeframe_seconds: int) -> int:
    """How many ATR14s of a timeframe make the same distance: an ATR grows with the square root of time."""
    scaled = STOP_ATR_AT_A_MINUTE / sqrt(timeframe_seconds / MINUTE_SECONDS)
    return max(SHORTEST_STOP_ATR, round(scaled))


def params_of(entry: BaselineEntry, timeframe_seconds: int) -> dict[str, str]:
    """The parameters that a baseline runs with in an arena: its own, its margin, its catastrophe stop."""
    if entry.trader == "flat":
        return dict(entry.params)
    stop = str(catastrophe_stop_atr(timeframe_seconds))
    return {**entry.params, "leverage": str(LEVERAGE), "stop_atr": stop, "reward": str(REWARD)}
