"""The ledger in memory and the one in the database, fed the same reports in lock-step, agree bit for bit.

Streams of orders, claims, fills, flips, funding, adjustments, bills and repeats, with restarts between: the
database's ledger forgets everything but its rows then, and meets what it has booked as if it were new.
"""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.books import differences, open_books
from bots.domain.bot import BotConfig
from bots.domain.entries import ExitPlan
from bots.memory_ledger import MemoryLedger
from bots.models import BotState
from market.domain.enums import (
    FillReason,
    Liquidity,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
)
from market.domain.orders import Adjustment, Fill, FundingPayment, Order, OrderReport
from tests.bots.database_ledger import DatabaseLedger, bot_row
from tests.bots.desks import START
from tests.scenarios.tables import SYMBOL, instrument

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "OTHER/USDT:USDT"
INSTRUMENTS = {
    SYMBOL: instrument(),
    OTHER: instrument(symbol=OTHER, base="OTHER", contract_size=D("0.1")),
}
SECOND = timedelta(seconds=1)
EXAMPLES = 500 if settings().max_examples > 1000 else 30

NUMBER = st.integers(0, 60)
SIGNED = st.integers(-400, 400)
COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "order", "claim", "status", "fill", "fill", "fill", "foreign", "funding", "adjustment",
                "bill", "repeat", "repeat", "lose", "plan", "equity", "restart",
            ]
        ),
        NUMBER,
        SIGNED,
    ),
    min_size=5,
    max_size=30,
)  # fmt: skip


class Both:
    """Two ledgers of one bot, each told the same."""

    def __init__(self) -> None:
        self.bot = BotConfig(
            id=uuid4(), symbols=tuple(sorted(INSTRUMENTS)), interval=timedelta(minutes=3),
            timeframe=timedelta(minutes=3), capital=D(10_000), currency="USDT",
            time_zone="Europe/Berlin",
        )  # fmt: skip
        bot_row(self.bot)
        open_books(self.bot, START)
        self.memory = MemoryLedger(self.bot, START)
        self.restart()
        self.at = START
        self.orders: list[str] = []
        self.sent: set[str] = set()
        self.told: list = []
        self.trades = 0

    def restart(self, *_: int) -> None:
        """A new holder, who cancels what was written and not sent; the memory never dies, so it is told."""
        reason = "never sent: whoever wrote it is gone"
        for order in tuple(self.memory.book.open_orders.values()):
            if order.status is OrderStatus.INITIALIZED:
                self.memory.move_order(order.client_order_id, OrderStatus.CANCELED, reason)
        self.database = DatabaseLedger(self.bot, INSTRUMENTS)
        self.database.heal()

    def both(self, act: str, *arguments, **options) -> None:
        answers = [
            getattr(ledger, act)(*arguments, **options) for ledger in (self.memory, self.database)
        ]
        assert answers[0] == answers[1]

    def tell(self, *reports) -> None:
        self.told.extend(reports)
        self.both("apply", reports, INSTRUMENTS)

    def known(self, number: int, *statuses: OrderStatus) -> Order | None:
        found = [self.memory.orders[one] for one in self.orders]
        fitting = [one for one in found if one.status in statuses]
        return fitting[number % len(fitting)] if fitting else None

    # -- commands ---------------------------------------------------------------------------------

    def order(self, number: int, signed: int) -> None:
        is_entry = number % 3 > 0
        order = Order(
            client_order_id=UUID(int=self.bot.id.int ^ (len(self.orders) + 1)).hex,
            symbol=SYMBOL if number % 2 else OTHER,
            side=OrderSide.BUY if signed >= 0 else OrderSide.SELL,
            order_type=OrderType.MARKET,
            purpose=OrderPurpose.ENTRY if is_entry else OrderPurpose.CLOSE,
            quantity=D(abs(signed) + 1) / 100,
            reduce_only=not is_entry,
            leverage=D(number % 5 + 1),
            stop_price=D(80) if is_entry else None,
            note="because" if is_entry else "",
            created_at=self.at,
        )
        self.orders.append(order.client_order_id)
        self.both("write_orders", [order])

    def claim(self, number: int, _: int) -> None:
        if order := self.known(number, OrderStatus.INITIALIZED):
            self.both("claim", [order])
            self.sent.add(order.client_order_id)

    def status(self, number: int, _: int) -> None:
        if order := self.known(number, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN):
            status = (OrderStatus.ACCEPTED, OrderStatus.REJECTED, OrderStatus.CANCELED)[number % 3]
            self.tell(self._report(order, status=status, reason="so"))

    def fill(self, number: int, signed: int) -> None:
        order = self.known(
            number, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED,
            OrderStatus.CANCELED, OrderStatus.NEVER_ARRIVED,
        )  # fmt: skip
        if order is not None and order.client_order_id in self.sent:
            left = order.quantity - order.filled_quantity
            part = left if number % 2 else max(D("0.01"), (left / 3).quantize(D("0.01")))
            more = D("0.01") if signed == 400 else D(0)  # more than was ordered
            if part + more > 0:
                self.tell(self._report(order, self._fill(order, part + more, signed)))

    def foreign(self, number: int, signed: int) -> None:
        order = Order(
            client_order_id="", symbol=SYMBOL if number % 2 else OTHER, order_type=OrderType.MARKET,
            side=OrderSide.BUY if signed >= 0 else OrderSide.SELL, purpose=OrderPurpose.CLOSE,
            quantity=D(1), reduce_only=True, leverage=D(1), created_at=self.at,
        )  # fmt: skip
        fill = replace(
            self._fill(order, D(number + 1) / 20, signed),
            client_order_id=None,
            reason=FillReason.LIQUIDATION if number % 2 else FillReason.FOREIGN,
        )
        self.tell(replace(self._report(order, fill), client_order_id=None))

    def funding(self, number: int, signed: int) -> None:
        payment = FundingPayment(
            at=START + timedelta(hours=number % 7), symbol=SYMBOL if number % 2 else OTHER,
            amount=D(signed) / 8_000, rate=D("0.0001"), mark_price=D(100),
        )  # fmt: skip
        self.tell(payment)

    def adjustment(self, number: int, signed: int) -> None:
        name = f"adjustment {number % 9}"
        self.tell(
            Adjustment(at=self.at, symbol=SYMBOL, amount=D(signed) / 250, kind="rebate", key=name)
        )

    def bill(self, number: int, signed: int) -> None:
        cost = None if signed == 0 else D(abs(signed)) / 32_000
        self.both("charge_llm", self.at, cost, ok=number % 4 > 0, key=f"slot {number % 20}")

    def repeat(self, number: int, signed: int) -> None:
        if self.told:
            start = number % len(self.told)
            self.tell(*self.told[start : start + abs(signed) % 4 + 1])

    def lose(self, number: int, _: int) -> None:
        if order := self.known(number, OrderStatus.UNKNOWN):
            self.both("move_order", order.client_order_id, OrderStatus.NEVER_ARRIVED, "lost")
        elif order := self.known(number, OrderStatus.SUBMITTED):
            self.both("move_order", order.client_order_id, OrderStatus.UNKNOWN, "no answer")

    def plan(self, number: int, signed: int) -> None:
        self.both("set_plan", SYMBOL, ExitPlan(stop_price=D(number + 40), is_closing=signed > 300))

    def equity(self, number: int, signed: int) -> None:
        self.at += timedelta(hours=number % 30)
        self.both("record_equity", self.at, D(10_000) + D(signed) / 8)

    # -- parts ------------------------------------------------------------------------------------

    def _fill(self, order: Order, quantity: D, signed: int) -> Fill:
        self.trades += 1
        price = D(100) + D(signed) / 10
        return Fill(
            venue_trade_id=f"t{self.trades}", client_order_id=order.client_order_id,
            symbol=order.symbol, side=order.side, quantity=quantity, price=price,
            fee=(quantity * price / 1000).quantize(D("1e-8")), fee_currency="USDT",
            liquidity=Liquidity.TAKER, reason=FillReason.ORDER, at=self.at,
        )  # fmt: skip

    def _report(self, order: Order, fill: Fill | None = None, **fields) -> OrderReport:
        return OrderReport(
            at=self.at,
            symbol=order.symbol,
            client_order_id=order.client_order_id,
            fill=fill,
            **fields,
        )

    def agree(self) -> None:
        self.restart()
        memory, database = self.memory, self.database
        assert database.book == memory.book
        assert database.entries == memory.entries
        assert database.closed_trades == memory.closed_trades
        assert database.notices == memory.notices
        assert database.orders == memory.orders
        assert [fill.venue_trade_id for fill in database.fills] == [
            fill.venue_trade_id for fill in memory.fills
        ]
        assert all(map(_equal, memory.equity_curve(), database.equity_curve()))
        state = BotState.objects.get(pk=self.bot.id)
        assert differences(self.bot, state, INSTRUMENTS) == []


def _equal(one, other) -> bool:
    return one.tolist() == other.tolist()


@settings(max_examples=EXAMPLES)
@given(COMMANDS)
def test_both_ledgers_agree_bit_for_bit(commands):
    ledgers = Both()
    for command, number, signed in commands:
        ledgers.at += SECOND
        getattr(ledgers, command)(number, signed)
        assert ledgers.database.book == ledgers.memory.book
    ledgers.agree()
