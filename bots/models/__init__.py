"""Rows of the desk (docs/concurrency.md says who may write them). Foreign keys point down, never up."""

from bots.models.acts import (
    CLOSING,
    ActionKind,
    ActionStatus,
    Event,
    HaltScope,
    ManualAction,
    ModelCharge,
    TradingHalt,
)
from bots.models.bot import (
    SHARD_KEYS,
    Bot,
    BotState,
)
from bots.models.looks import CohortLook
from bots.models.trading import (
    LIVING_STATUSES,
    Blob,
    ClosedTrade,
    CycleStatus,
    EquityPoint,
    Fill,
    LedgerEntry,
    Order,
    Position,
    TradingCycle,
)

__all__ = [
    "CLOSING",
    "LIVING_STATUSES",
    "SHARD_KEYS",
    "ActionKind",
    "ActionStatus",
    "Blob",
    "Bot",
    "BotState",
    "ClosedTrade",
    "CohortLook",
    "CycleStatus",
    "EquityPoint",
    "Event",
    "Fill",
    "HaltScope",
    "LedgerEntry",
    "ManualAction",
    "ModelCharge",
    "Order",
    "Position",
    "TradingCycle",
    "TradingHalt",
]
