"""The user's bots by name and state, for what stands at the side of every page."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from bots import models
from bots.domain.bot import BotMode, BotStatus
from risk.domain import TradingState
from tradingagent.accounts.access import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class BotName:
    """A bot as a menu knows it. `trading_state` is None for one that never started."""

    id: UUID
    name: str
    mode: BotMode
    status: BotStatus
    trading_state: TradingState | None
    is_halted: bool


def names_of(user: Any) -> tuple[BotName, ...]:
    """The user's bots but the archived ones, in name order. One query."""
    rows = visible(models.Bot, user).exclude(status=BotStatus.ARCHIVED).order_by("name", "pk")
    found = rows.values_list("pk", "name", "mode", "status", "state__trading_state", "is_halted")
    return tuple(
        BotName(
            id=pk,
            name=name,
            mode=BotMode(mode),
            status=BotStatus(status),
            trading_state=TradingState(state) if state else None,
            is_halted=is_halted,
        )
        for pk, name, mode, status, state, is_halted in found
    )
