"""A desk with literal parts: prices that a test sets, decisions that it scripts, a broker that it may break."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from bots.desk import Desk
from bots.domain.bot import BotConfig
from bots.domain.exits import ExitRules
from bots.memory_ledger import MemoryLedger
from llm.domain import Decision, DecisionAction, DecisionItem, DecisionView, StopRequirement
from market.domain.data import CandleSeries, InstrumentSnapshot, MarketSnapshot, Quote
from market.domain.enums import OrderStatus
from market.domain.instruments import Instrument
from market.domain.orders import Order, OrderReport, VenueReport
from market.errors import VenueUnavailable
from market.venues.clocks import SteppedClock
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import SimSettings
from risk.domain import Limits
from risk.profiles import profile
from tests.scenarios.tables import SYMBOL, candles, instrument

START = datetime(2022, 1, 3, 12, tzinfo=UTC)
BEAT = timedelta(seconds=15)
D = Decimal


@dataclass
class LiteralFeed:
    """Serves the prices that were set last; `down` raises, `unusable` takes an instrument out, `told_at` is when
    prices were told that came late."""

    traded: tuple[Instrument, ...]
    prices: dict[str, Decimal] = field(default_factory=dict)
    marks: dict[str, Decimal] = field(default_factory=dict)
    unusable: dict[str, str] = field(default_factory=dict)
    told_at: datetime | None = None
    down: bool = False

    def instruments(self) -> Sequence[Instrument]:
        return self.traded

    def snapshot(self, symbols: Sequence[str], now: datetime) -> MarketSnapshot:
        if self.down:
            raise VenueUnavailable("the feed is down")
        return MarketSnapshot(
            as_of=now, instruments=tuple(self._one(symbol, now) for symbol in sorted(symbols))
        )

    def _one(self, symbol: str, now: datetime) -> InstrumentSnapshot:
        traded = next(item for item in self.traded if item.symbol == symbol)
        price = self.prices.get(symbol)
        quote = None
        if price is not None:
            mark = self.marks.get(symbol, price)
            at = self.told_at or now
            quote = Quote(symbol=symbol, at=at, bid=price, ask=price, last=price, mark=mark)
        return InstrumentSnapshot(
            instrument=traded,
            quote=quote,
            candles=NO_CANDLES,
            bars=NO_CANDLES,
            unusable=self.unusable.get(symbol, None if price is not None else "no price"),
        )


NO_CANDLES: CandleSeries = candles("100 100 100 100").first(0)


@dataclass
class LiteralTrader:
    """Says what the test wrote, one decision a call, then holds; keeps the views that it saw."""

    answers: list[Decision] = field(default_factory=list)
    views: list[DecisionView] = field(default_factory=list)
    name: str = "literal"
    stop: StopRequirement = StopRequirement.REQUIRED
    thinking: object = None

    def decide(self, view: DecisionView) -> Decision:
        self.views.append(view)
        if callable(self.thinking):
            self.thinking()
        return self.answers.pop(0) if self.answers else Decision(trader=self.name)


class BreakableBroker:
    """The simulated broker behind a wire that can be cut before or after the venue acted."""

    def __init__(self, broker: SimBroker) -> None:
        self.venue = broker
        self.cut_sync = False
        self.cut_submit: str | None = None
        self.cut_cancel = False
        self.refuse_purpose: str | None = None
        self.submitted: list[str] = []

    def sync(self, snapshot: MarketSnapshot) -> Sequence[VenueReport]:
        if self.cut_sync:
            raise VenueUnavailable("no answer")
        return self.venue.sync(snapshot)

    def submit(self, order: Order, attached: Sequence[Order] = ()) -> Sequence[VenueReport]:
        self.submitted.append(order.client_order_id)
        if self.cut_submit == "before":
            raise VenueUnavailable("the request never left")
        if self.refuse_purpose == order.purpose:
            return [
                OrderReport(
                    at=order.created_at,
                    symbol=order.symbol,
                    client_order_id=order.client_order_id,
                    status=OrderStatus.REJECTED,
                    reason="NOT_TODAY",
                )
            ]
        reports = self.venue.submit(order, attached)
        if self.cut_submit == "after":
            raise VenueUnavailable("the answer was lost")
        return reports

    def lookup(self, order: Order) -> Sequence[VenueReport]:
        return self.venue.lookup(order)

    def cancel(self, client_order_id: str) -> Sequence[VenueReport]:
        if self.cut_cancel:
            raise VenueUnavailable("no answer")
        return self.venue.cancel(client_order_id)


class RememberingLedger(MemoryLedger):
    """The memory ledger with the two acts that the database's needs rows for."""

    def forget_slots(self) -> None:
        self._slots.clear()

    def heal(self) -> None:
        return None


@dataclass
class Stand:
    """A desk and its parts, for tests to turn."""

    desk: Desk
    clock: SteppedClock
    feed: LiteralFeed
    trader: LiteralTrader
    broker: BreakableBroker
    ledger: Any

    def tick(
        self, price: str | None = None, *, mark: str | None = None, by: timedelta = BEAT
    ) -> None:
        """Let time pass, and the price move."""
        if price is not None:
            self.feed.prices[SYMBOL] = D(price)
            self.feed.marks[SYMBOL] = D(mark or price)
        self.clock.advance_to(self.clock.now() + by)


def _in_memory(bot: BotConfig, instruments, at: datetime) -> MemoryLedger:
    return RememberingLedger(bot, at)


def _in_database(bot: BotConfig, instruments, at: datetime):
    from tests.bots.database_ledger import DatabaseLedger

    return DatabaseLedger.opened(bot, instruments, at)


LEDGERS = {"memory": _in_memory, "database": _in_database}
LEDGER = "memory"
"""Which ledger `stand` opens: `either_ledger` turns it."""


def stand(
    limits: Limits | None = None,
    *answers: Decision,
    price: str = "100",
    symbols: tuple[str, ...] = (SYMBOL,),
    exits: ExitRules | None = None,
    prices: Mapping[Instrument, str] | None = None,
) -> Stand:
    """A paper desk on instruments of round numbers (fee 0.1%, tick 0.1, step 0.01), 10,000 of cash; with
    `prices`, on these instruments at these prices."""
    listed = prices or {
        instrument(symbol=symbol): price if symbol == SYMBOL else "" for symbol in symbols
    }
    traded, symbols = tuple(listed), tuple(one.symbol for one in listed)
    shown = {one.symbol: D(price) for one, price in listed.items() if price}
    clock, feed = SteppedClock(START), LiteralFeed(traded=traded, prices=shown)
    trader = LiteralTrader(answers=list(answers))
    bot = BotConfig(
        id=UUID(int=1), symbols=symbols, interval=timedelta(minutes=3),
        timeframe=timedelta(minutes=3), capital=D(10_000), currency="USDT", exits=exits or ExitRules(),
    )  # fmt: skip
    broker = BreakableBroker(
        SimBroker(traded, settings=SimSettings(execute_on_quotes=True), cash=bot.capital)
    )
    ledger = LEDGERS[LEDGER](bot, {item.symbol: item for item in traded}, START)
    desk = Desk(
        bot=bot, clock=clock, feed=feed, trader=trader, broker=broker, ledger=ledger,
        limits=limits or profile("balanced"),
        instruments={item.symbol: item for item in traded},
    )  # fmt: skip
    return Stand(desk, clock, feed, trader, broker, ledger)


def says(action: DecisionAction, **fields: object) -> Decision:
    """A decision of one item."""
    values = {
        name: D(str(value)) if isinstance(value, (int, float, str)) else value
        for name, value in fields.items()
    }
    item = DecisionItem(symbol=SYMBOL, action=action, **values)  # type: ignore[arg-type]
    return Decision(trader="literal", items=(item,))


def buys(**fields: object) -> Decision:
    """A long of 15 at 100 with a stop at 95 and a target at 110."""
    wish = {
        "notional": 1500, "leverage": 5, "stop_loss": 95, "take_profit": 110, "confidence": "0.8",
    }  # fmt: skip
    return says(DecisionAction.BUY_TO_ENTER, **{**wish, **fields})
