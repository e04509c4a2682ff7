"""Any bars, any orders, any cancels: what must hold after each of them."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from market.domain.account import locked
from market.domain.canonical import canonical_bytes
from market.domain.data import Candle, CandleSeries, InstrumentSnapshot, MarketSnapshot, Quote
from market.domain.enums import (
    FillReason,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    TimeInForce,
    TriggerBasis,
)
from market.domain.numbers import ZERO
from market.domain.orders import (
    Adjustment,
    FundingPayment,
    Order,
    OrderReport,
    VenueReport,
    apply_order_report,
)
from market.domain.positions import Position, apply_fill, fee_value
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import AT_THE_ENGINE, Stage
from market.venues.sim_venue.stored import from_mapping, to_mapping
from tests.market.sim_broker.venue import MINUTE, PERPETUAL, SPOT_COIN, START, rates

CASH = D(10_000)
MOVES = st.integers(-60, 60)  # tenths, from the price before
PATHS = st.tuples(MOVES, MOVES, MOVES)
NEXT = st.tuples(PATHS, PATHS, st.sampled_from([0, 5, 50, 50]))
AWAY = st.integers(1, 120) | st.integers(1, 30) | st.integers(-5, 120)  # mostly to the right side
SIDES = st.sampled_from(list(OrderSide))
SYMBOLS = st.sampled_from([PERPETUAL, PERPETUAL, SPOT_COIN])


def tenth(units: int) -> D:
    return D(units) / 10


class VenueMachine(RuleBasedStateMachine):
    """A ledger that believes every report, beside the venue that made them."""

    @initialize(
        slippage=st.sampled_from(["0", "7"]),
        latency=st.sampled_from([0, 1, 130]),
        fraction=st.sampled_from([None, None, "0.1"]),
        on_quotes=st.booleans(),
    )
    def open_account(self, slippage, latency, fraction, on_quotes) -> None:
        self.instruments = {one.symbol: one for one in (PERPETUAL, SPOT_COIN)}
        self.settings = SimSettings(
            slippage_bps=D(slippage),
            latency=timedelta(seconds=latency),
            max_volume_fraction=None if fraction is None else D(fraction),
            execute_on_quotes=on_quotes,
        )
        self.broker = SimBroker(self.instruments.values(), self.settings, CASH)
        self.rows: dict[str, list[Candle]] = {symbol: [] for symbol in self.instruments}
        self.marks: list[Candle] = []
        self.funding = rates(*((minute, "0.001") for minute in range(3, 300, 2)))
        self.orders: dict[str, Order] = {}
        self.fills: dict[str | None, D] = {}
        self.positions: dict[str, Position] = {}
        self.realized = self.fees = self.paid = self.adjusted = ZERO
        self.trade_ids: set[str] = set()
        self.keys: set[object] = set()
        self.sent = 0
        self.price = D(100)
        self.bar((0, 0, 0), (0, 0, 0), 50)

    # --- what the ledger does with reports -----------------------------------------------------------

    def believe(self, reports) -> None:
        for report in reports:
            self._believe_one(report)

    def _believe_one(self, report: VenueReport) -> None:
        if isinstance(report, FundingPayment):
            assert (report.symbol, report.at) not in self.keys
            self.keys.add((report.symbol, report.at))
            self.paid += report.amount
            return
        if isinstance(report, Adjustment):
            assert report.key not in self.keys
            self.keys.add(report.key)
            self.adjusted += report.amount
            return
        assert isinstance(report, OrderReport)
        leverage = None
        if report.client_order_id is not None:
            order = apply_order_report(self.orders[report.client_order_id], report)
            self.orders[order.client_order_id] = order
            leverage = order.leverage
        fill = report.fill
        if fill is None:
            return
        assert fill.venue_trade_id not in self.trade_ids
        self.trade_ids.add(fill.venue_trade_id)
        self.fills[report.client_order_id] = (
            self.fills.get(report.client_order_id, ZERO) + fill.quantity
        )
        instrument = self.instruments[fill.symbol]
        before = self.positions.get(fill.symbol, Position(symbol=fill.symbol))
        change = apply_fill(before, fill, instrument, leverage=leverage)
        self.realized += change.realized_pnl
        self.fees += fee_value(fill, instrument)
        if fill.reason is FillReason.LIQUIDATION:
            assert change.realized_pnl >= -before.margin  # the fee is an adjustment
        if change.position.quantity:
            self.positions[fill.symbol] = change.position
        else:
            self.positions.pop(fill.symbol, None)

    # --- what may happen ----------------------------------------------------------------------------

    @rule(
        bars=st.lists(NEXT, min_size=1, max_size=4),
    )
    def walk(self, bars) -> None:
        for one in bars:
            self.bar(*one)

    def bar(self, trade, mark, volume) -> None:
        closes = len(self.rows[PERPETUAL.symbol]) + 1
        for rows, path in (
            (self.rows[PERPETUAL.symbol], trade),
            (self.marks, mark),
            (self.rows[SPOT_COIN.symbol], mark),
        ):
            opened, one, two = (max(self.price + tenth(move), D(20)) for move in path)
            rows.append(
                Candle(
                    opened_at=START + MINUTE * (closes - 1),
                    open=opened,
                    high=max(opened, one, two),
                    low=min(opened, one, two),
                    close=two,
                    volume=D(volume),
                )
            )
        self.price = self.rows[PERPETUAL.symbol][-1].close
        self.spent = 0
        self.see(0, self.price, self.price, self.price)

    @rule(moves=st.tuples(MOVES, MOVES, MOVES), seconds=st.sampled_from([0, 20, 40]))
    def quote(self, moves, seconds) -> None:
        """A quote in the middle of a minute; without `on_quotes` a beat on which nothing is new."""
        if self.spent >= seconds:
            return
        self.spent = seconds
        bid, last, mark = (max(self.price + tenth(move), D(20)) for move in moves)
        self.see(seconds, bid, last, mark)

    def see(self, seconds: int, bid: D, last: D, mark: D) -> None:
        as_of = START + MINUTE * len(self.marks) + timedelta(seconds=seconds)
        marks = CandleSeries.from_candles(self.marks, MINUTE)
        items = []
        for symbol, rows in self.rows.items():
            series = CandleSeries.from_candles(rows, MINUTE)
            is_perpetual = symbol == PERPETUAL.symbol
            items.append(
                InstrumentSnapshot(
                    instrument=self.instruments[symbol],
                    candles=series,
                    bars=series,
                    mark_bars=marks if is_perpetual else None,
                    funding=self.funding if is_perpetual else None,
                    quote=Quote(
                        symbol=symbol, at=as_of, bid=bid, ask=bid + D("0.2"), last=last, mark=mark
                    ),
                )
            )
        self.believe(self.broker.sync(MarketSnapshot(as_of=as_of, instruments=tuple(items))))

    def send(self, *orders: Order) -> None:
        for order in orders:
            self.orders[order.client_order_id] = replace(order, status=OrderStatus.SUBMITTED)
        self.believe(self.broker.submit(orders[0], orders[1:]))

    def level(self, move: int) -> D:
        return max(self.price + tenth(move), D(1))

    def order(self, instrument, side, order_type, quantity, **fields) -> Order:
        self.sent += 1
        return Order(
            client_order_id=f"c{self.sent}",
            symbol=instrument.symbol,
            side=side,
            order_type=order_type,
            purpose=fields.pop("purpose", OrderPurpose.ENTRY),
            quantity=quantity,
            created_at=START,
            **fields,
        )

    @rule(
        instrument=SYMBOLS,
        side=SIDES,
        kind=st.sampled_from(["market", "money", "limit", "ioc", "breakout"]),
        steps=st.integers(40, 60_000),
        at=AWAY,
        leverage=st.sampled_from([1, 3, 20, 50]),
        stop=st.none() | AWAY,
        aim=st.none() | AWAY,
        after=st.none() | NEXT,
        basis=st.sampled_from(list(TriggerBasis)),
    )
    def enter(self, instrument, side, kind, steps, at, leverage, stop, aim, after, basis) -> None:
        lever = D(1) if instrument.is_spot else D(leverage)
        if instrument.is_spot and instrument.symbol not in self.positions:
            side = OrderSide.BUY
        quantity = D(steps) / 1000
        fields: dict[str, object] = {"leverage": lever}
        order_type = OrderType.MARKET
        if kind == "money":
            fields["quote_quantity"], quantity = quantity * 100, ZERO
        elif kind in ("limit", "ioc"):
            order_type = OrderType.LIMIT
            fields["price"] = self.level(-side.sign * at)
            fields["time_in_force"] = TimeInForce.IOC if kind == "ioc" else TimeInForce.GTC
        elif kind == "breakout":
            order_type = OrderType.STOP_MARKET
            fields |= {"trigger_price": self.level(side.sign * at), "trigger_basis": basis}
        entry = self.order(instrument, side, order_type, quantity, **fields)
        attached = [
            self.order(
                instrument,
                side.opposite,
                kind_of,
                ZERO,
                purpose=purpose,
                reduce_only=True,
                trigger_price=self.level(side.sign * move),
                trigger_basis=basis,
                parent_id=entry.client_order_id,
            )
            for kind_of, purpose, move in (
                (OrderType.STOP_MARKET, OrderPurpose.STOP, None if stop is None else -stop),
                (OrderType.TAKE_PROFIT_MARKET, OrderPurpose.TARGET, aim),
            )
            if move is not None
        ]
        self.send(entry, *attached)
        if after is not None:
            self.bar(*after)

    @rule(
        instrument=SYMBOLS,
        kind=st.sampled_from(["market", "limit", "stop", "target"]),
        share=st.sampled_from(["0.3", "1", "2"]),
        at=AWAY,
        basis=st.sampled_from(list(TriggerBasis)),
    )
    def leave(self, instrument, kind, share, at, basis) -> None:
        position = self.positions.get(instrument.symbol)
        if position is None:
            return
        side = OrderSide.SELL if position.quantity > 0 else OrderSide.BUY
        quantity = instrument.round_quantity(abs(position.quantity) * D(share))
        above, below = self.level(-side.sign * at), self.level(side.sign * at)
        order_type, fields = {
            "market": (OrderType.MARKET, {}),
            "limit": (OrderType.LIMIT, {"price": above}),
            "stop": (OrderType.STOP_MARKET, {"trigger_price": below, "trigger_basis": basis}),
            "target": (
                OrderType.TAKE_PROFIT_MARKET,
                {"trigger_price": above, "trigger_basis": basis},
            ),
        }[kind]
        self.send(
            self.order(
                instrument,
                side,
                order_type,
                quantity,
                reduce_only=True,
                purpose=OrderPurpose.CLOSE,
                **fields,
            )
        )

    @precondition(lambda self: any(order.is_open for order in self.orders.values()))
    @rule(data=st.data())
    def cancel(self, data) -> None:
        alive = [order.client_order_id for order in self.orders.values() if order.is_open]
        one = data.draw(st.sampled_from(alive))
        self.believe(self.broker.cancel(one))
        assert not self.orders[one].is_open

    @rule()
    def restart(self) -> None:
        """The process dies; what was stored goes on."""
        stored = to_mapping(self.broker.state)
        state = from_mapping(stored, self.instruments)
        assert state == self.broker.state
        assert canonical_bytes(to_mapping(state)) == canonical_bytes(stored)
        moment, snapshot = self.broker._moment, self.broker._snapshot
        tracks = self.broker._tracks
        self.broker = SimBroker(self.instruments.values(), self.settings, state=state)
        self.broker._moment, self.broker._snapshot, self.broker._tracks = moment, snapshot, tracks

    # --- what must hold -----------------------------------------------------------------------------

    @invariant()
    def fills_make_the_order(self) -> None:
        for client_order_id, order in self.orders.items():
            assert order.filled_quantity == self.fills.get(client_order_id, ZERO)
            if order.status is OrderStatus.FILLED:
                assert order.filled_quantity == order.quantity

    @invariant()
    def cash_adds_up(self) -> None:
        assert (
            self.broker.state.cash == CASH + self.realized - self.fees + self.paid + self.adjusted
        )

    @invariant()
    def refolded_fills_are_the_positions(self) -> None:
        assert dict(self.broker.state.positions) == self.positions

    @invariant()
    def changes_are_in_order_of_time(self) -> None:
        for changes in self.broker.state.changes.values():
            assert [at for at, _ in changes] == sorted(at for at, _ in changes)

    @invariant()
    def margins_stand(self) -> None:
        for symbol, position in self.positions.items():
            instrument = self.instruments[symbol]
            assert position.margin >= 0
            assert position.entry_cost > 0
            assert locked(position, instrument) >= 0
            assert instrument.kind == "PERPETUAL" or position.quantity > 0

    @invariant()
    def nothing_rests_that_could_only_reduce_what_is_not_there(self) -> None:
        for held in self.broker.state.orders.values():
            if held.order.reduce_only and held.stage in AT_THE_ENGINE:
                position = self.positions[held.order.symbol]
                assert (position.quantity > 0) == (held.order.side is OrderSide.SELL)

    @invariant()
    def the_venue_and_the_ledger_tell_one_story(self) -> None:
        state = self.broker.state
        for client_order_id, order in self.orders.items():
            held = state.orders.get(client_order_id)
            assert order.is_open == (held is not None)
            if held is None:
                ended = state.ended.get(client_order_id)
                assert ended is not None
                assert (ended.status, ended.filled_quantity) == (
                    order.status,
                    order.filled_quantity,
                )
            else:
                assert held.status is order.status
                assert held.filled_quantity == order.filled_quantity
                if held.stage is not Stage.INACTIVE:
                    assert held.quantity == order.quantity


TestVenueMachine = VenueMachine.TestCase
TestVenueMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
