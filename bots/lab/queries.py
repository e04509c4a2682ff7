"""How the entrants of an arena stand beside each other, as values: in order of joining, never of result.

A fixed number of queries, however many entrants there are and however long they run. Nothing here is an
estimate: what stands here is booked, or valued at the latest prices. The trap avoided: a rank, or a word like
"ahead", for a difference that luck explains.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from bots import models as desk_models
from bots import queries as desk
from bots.domain.bot import BotStatus
from bots.lab.drawdowns import drawdowns_of
from bots.lab.models import Arena, Entrant
from bots.queries import Stand
from risk.domain import TradingState
from tradingagent.accounts.access import NotYours, visible

STEPS: Final = 96
SHORTEST_SPAN: Final = timedelta(minutes=2)
"""Curves of an arena that has just begun are drawn over this long."""
COLOURS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrantLine:
    """An entrant and how it stands, in the arena's currency at the latest prices.

    `colour`: 1 to 6 for models in order of joining, again from 1 for more; 0 for a baseline. `dash` counts those
    of one colour, so that two of them differ. `is_current` False: a price is missing, and equity is that of the
    last mark. `return_fraction` = equity ÷ capital − 1; `max_drawdown` the worst fall from a peak since the start
    (0 or below); both None before the start. `exposure`: gross notional as a multiple of equity, None without
    equity. `rounds`: how often its turn came. `llm_cost`: charged to it so far.
    """

    bot_id: UUID
    place: int
    label: str
    is_baseline: bool
    colour: int
    dash: int
    status: BotStatus
    trading_state: TradingState
    is_halted: bool
    equity: Decimal
    is_current: bool
    return_fraction: Decimal | None
    max_drawdown: Decimal | None
    trades: int
    rounds: int
    fees: Decimal
    llm_cost: Decimal
    exposure: Decimal | None
    holds: tuple[str, ...]

    @property
    def holds_bases(self) -> str:
        """What it holds, in a few letters: BTC, ETH."""
        return bases(self.holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaTable:
    """All entrants in order of joining. `as_of`: the latest instant that any of the numbers knows; `trades`
    closed by all of them, `rounds` of the one that had most."""

    arena: Arena
    lines: tuple[EntrantLine, ...]
    as_of: datetime
    trades: int
    rounds: int

    @property
    def is_current(self) -> bool:
        """True when every equity is that of the latest prices."""
        return all(line.is_current for line in self.lines)

    @property
    def bases(self) -> str:
        """What is traded, in a few letters."""
        return bases(self.arena.symbols)

    @property
    def models(self) -> tuple[EntrantLine, ...]:
        return tuple(line for line in self.lines if not line.is_baseline)

    @property
    def baselines(self) -> tuple[EntrantLine, ...]:
        return tuple(line for line in self.lines if line.is_baseline)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaLine:
    """An arena in a list."""

    arena: Arena
    entrants: int

    @property
    def bases(self) -> str:
        """What is traded, in a few letters."""
        return bases(self.arena.symbols)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """An entrant's return since the start at each common step: 0 at the start, a fraction."""

    line: EntrantLine
    values: tuple[Decimal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The curves of all entrants on common instants, oldest first; the last one is now."""

    at: tuple[datetime, ...]
    curves: tuple[Curve, ...]


def arenas_of(user: Any) -> tuple[ArenaLine, ...]:
    """The user's arenas, the latest first. One query."""
    rows = visible(Arena, user).annotate(joined=Count("entrants")).order_by("-created_at", "-pk")
    return tuple(ArenaLine(arena=row, entrants=row.joined) for row in rows)


def arena_of(user: Any, arena_id: UUID) -> Arena:
    """One of the user's arenas. One query. Raises NotYours."""
    found = visible(Arena, user).select_related("risk_profile").filter(pk=arena_id).first()
    if found is None:
        raise NotYours("there is no such arena")
    return found


def bots_in(arena: Arena) -> tuple[UUID, ...]:
    """The bots of an arena in order of joining. One query."""
    return tuple(arena.entrants.order_by("place").values_list("bot_id", flat=True))


def table_of(arena: Arena) -> ArenaTable:
    """How all entrants stand. Six queries."""
    entrants = list(arena.entrants.order_by("place"))
    stands, _ = desk.stands_of(desk_models.Bot.objects.filter(entrant__arena=arena))
    stand_of = {stand.bot.pk: stand for stand in stands}
    closed = desk_models.ClosedTrade.objects.filter(bot__in=list(stand_of)).order_by()
    trades = dict(closed.values_list("bot").annotate(Count("pk")))
    falls: dict[UUID, Decimal] = {}
    if arena.started_at is not None:
        now = {pk: stand.worth.equity for pk, stand in stand_of.items()}
        falls = drawdowns_of(arena.pk, arena.started_at, arena.capital, now)
    lines = tuple(
        _line(arena, entrant, stand_of[entrant.bot_id], marks, trades, falls)
        for entrant, marks in zip(entrants, _marks(entrants), strict=True)
    )
    return ArenaTable(
        arena=arena,
        lines=lines,
        as_of=_as_of(arena, stands),
        trades=sum(line.trades for line in lines),
        rounds=max((line.rounds for line in lines), default=0),
    )


def race_of(table: ArenaTable) -> Race:
    """The curves of a table's entrants. One query, none before the start."""
    start = table.arena.started_at
    if start is None:
        return Race(at=(), curves=())
    end = max(timezone.now(), start + SHORTEST_SPAN)
    found = desk.curves_of([line.bot_id for line in table.lines], start, end, STEPS)
    capital = table.arena.capital
    curves = []
    for line in table.lines:
        *values, _ = found.values[line.bot_id]
        equities = [capital if value is None else value for value in (*values, line.equity)]
        curves.append(Curve(line=line, values=tuple(one / capital - 1 for one in equities)))
    return Race(at=found.at, curves=tuple(curves))


def bases(symbols: Sequence[str]) -> str:
    """BTC, ETH of BTC/USDT:USDT and ETH/USDT:USDT."""
    return ", ".join(symbol.partition("/")[0] for symbol in symbols)


# --- inside ----------------------------------------------------------------------------------------


def _marks(entrants: Sequence[Entrant]) -> list[tuple[int, int]]:
    """(colour, dash) of each: models take the colours in turn, baselines are all grey."""
    marks, models, baselines = [], 0, 0
    for entrant in entrants:
        if entrant.is_baseline:
            marks.append((0, baselines))
            baselines += 1
        else:
            marks.append((models % COLOURS + 1, models // COLOURS))
            models += 1
    return marks


def _line(
    arena: Arena,
    entrant: Entrant,
    stand: Stand,
    marks: tuple[int, int],
    trades: dict[UUID, int],
    falls: dict[UUID, Decimal],
) -> EntrantLine:
    bot, state, worth = stand.bot, stand.bot.state, stand.worth
    has_started = arena.started_at is not None
    return EntrantLine(
        bot_id=bot.pk,
        place=entrant.place,
        label=entrant.label,
        is_baseline=entrant.is_baseline,
        colour=marks[0],
        dash=marks[1],
        status=BotStatus(bot.status),
        trading_state=TradingState(state.trading_state),
        is_halted=bot.is_halted,
        equity=worth.equity,
        is_current=worth.is_current,
        return_fraction=worth.equity / arena.capital - 1 if has_started else None,
        max_drawdown=falls.get(bot.pk),
        trades=trades.get(bot.pk, 0),
        rounds=state.cycles,
        fees=state.fees,
        llm_cost=state.llm_cost,
        exposure=worth.gross_exposure / worth.equity if worth.equity > 0 else None,
        holds=tuple(one.symbol for one in stand.held if not one.is_dust),
    )


def _as_of(arena: Arena, stands: Sequence[Stand]) -> datetime:
    """The latest instant that a state or a price knows; never the time of asking, so that what is unchanged
    looks unchanged."""
    known = [stand.bot.state.equity_at for stand in stands]
    known += [stand.worth.as_of for stand in stands if stand.worth.as_of is not None]
    return max(known, default=arena.started_at or arena.created_at)
