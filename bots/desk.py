"""A desk: one bot with its ports, put together by whoever opens the door. The cycle takes it whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from bots.domain.bot import BotConfig
from bots.ports import Ledger, Window
from llm.ports import Trader
from market.domain.data import MarketSnapshot
from market.domain.instruments import Instrument
from market.ports import Broker, Clock, MarketFeed
from risk.domain import Limits


class OwnWindow:
    """A window on the desk's own look: what the desk sees is what the trader is shown."""

    def show(self, slot: str, own: MarketSnapshot) -> tuple[MarketSnapshot, str]:
        del slot
        return own, ""


OWN: Final = OwnWindow()


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The five ports, the bot, its limits in force and the base → group table of correlated exposure.

    `described_limits` are the same limits in words, for prompts. `window`: what the trader is shown.
    """

    bot: BotConfig
    clock: Clock
    feed: MarketFeed
    trader: Trader
    broker: Broker
    ledger: Ledger
    limits: Limits
    instruments: Mapping[str, Instrument]
    described_limits: tuple[tuple[str, str], ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)
    window: Window = OWN
