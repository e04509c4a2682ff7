"""The paper broker beside the same venue in memory: restarts, deaths before the answer, races.

Whatever happens to the processes, the money, the fills and the orders are those of a venue that never
stopped, and a ledger that ignores what it knows can believe every answer.
"""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal as D
from threading import Barrier

import pytest
from django.conf import settings
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from market.domain.enums import OrderStatus
from market.domain.orders import (
    Adjustment,
    FundingPayment,
    Order,
    OrderReport,
    VenueReport,
    apply_order_report,
)
from market.domain.positions import Position, apply_fill
from market.errors import VenueUnavailable
from market.models import SimRecord
from market.ports import Broker
from market.venues.paper_records import report_of
from market.venues.sim_venue.state import EndedOrders, SimState
from tests.market.paper_venue import PaperVenue
from tests.market.sim_broker.venue import BUY, PERPETUAL, SELL, SYMBOL, Venue, quote, rates

pytestmark = pytest.mark.django_db(transaction=True)

MINUTES = 120
MOVES = st.integers(-40, 40)
ROWS = st.lists(st.tuples(MOVES, MOVES, st.sampled_from([0, 50, 50])), min_size=MINUTES, max_size=MINUTES)  # fmt: skip
PLACE = st.integers(0, 200)
COMMANDS = st.lists(
    st.tuples(
        st.sampled_from(
            ["walk", "walk", "quote", "market", "market", "limit", "close", "cancel", "again"]
        ),
        PLACE,
        st.booleans(),  # the process dies before its answer is booked
    ),
    min_size=1,
    max_size=14,
)


def rows_of(moves) -> list[tuple]:
    price, rows = D(100), []
    for first, second, volume in moves:
        one, two = (max(price + D(move) / 10, D(20)) for move in (first, second))
        rows.append((price, max(price, one, two), min(price, one, two), two, volume))
        price = two
    return rows


class Believer:
    """A ledger that ignores what it knows and believes the rest; an answer that contradicts what was
    answered before raises."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self.fills: dict[str, OrderReport] = {}
        self.payments: dict[object, VenueReport] = {}

    def believe(self, reports) -> None:
        for report in reports:
            if isinstance(report, FundingPayment):
                self._keep(self.payments, (report.symbol, report.at), report)
            elif isinstance(report, Adjustment):
                self._keep(self.payments, report.key, report)
            elif self._is_news(report) and report.client_order_id in self.orders:
                order = self.orders[report.client_order_id]
                if report.fill or (report.status, report.quantity) != (None, None):
                    self.orders[report.client_order_id] = apply_order_report(order, report)

    def _is_news(self, report: OrderReport) -> bool:
        return report.fill is None or self._keep(self.fills, report.fill.venue_trade_id, report)

    def _keep(self, known, key, report) -> bool:
        assert known.setdefault(key, report) == report
        return known[key] is report


class Pair:
    """One market, one list of commands, two venues: on paper with restarts and deaths, and in memory."""

    def __init__(self, rows, on_quotes: bool, fraction) -> None:
        options = {
            "funding": rates(*((minute, "0.001") for minute in range(7, MINUTES, 10))),
            "execute_on_quotes": on_quotes,
            "max_volume_fraction": fraction,
            "cash": 1000,
        }
        self.on_quotes = on_quotes
        self.paper, self.memory = PaperVenue(rows, **options), Venue(rows, **options)
        self.booked, self.truth = Believer(), Believer()
        self.walked, self.sent = 0, 0
        self.prices = [row[0] for row in rows]
        self.show(1)

    def show(self, minutes: int) -> None:
        self.walked = min(self.walked + minutes, MINUTES - 1)
        price = self.prices[self.walked]
        quotes = {SYMBOL: quote(price, minute=self.walked)} if self.on_quotes else None
        self.paper_market = self.paper.snapshot(self.walked, quotes=quotes)
        self.memory_market = self.memory.snapshot(self.walked, quotes=quotes)
        self.truth.believe(self.memory.broker.sync(self.memory_market))

    def call(self, on_paper, in_memory, *, dies: bool) -> None:
        """A new process: reconcile, speak, book. One that dies has spoken and books nothing of that."""
        self.truth.believe(self.memory.broker.sync(self.memory_market))
        self.truth.believe(in_memory(self.memory.broker))
        broker = self.paper.restart()
        self.booked.believe(broker.sync(self.paper_market))
        answer = on_paper(broker)
        if not dies:
            self.booked.believe(answer)

    def submit(self, order: Order, *attached: Order, dies: bool) -> None:
        for one in (order, *attached):
            known = one.moved(OrderStatus.SUBMITTED)
            self.booked.orders.setdefault(one.client_order_id, known)
            self.truth.orders.setdefault(one.client_order_id, known)

        def send(broker):
            return broker.submit(order, attached)

        self.call(send, send, dies=dies)

    def run(self, name: str, place: int, dies: bool) -> None:
        self.sent += 1
        near = self.prices[self.walked].quantize(D("0.1"))
        stop = near - 1 - D(place % 30) / 10
        if name == "walk":
            self.show(1 + place % 30)
            if dies:
                self.paper.restart().sync(self.paper_market)
            else:
                self.booked.believe(self.paper.restart().sync(self.paper_market))
        elif name == "quote":
            self.show(0)
        elif name in ("market", "again"):
            number = self.sent if name == "market" else 1 + place % self.sent
            self.submit(
                self.memory.buy(1 + place % 5, name=f"buy-{number}", leverage=D(20)),
                self.memory.stop(SELL, stop, 1 + place % 5, name=f"stop-{number}"),
                self.memory.target(SELL, near + 2, 1 + place % 5, name=f"target-{number}"),
                dies=dies,
            )
        elif name == "limit":
            self.submit(
                self.memory.limit(BUY, stop, 2, name=f"limit-{self.sent}", leverage=D(20)),
                self.memory.stop(SELL, stop - 1, 2, name=f"under-{self.sent}"),
                dies=dies,
            )
        elif name == "close":
            close = self.memory.sell(1, name=f"close-{self.sent}", reduce_only=True)
            self.submit(close, dies=dies)
        else:
            ids = sorted(self.truth.orders) or ["nobody"]
            wanted = ids[place % len(ids)]
            self.call(lambda b: b.cancel(wanted), lambda b: b.cancel(wanted), dies=dies)

    def settle(self) -> None:
        """A last process, which hears everything out."""
        broker = self.paper.restart()
        self.booked.believe(broker.sync(self.paper_market))
        for order in self.booked.orders.values():
            self.booked.believe(broker.lookup(order))
        self.truth.believe(self.memory.broker.sync(self.memory_market))


def at_rest(state: SimState) -> SimState:
    """Without the ended orders, which are records, and how far it walked: walked again gives nothing."""
    return replace(state, ended=EndedOrders(), processed_until={})


@given(
    moves=ROWS,
    commands=COMMANDS,
    on_quotes=st.booleans(),
    fraction=st.sampled_from([None, None, D("0.02")]),
)
def test_restarts_and_deaths_change_nothing(moves, commands, on_quotes, fraction) -> None:
    pair = Pair(rows_of(moves), on_quotes, fraction)
    for name, place, dies in commands:
        pair.run(name, place, dies)
    pair.settle()
    assert pair.booked.fills == pair.truth.fills
    assert pair.booked.payments == pair.truth.payments
    assert {k: (o.status, o.filled_quantity) for k, o in pair.booked.orders.items()} == {
        k: (o.status, o.filled_quantity) for k, o in pair.truth.orders.items()
    }
    assert at_rest(pair.paper.state) == at_rest(pair.memory.state)


# --- several writers ----------------------------------------------------------------------------------

WRITERS, ORDERS = 3, 10
NEVER_DONE = 5000
BARS = [(100, 100, 100, 100)] * 30


def racing(**options) -> PaperVenue:
    venue = PaperVenue(BARS, cash=100_000, execute_on_quotes=True, **options)
    venue.meet(quote(100, minute=20))
    return venue


def trade(venue: Venue, broker: Broker, writer: int, orders: int = ORDERS) -> list[VenueReport]:
    """Send orders, each once; ask about those whose answer did not come, and only then send again."""
    market = venue.snapshot(20, quotes={SYMBOL: quote(100, minute=20)})
    heard: list[VenueReport] = []
    for number in range(orders):
        name = f"w{writer}-{number}"
        order = venue.buy(1, name=name, leverage=D(10), created_at=market.as_of)
        while True:
            try:
                heard += broker.sync(market)
                heard += broker.lookup(order) or broker.submit(order)
                break
            except VenueUnavailable:
                continue
    return heard


def assert_adds_up(venue: PaperVenue, orders: int) -> None:
    """The row is the fold of its records; each order filled once and ended once."""
    row, records = venue.row, list(SimRecord.objects.order_by("sequence"))
    assert [one.sequence for one in records] == list(range(1, row.last_sequence + 1))
    reports = [report_of(one.kind, one.payload) for one in records if one.kind != "ENDED"]
    fills = [one.fill for one in reports if isinstance(one, OrderReport) and one.fill]
    assert len(fills) == len(reports)
    assert len({fill.venue_trade_id for fill in fills}) == len(fills) == orders
    assert len({fill.client_order_id for fill in fills}) == orders
    assert SimRecord.objects.filter(kind="ENDED").count() == orders
    position, cash = Position(symbol=SYMBOL, leverage=D(10)), row.opening_cash
    for fill in fills:
        change = apply_fill(position, fill, PERPETUAL, leverage=D(10))
        position, cash = change.position, cash + change.realized_pnl - fill.fee
    assert venue.state.cash == cash
    assert venue.state.positions == {SYMBOL: position}


def test_racing_threads_lose_no_fill_and_double_none() -> None:
    venue = racing()
    together = Barrier(WRITERS)

    def write(writer: int) -> list[VenueReport]:
        try:
            together.wait()
            return trade(venue, venue.new_broker(), writer)
        finally:
            connection.close()

    with ThreadPoolExecutor(WRITERS) as pool:
        heard = [report for reports in pool.map(write, range(WRITERS)) for report in reports]
    assert_adds_up(venue, WRITERS * ORDERS)
    known = {one.fill.venue_trade_id for one in heard if isinstance(one, OrderReport) and one.fill}
    assert len(known) == WRITERS * ORDERS


SCRIPT = """
import sys
import django
django.setup()
from tests.market.test_paper_broker_crashes import BARS, trade
from tests.market.sim_broker.venue import PERPETUAL, Venue
from market.venues.paper_broker import PaperBroker
from market.venues.sim_venue.settings import SimSettings

account, writer, orders = map(int, sys.argv[1:])
print("ready", flush=True)
sys.stdin.readline()
venue = Venue(BARS, execute_on_quotes=True)
trade(venue, PaperBroker(account, [PERPETUAL], SimSettings(execute_on_quotes=True)), writer, orders)
"""


def start_writer(venue: PaperVenue, writer: int, orders: int) -> subprocess.Popen[str]:
    config = connection.settings_dict
    url = f"sqlite:///{config['NAME']}"
    if connection.vendor == "postgresql":
        user = f"{config['USER']}:{config['PASSWORD']}".rstrip(":")
        url = f"postgres://{user}@{config['HOST']}:{config['PORT']}/{config['NAME']}"
    environment = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tradingagent.settings"}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *map(str, (venue.account.pk, writer, orders))],
        env={**os.environ, **environment},
        cwd=settings.BASE_DIR,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_racing_processes_one_of_them_killed_lose_no_fill_and_double_none() -> None:
    venue = racing()
    with ExitStack() as stack:
        writers = [
            stack.enter_context(start_writer(venue, number, orders))
            for number, orders in enumerate((NEVER_DONE, ORDERS, ORDERS))
        ]
        for one in writers:
            assert one.stdout.readline() == "ready\n"
        for one in writers:
            one.stdin.write("go\n")
            one.stdin.flush()
        while SimRecord.objects.filter(client_order_id__startswith="w0", kind="FILL").count() < 3:
            assert writers[0].poll() is None, "the writer to be killed ended by itself"
            time.sleep(0.001)
        writers[0].kill()
        assert [one.wait() for one in writers] == [-signal.SIGKILL, 0, 0]
    survivors = trade(venue, venue.restart(), 0)  # the same orders again: what is there is not sent
    sent = SimRecord.objects.filter(client_order_id__startswith="w0", kind="ENDED").count()
    assert ORDERS <= sent < NEVER_DONE
    assert_adds_up(venue, 2 * ORDERS + sent)
    known = {one.fill.client_order_id for one in survivors if one.fill}
    assert {f"w0-{number}" for number in range(ORDERS)} <= known
