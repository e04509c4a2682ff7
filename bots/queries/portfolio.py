"""Bots as a list, and what they are worth together, at the latest prices seen (`worth`).

The trap avoided: adding what can't be added, currencies, or simulated money to real.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from bots import models
from bots.domain.bot import BotMode, BotStatus
from bots.queries.history import CycleLine, cycle_line
from bots.queries.worth import Prices, Stand, Worth, stands_of
from market.domain.numbers import ZERO
from risk.domain import TradingState
from tradingagent.accounts.access import visible

Money = tuple[BotMode, str]
"""With whose money, in which currency: what is of one kind may be added."""
_RANK = {BotMode.LIVE: 0, BotMode.PAPER: 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """Those limits of a bot's profile that pages measure use against; None: off. Fractions are 0–1 of
    equity or its peak, the exposure a multiple of equity, the model's cost money per day."""

    max_gross_exposure: Decimal | None
    soft_drawdown_fraction: Decimal | None
    hard_drawdown_fraction: Decimal | None
    max_llm_cost_per_day: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BotLine:
    """A bot and how it stands. Amounts are in `currency`, at the latest prices seen.

    `worth` holds equity, exposure and what is open, exact at the prices of `worth.as_of`; where a price is
    missing it is that of the last mark, and says so. `pnl` = equity − deposits + withdrawals;
    `return_fraction` = pnl ÷ what was paid in (None when nothing is left of that). `drawdown_fraction`:
    how far equity stands below its peak (0–1, ≥ 0). `last_cycle`: the one that began last. `mind`: a
    baseline's or a model profile's name; `asks_model` tells which. `stand`: the rows behind it, for queries
    that go on from here.
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
    asks_model: bool
    risk_profile: str
    caps: Caps
    currency: str
    interval_seconds: int
    opened_at: datetime
    paid_in: Decimal
    cash: Decimal
    worth: Worth
    pnl: Decimal
    return_fraction: Decimal | None
    drawdown_fraction: Decimal
    open_positions: int
    cycles: int
    last_cycle: CycleLine | None
    stand: Stand

    @property
    def money(self) -> Money:
        return self.mode, self.currency

    @property
    def equity(self) -> Decimal:
        return self.worth.equity


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sums over bots of one mode and currency; see BotLine. `as_of`: the oldest price in any of them."""

    mode: BotMode
    currency: str
    bots: int
    paid_in: Decimal
    equity: Decimal
    pnl: Decimal
    return_fraction: Decimal | None
    unrealized_pnl: Decimal
    gross_exposure: Decimal
    net_exposure: Decimal
    open_positions: int
    as_of: datetime | None
    is_current: bool

    @property
    def money(self) -> Money:
        return self.mode, self.currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """A user's bots but the archived ones, and one total for each mode and currency, in name order.
    `prices`: what was used to value what they hold."""

    bots: tuple[BotLine, ...]
    totals: tuple[Total, ...]
    prices: Prices


def bots_of(user: Any, *, archived: bool = False) -> tuple[BotLine, ...]:
    """The user's bots in name order; archived ones, or all others. Four queries."""
    rows = visible(models.Bot, user)
    if archived:
        return _lines(rows.filter(status=BotStatus.ARCHIVED))[0]
    return _lines(rows.exclude(status=BotStatus.ARCHIVED))[0]


def portfolio(user: Any) -> Portfolio:
    """What the user's bots are worth, each and together. Four queries."""
    lines, prices = _lines(visible(models.Bot, user).exclude(status=BotStatus.ARCHIVED))
    return Portfolio(bots=lines, totals=totals_of(lines), prices=prices)


def totals_of(lines: Sequence[BotLine]) -> tuple[Total, ...]:
    """One total for each mode and currency among these bots, in name order."""
    grouped: dict[Money, list[BotLine]] = defaultdict(list)
    for line in lines:
        grouped[line.money].append(line)
    return tuple(_total(money, grouped[money]) for money in sorted(grouped))


def by_rank(totals: Sequence[Total]) -> list[Total]:
    """Totals in the order in which pages show them: real money first, then by the number of bots."""
    return sorted(totals, key=lambda one: (_RANK[one.mode], -one.bots, one.currency))


def _lines(rows: QuerySet[models.Bot]) -> tuple[tuple[BotLine, ...], Prices]:
    stands, prices = stands_of(rows)
    latest = models.TradingCycle.objects.filter(bot=OuterRef("pk")).order_by("-started_at")
    newest = rows.annotate(newest=Subquery(latest.values("pk")[:1])).values("newest")
    found = models.TradingCycle.objects.filter(pk__in=newest).defer("record")
    cycles = {cycle.bot_id: cycle_line(cycle) for cycle in found}
    return tuple(_line(stand, cycles.get(stand.bot.pk)) for stand in stands), prices


def _line(stand: Stand, cycle: CycleLine | None) -> BotLine:
    bot, state, profile, worth = stand.bot, stand.bot.state, stand.bot.risk_profile, stand.worth
    paid_in = state.deposits - state.withdrawals
    pnl = worth.equity - paid_in
    model = bot.model_profile
    return BotLine(
        id=bot.pk,
        name=bot.name,
        mode=BotMode(bot.mode),
        status=BotStatus(bot.status),
        is_halted=bot.is_halted,
        trading_state=TradingState(state.trading_state),
        venue=bot.venue,
        symbols=tuple(bot.symbols),
        mind=bot.trader if model is None else model.name,
        asks_model=model is not None,
        risk_profile=profile.name,
        caps=Caps(
            max_gross_exposure=profile.max_gross_exposure,
            soft_drawdown_fraction=profile.soft_drawdown_fraction,
            hard_drawdown_fraction=profile.hard_drawdown_fraction,
            max_llm_cost_per_day=profile.max_llm_cost_per_day,
        ),
        currency=bot.currency,
        interval_seconds=bot.interval_seconds,
        opened_at=state.opened_at,
        paid_in=paid_in,
        cash=state.cash,
        worth=worth,
        pnl=pnl,
        return_fraction=_fraction(pnl, paid_in),
        drawdown_fraction=_drawdown(worth.equity, state.peak_nav),
        open_positions=sum(not one.is_dust for one in stand.held),
        cycles=state.cycles,
        last_cycle=cycle,
        stand=stand,
    )


def _total(money: Money, lines: Sequence[BotLine]) -> Total:
    paid_in = sum((line.paid_in for line in lines), ZERO)
    pnl = sum((line.pnl for line in lines), ZERO)
    mode, currency = money
    return Total(
        mode=mode,
        currency=currency,
        bots=len(lines),
        paid_in=paid_in,
        equity=sum((line.equity for line in lines), ZERO),
        pnl=pnl,
        return_fraction=_fraction(pnl, paid_in),
        unrealized_pnl=sum((line.worth.unrealized_pnl for line in lines), ZERO),
        gross_exposure=sum((line.worth.gross_exposure for line in lines), ZERO),
        net_exposure=sum((line.worth.net_exposure for line in lines), ZERO),
        open_positions=sum(line.open_positions for line in lines),
        as_of=min((line.worth.as_of for line in lines if line.worth.as_of), default=None),
        is_current=all(line.worth.is_current for line in lines),
    )


def _fraction(pnl: Decimal, paid_in: Decimal) -> Decimal | None:
    return pnl / paid_in if paid_in > 0 else None


def _drawdown(equity: Decimal, peak: Decimal) -> Decimal:
    return (peak - equity) / peak if peak > equity else ZERO
