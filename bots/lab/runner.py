"""The replay: the same cycle as live, stepped over recorded candles, with the quiet ones jumped.

A bar is quiet when nobody would do anything on it: the venue has no order to trigger or fill, no
funding, no liquidation; the trader has said beforehand (causally) that it would hold; no breaker can
trip even at the bar's worst price; no day turns. Equity over quiet bars is computed at once, exactly,
in scaled integers. Jump on and off give the same orders, fills, ledger, equity and denials.
"""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import numpy as np
import numpy.typing as npt

from bots.cycle import mark, record_equity, run_cycle
from bots.desk import Desk
from bots.domain.bot import BotConfig
from bots.domain.exits import in_words
from bots.lab.jumps import JumpPlanner
from bots.memory_ledger import MemoryLedger
from bots.observation import Observation, observe
from llm.ports import Trader
from market.domain.canonical import utc_text
from market.domain.data import from_milliseconds
from market.domain.numbers import ZERO
from market.venues.clocks import SteppedClock
from market.venues.replay_feed import InstrumentHistory, ReplayFeed
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import SimSettings
from risk.domain import Limits
from risk.profiles import describe

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaySetup:
    """Everything a replay depends on. The same setup gives the same result, byte for byte.

    `is_simulated` labels the histories as made, not recorded; it changes nothing but the report.
    """

    bot: BotConfig
    histories: Sequence[InstrumentHistory]
    trader: Trader
    limits: Limits
    sim: SimSettings = field(default_factory=SimSettings)
    spread_bps: Decimal = ZERO
    jump: bool = True
    is_simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """A finished replay. `seconds` covers the loop alone: from the first bar to the last, after loading
    and signals. `identity_error` is 0 when ledger, refold, curve and venue agree to the last digit."""

    setup: ReplaySetup
    ledger: MemoryLedger
    final_equity: Decimal
    identity_error: Decimal
    candles: int
    cycles_evaluated: int
    bars_evaluated: int
    seconds: float


def run_replay(setup: ReplaySetup, progress: Progress | None = None) -> ReplayResult:
    """Replay a setup from its first bar to its last; what is open then is closed at the last close."""
    bars = setup.histories[0].bars
    if not len(bars):
        raise ValueError("there are no candles to replay")
    instruments = {history.instrument.symbol: history.instrument for history in setup.histories}
    clock = SteppedClock(bars.opened(0))
    feed = ReplayFeed(setup.histories, timeframe=setup.bot.timeframe, spread_bps=setup.spread_bps)
    broker = SimBroker(instruments.values(), settings=setup.sim, cash=setup.bot.capital)
    ledger = MemoryLedger(setup.bot, bars.opened(0))
    desk = Desk(
        bot=setup.bot,
        clock=clock,
        feed=feed,
        trader=setup.trader,
        broker=broker,
        ledger=ledger,
        limits=setup.limits,
        instruments=instruments,
        described_limits=(*describe(setup.limits), *in_words(setup.bot.exits)),
    )
    planner = JumpPlanner(desk, setup.histories, broker, ledger)
    closed_at = bars.opened_at + bars.timeframe // timedelta(milliseconds=1)
    began = time.perf_counter()
    with _rare_collections():
        evaluated = _loop(setup, desk, clock, planner, closed_at, progress)
    seconds = time.perf_counter() - began
    final = _close_out(desk, broker, ledger)
    return ReplayResult(
        setup=setup,
        ledger=ledger,
        final_equity=final,
        identity_error=identity_error(desk, broker, ledger),
        candles=len(bars) * len(setup.histories),
        cycles_evaluated=ledger.cycles_run(),
        bars_evaluated=evaluated,
        seconds=seconds,
    )


def _loop(
    setup: ReplaySetup,
    desk: Desk,
    clock: SteppedClock,
    planner: JumpPlanner,
    closed_at: npt.NDArray[np.int64],
    progress: Progress | None,
) -> int:
    """Step from the first bar to the last; how many were evaluated."""
    is_due = due_bars(closed_at, setup.bot.interval)
    must_ask = not setup.jump or setup.limits.soft_drawdown_fraction is not None  # close or keep?
    last, index, evaluated = len(closed_at) - 1, 0, 0
    while True:
        now = from_milliseconds(int(closed_at[index]))
        clock.advance_to(now)
        if is_due[index] and (must_ask or planner.may_speak(index)):
            run_cycle(desk, utc_text(now))
        else:
            mark(desk)
        evaluated += 1
        if progress is not None:
            progress(index + 1)
        if index == last:
            return evaluated
        index = planner.advance(index) if setup.jump else index + 1


@contextmanager
def _rare_collections() -> Iterator[None]:
    """A replay makes hundreds of thousands of small values, none of them in a cycle: looking for cycles
    every 700 of them costs a fifth of its time."""
    usual = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def due_bars(closed_at: npt.NDArray[np.int64], interval: timedelta) -> npt.NDArray[np.bool_]:
    """The bars whose close is a decision's due instant: multiples of the interval since the epoch."""
    due: npt.NDArray[np.bool_] = closed_at % (interval // timedelta(milliseconds=1)) == 0
    return due


def _close_out(desk: Desk, broker: SimBroker, ledger: MemoryLedger) -> Decimal:
    """Close what is open at the last close, flagged END_OF_DATA, and book it on the last point."""
    seen: Observation = observe(desk, desk.clock.now())
    ledger.apply(broker.close_all_at(seen.account.marks, seen.now), desk.instruments)
    record_equity(desk, seen)
    return ledger.book.cash


def identity_error(desk: Desk, broker: SimBroker, ledger: MemoryLedger) -> Decimal:
    """Σ |differences| between the book's cash and: its totals, its rows, a refold of its log, the curve's
    last point, and the venue's own wallet (less what models cost, which the venue doesn't know)."""
    book = ledger.book
    refolded = ledger.refolded(desk.instruments)
    rows = sum((entry.amount for entry in ledger.entries), ZERO)
    _, curve = ledger.equity_curve()
    others = (
        book.totals.cash,
        rows,
        refolded.cash,
        Decimal(int(curve[-1])).scaleb(-8),
        broker.state.cash - book.totals.llm_cost,
    )
    drift = sum((abs(book.cash - other) for other in others), ZERO)
    differ = (refolded.positions, refolded.dust) != (book.positions, book.dust)
    return drift + (1 if differ else 0)
