"""What a prompt shows of a bot's past, and what the next equity point needs of the last: kept beside the
book, so that no history is read in a cycle.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import UUID

from bots.domain.entries import ClosedTrade
from bots.domain.stored_book import trade_from
from bots.metrics import sharpe_of_days
from bots.models import BotState
from market.domain.canonical import canonical_bytes
from market.domain.numbers import ZERO
from market.domain.stored import instant_or_none
from risk.domain import Code, Denial

KEPT: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Recent:
    """The last trades and denials, oldest first; equity as last seen, when, when a point was last stored;
    the owner's day, and the Sharpe ratio of the finished ones."""

    trades: tuple[ClosedTrade, ...] = ()
    denials: tuple[tuple[datetime, Denial], ...] = ()
    equity: Decimal = ZERO
    equity_at: datetime | None = None
    point_at: datetime | None = None
    day: str = ""
    sharpe: Decimal | None = None

    def with_trades(self, trades: Sequence[ClosedTrade]) -> "Recent":
        return replace(self, trades=(*self.trades, *trades)[-KEPT:])

    def with_denials(self, at: datetime, denials: Sequence[Denial]) -> "Recent":
        if not denials:
            return self
        return replace(self, denials=(*self.denials, *((at, one) for one in denials))[-KEPT:])

    def with_equity(self, at: datetime, equity: Decimal, *, is_point: bool) -> "Recent":
        point_at = at if is_point else self.point_at
        return replace(self, equity=equity, equity_at=at, point_at=point_at)

    def on_day(self, day: str, day_navs: Sequence[Decimal]) -> "Recent":
        """A new day of the owner has begun; `day_navs` up to the end of the last one."""
        return replace(self, day=day, sharpe=sharpe_of_days(day_navs))

    def text(self) -> str:
        """Canonical text; `from_text` reads it."""
        return canonical_bytes(self).decode()

    @classmethod
    def from_text(cls, text: str) -> "Recent":
        raw = json.loads(text)
        return cls(
            trades=tuple(trade_from(trade) for trade in raw["trades"]),
            denials=tuple(
                (
                    datetime.fromisoformat(at),
                    Denial(
                        symbol=denial["symbol"],
                        code=Code(denial["code"]),
                        context=denial["context"],
                    ),
                )
                for at, denial in raw["denials"]
            ),
            equity=Decimal(raw["equity"]),
            equity_at=instant_or_none(raw["equity_at"]),
            point_at=instant_or_none(raw["point_at"]),
            day=raw["day"],
            sharpe=None if raw["sharpe"] is None else Decimal(raw["sharpe"]),
        )


def day_navs_after(bot_id: UUID, recent: Recent) -> list[Decimal]:
    """The opening NAV and one for every finished day, the one that `recent` ends included."""
    stored = BotState.objects.values_list("day_navs", flat=True).get(pk=bot_id)
    return [*(Decimal(nav) for nav in json.loads(stored)), recent.equity]
