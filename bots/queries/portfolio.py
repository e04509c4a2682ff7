"""Bots as a list, and what they are worth together.

Equity is as of the last mark, which stores no price of a symbol. What it stores is enough for exposure:
equity − cash is what all positions have gained since they were entered. The trap avoided: adding what
can't be added, currencies, or simulated money to real.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, Subquery

from bots import models
from bots.domain.bot import BotMode, BotStatus
from bots.domain.records import CycleOutcome
from market.domain.numbers import ZERO
from risk.domain import TradingState
from tradingagent.accounts.access import visible


@dataclass(frozen=True, slots=True, kw_only=True)
class LastCycle:
    """The cycle that began last. `outcome` is None while it runs, and of one that was abandoned."""

    id: UUID
    status: str
    outcome: CycleOutcome | None
    started_at: datetime
    ended_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLine:
    """A bot and how it stands. Amounts are in `currency` and as of `equity_at`.

    `pnl` = equity − deposits + withdrawals; `return_fraction` = pnl ÷ what was paid in (None when
    nothing is left of that). `net_exposure` is signed, at the last mark. `gross_exposure` too, unless
    longs and shorts are held at once: then it is what was paid for them. `mind`: a baseline's or a
    model profile's name.
    """

    id: UUID
    name: str
    mode: BotMode
    status: BotStatus
    is_halted: bool
    trading_state: TradingState
    venue: str
    symbols: tuple[str, ...]
    mind: str
    risk_profile: str
    currency: str
    paid_in: Decimal
    cash: Decimal
    equity: Decimal
    equity_at: datetime
    pnl: Decimal
    return_fraction: Decimal | None
    unrealized_pnl: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    open_positions: int
    cycles: int
    last_cycle: LastCycle | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sums over bots of one mode and currency; see BotLine."""

    mode: BotMode
    currency: str
    bots: int
    paid_in: Decimal
    equity: Decimal
    pnl: Decimal
    return_fraction: Decimal | None
    gross_exposure: Decimal
    net_exposure: Decimal
    open_positions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """A user's bots but the archived ones, and one total for each mode and currency, in name order."""

    bots: tuple[BotLine, ...]
    totals: tuple[Total, ...]


def bots_of(user: Any, *, archived: bool = False) -> tuple[BotLine, ...]:
    """The user's bots in name order; archived ones, or all others. Three queries."""
    rows = visible(models.Bot, user)
    if archived:
        rows = rows.filter(status=BotStatus.ARCHIVED)
    else:
        rows = rows.exclude(status=BotStatus.ARCHIVED)
    held = defaultdict(list)
    for position in models.Position.objects.filter(bot__in=rows):
        held[position.bot_id].append(position)
    latest = models.TradingCycle.objects.filter(bot=OuterRef("pk")).order_by("-started_at")
    newest = rows.annotate(newest=Subquery(latest.values("pk")[:1])).values("newest")
    cycles = {
        cycle.bot_id: cycle
        for cycle in models.TradingCycle.objects.filter(pk__in=newest).only(
            "bot_id", "status", "outcome", "started_at", "ended_at", "reason"
        )
    }
    listed = rows.select_related("state", "risk_profile", "model_profile").defer(
        "owner_words", "state__book", "state__recent", "state__day_navs"
    )
    return tuple(
        _line(bot, held[bot.pk], cycles.get(bot.pk)) for bot in listed.order_by("name", "pk")
    )


def portfolio(user: Any) -> Portfolio:
    """What the user's bots are worth, each and together. Three queries."""
    lines = bots_of(user)
    grouped = defaultdict(list)
    for line in lines:
        grouped[line.mode, line.currency].append(line)
    return Portfolio(
        bots=lines,
        totals=tuple(_total(mode, currency, grouped[mode, currency])
                     for mode, currency in sorted(grouped)),
    )  # fmt: skip


def exposure(
    positions: Sequence[models.Position], unrealized_pnl: Decimal
) -> tuple[Decimal, Decimal]:
    """(gross, net) notional of what is held, which has gained `unrealized_pnl` in all.

    A long is worth its cost + its gain, a short its cost − its gain: signed, both are the signed cost
    + the gain, so the sum of gains is enough for the net.
    """
    longs = sum((one.entry_cost for one in positions if one.quantity > 0), ZERO)
    shorts = sum((one.entry_cost for one in positions if one.quantity < 0), ZERO)
    if not positions:
        return ZERO, ZERO
    net = longs - shorts + unrealized_pnl
    return (longs + shorts if longs and shorts else abs(net)), net


def _line(
    bot: models.Bot, held: Sequence[models.Position], cycle: models.TradingCycle | None
) -> BotLine:
    state = bot.state
    paid_in = state.deposits - state.withdrawals
    pnl = state.equity - paid_in
    unrealized = state.equity - state.cash if held else ZERO
    gross, net = exposure(held, unrealized)
    return BotLine(
        id=bot.pk,
        name=bot.name,
        mode=BotMode(bot.mode),
        status=BotStatus(bot.status),
        is_halted=bot.is_halted,
        trading_state=TradingState(state.trading_state),
        venue=bot.venue,
        symbols=tuple(bot.symbols),
        mind=bot.trader if bot.model_profile is None else bot.model_profile.name,
        risk_profile=bot.risk_profile.name,
        currency=bot.currency,
        paid_in=paid_in,
        cash=state.cash,
        equity=state.equity,
        equity_at=state.equity_at,
        pnl=pnl,
        return_fraction=_fraction(pnl, paid_in),
        unrealized_pnl=unrealized,
        gross_exposure=gross,
        net_exposure=net,
        open_positions=sum(not one.is_dust for one in held),
        cycles=state.cycles,
        last_cycle=None if cycle is None else _last(cycle),
    )


def _last(cycle: models.TradingCycle) -> LastCycle:
    return LastCycle(
        id=cycle.pk,
        status=cycle.status,
        outcome=None if cycle.outcome is None else CycleOutcome(cycle.outcome),
        started_at=cycle.started_at,
        ended_at=cycle.ended_at,
        reason=cycle.reason,
    )


def _total(mode: BotMode, currency: str, lines: Sequence[BotLine]) -> Total:
    paid_in = sum((line.paid_in for line in lines), ZERO)
    pnl = sum((line.pnl for line in lines), ZERO)
    return Total(
        mode=mode,
        currency=currency,
        bots=len(lines),
        paid_in=paid_in,
        equity=sum((line.equity for line in lines), ZERO),
        pnl=pnl,
        return_fraction=_fraction(pnl, paid_in),
        gross_exposure=sum((line.gross_exposure for line in lines), ZERO),
        net_exposure=sum((line.net_exposure for line in lines), ZERO),
        open_positions=sum(line.open_positions for line in lines),
    )


def _fraction(pnl: Decimal, paid_in: Decimal) -> Decimal | None:
    return pnl / paid_in if paid_in > 0 else None
