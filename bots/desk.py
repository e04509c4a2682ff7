"""A desk: one bot with its ports, put together by whoever opens the door. The cycle takes it whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bots.domain.bot import BotConfig
from bots.ports import Ledger
from llm.ports import Trader
from market.domain.instruments import Instrument
from market.ports import Broker, Clock, MarketFeed
from risk.domain import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The five ports, the bot, its limits in force and the base → group table of correlated exposure.

    `described_limits` are the same limits in words, for prompts.
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
