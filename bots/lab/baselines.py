"""The control group of an arena: rules that need no model, with the exits that they are run with.

Stated once, so that everybody's baselines are the same. Pure. The trap avoided: a rule without a stop of its
own next to models that must name one; each runs with a catastrophe stop far from the market, and with a
target further still, so that the profiles which require both accept them and its own rule decides. The stop is
measured on 4-hour candles, for in a quiet hour the moves of a minute are no measure of a catastrophe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

STOP_CONTEXT_ATR: Final = 3
"""Distance of the catastrophe stop, in ATR14s of 4-hour candles: three to eight percent in most markets."""
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
    own: Mapping[str, str]

    @property
    def params(self) -> dict[str, str]:
        """The parameters that it runs with: its own, its margin, its catastrophe stop."""
        if self.trader == "flat":
            return dict(self.own)
        return {
            **self.own,
            "leverage": str(LEVERAGE),
            "stop_context_atr": str(STOP_CONTEXT_ATR),
            "reward": str(REWARD),
        }


BASELINES: Final = (
    BaselineEntry(trader="buy_and_hold", label="Buy and hold", own={}),
    BaselineEntry(trader="ema_trend", label="EMA trend", own={"fast": "50", "slow": "200"}),
    BaselineEntry(trader="rsi_mean_reversion", label="RSI reversion", own={"low": "20"}),
    BaselineEntry(trader="seeded_random", label="Random", own={"seed": "1", "rate": "0.007"}),
    BaselineEntry(trader="flat", label="Cash", own={}),
)
"""Their tempo on one-minute candles of three instruments stays within 15 entries a day."""
BY_TRADER: Final[Mapping[str, BaselineEntry]] = {entry.trader: entry for entry in BASELINES}
