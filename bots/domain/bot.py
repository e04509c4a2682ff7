"""A bot as the cycle needs to know it, and the ids it gives its orders.

Ids are hashes of what an order *is* (bot, origin, leg, attempt), never of time or chance: a cycle that
is run again after a crash asks for the same ids and therefore can't order twice.
"""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from bots.domain.exits import ExitRules


class BotMode(StrEnum):
    """With whose money a bot trades."""

    PAPER = "PAPER"
    LIVE = "LIVE"


class BotStatus(StrEnum):
    """What its owner wants of a bot. Only an ACTIVE one may open positions."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ARCHIVED = "ARCHIVED"


STATUS_MOVES: Final[dict[BotStatus, frozenset[BotStatus]]] = {
    BotStatus.DRAFT: frozenset({BotStatus.ACTIVE, BotStatus.ARCHIVED}),
    BotStatus.ACTIVE: frozenset({BotStatus.PAUSED}),
    BotStatus.PAUSED: frozenset({BotStatus.ACTIVE, BotStatus.ARCHIVED}),
    BotStatus.ARCHIVED: frozenset(),
}


REST_SECONDS: Final = 5
"""Of an interval, kept for everything but the model: market, venue, limits, orders, books."""


def thinking_seconds(deadline_seconds: int, interval_seconds: int) -> int:
    """How long a model may think at most: its own deadline, and always less than until the next decision."""
    return min(deadline_seconds, max(interval_seconds - REST_SECONDS, REST_SECONDS))


class Schedule(StrEnum):
    """When decisions are due: a little after bars close, or at steps from the bot's start."""

    BAR_CLOSE = "BAR_CLOSE"
    SPREAD = "SPREAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class BotConfig:
    """What a bot is told to do. `interval` between decisions; `capital` in settlement currency.

    `time_zone` is the owner's: day limits turn at the owner's local midnight. `exits` are those that it
    manages by itself between two decisions.
    """

    id: UUID
    symbols: tuple[str, ...]
    interval: timedelta
    timeframe: timedelta
    capital: Decimal
    currency: str
    time_zone: str = "UTC"
    owner_words: str = ""
    charge_llm_cost: bool = True
    exits: ExitRules = field(default_factory=ExitRules)

    def local_day(self, instant: datetime) -> str:
        """The owner's calendar day at an instant, as YYYY-MM-DD."""
        if self.time_zone == "UTC":
            day = instant if instant.tzinfo is UTC else instant.astimezone(UTC)
            return day.date().isoformat()
        return instant.astimezone(ZoneInfo(self.time_zone)).date().isoformat()


def client_order_id(bot_id: UUID, origin: str, leg: str, attempt: int = 1) -> str:
    """32 hex digits from (bot, origin, leg, attempt); venues' own forms are cut from it by their adapters."""
    text = f"{bot_id.hex}|{origin}|{leg}|{attempt}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
