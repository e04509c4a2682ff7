"""A venue of round numbers to write tables against: tick 0.1, step 0.001, taker 0.1%, maker 0.05%, minutes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np

from market.domain.data import (
    Candle,
    CandleSeries,
    FundingSeries,
    InstrumentSnapshot,
    MarketSnapshot,
    OrderBook,
    Quote,
    to_milliseconds,
)
from market.domain.enums import InstrumentKind, OrderPurpose, OrderSide, OrderType, TriggerBasis
from market.domain.instruments import Instrument, margin_tiers
from market.domain.numbers import plain
from market.domain.orders import Adjustment, FundingPayment, Order, OrderReport, VenueReport
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import SimState

START = datetime(2022, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
SYMBOL = "BTC/USDT:USDT"
SPOT = "BTC/USDT"

PERPETUAL = Instrument(
    symbol=SYMBOL,
    base="BTC",
    quote="USDT",
    settle="USDT",
    kind=InstrumentKind.PERPETUAL,
    price_step=D("0.1"),
    quantity_step=D("0.001"),
    min_quantity=D("0.001"),
    min_notional=D(5),
    max_leverage=D(50),
    maker_fee=D("0.0005"),
    taker_fee=D("0.001"),
    liquidation_fee=D("0.002"),
    margin_tiers=margin_tiers(("50000", "0.004"), ("250000", "0.005"), (None, "0.01")),
)
SPOT_COIN = Instrument(
    symbol=SPOT,
    base="BTC",
    quote="USDT",
    settle="USDT",
    kind=InstrumentKind.SPOT,
    price_step=D("0.1"),
    quantity_step=D("0.001"),
    min_quantity=D("0.001"),
    min_notional=D(5),
    maker_fee=D("0.0005"),
    taker_fee=D("0.001"),
)

Number = str | int | D
Row = tuple[Number, ...]
"""(open, high, low, close[, volume])."""


def series(rows: Iterable[Row], *, start: datetime = START, at: Sequence[int] = ()) -> CandleSeries:
    """Minutes from `start`, or at the given minutes of it. Volume 1000 unless stated."""
    candles = []
    for number, row in enumerate(rows):
        opened, high, low, close, volume = (*row, 1000)[:5]
        candles.append(
            Candle(
                opened_at=start + MINUTE * (at[number] if at else number),
                open=D(opened),
                high=D(high),
                low=D(low),
                close=D(close),
                volume=D(volume),
            )
        )
    return CandleSeries.from_candles(candles, MINUTE)


def flat_rows(price: Number, count: int = 1) -> list[Row]:
    return [(price, price, price, price)] * count


def rates(*settled: tuple[int, str]) -> FundingSeries:
    """(minute, rate) pairs."""
    return FundingSeries(
        at=np.array([to_milliseconds(START + MINUTE * minute) for minute, _ in settled]),
        rates=tuple(D(rate) for _, rate in settled),
    )


def quote(
    price: Number,
    *,
    minute: float = 0,
    mark: Number | None = None,
    spread: str = "0.1",
    symbol: str = SYMBOL,
) -> Quote:
    """bid = price − spread/2, ask = price + spread/2."""
    half = D(spread) / 2
    return Quote(
        symbol=symbol,
        at=START + timedelta(seconds=int(minute * 60)),
        bid=D(price) - half,
        ask=D(price) + half,
        last=D(price),
        mark=D(price if mark is None else mark),
    )


class Venue:
    """A SimBroker on one or more series, walked bar by bar, and what it said so far."""

    def __init__(
        self,
        rows: Sequence[Row] | Mapping[str, CandleSeries],
        *,
        marks: Sequence[Row] | None = None,
        cash: Number = 10_000,
        instrument: Instrument = PERPETUAL,
        instruments: Sequence[Instrument] = (),
        funding: FundingSeries | None = None,
        state: SimState | None = None,
        **settings: Any,
    ) -> None:
        self.instruments = {one.symbol: one for one in (instruments or (instrument,))}
        self.symbol = instrument.symbol
        self.bars = dict(rows) if isinstance(rows, Mapping) else {self.symbol: series(rows)}
        self.marks = {self.symbol: series(marks)} if marks is not None else {}
        self.funding = funding
        self.broker = SimBroker(
            self.instruments.values(), SimSettings(**settings), D(cash), state=state
        )
        self.reports: list[VenueReport] = []
        self.walked = 0
        self.now = START
        self.sent = 0

    @property
    def state(self) -> SimState:
        return self.broker.state

    def snapshot(
        self,
        count: int,
        *,
        quotes: Mapping[str, Quote] | None = None,
        books: Mapping[str, OrderBook] | None = None,
        as_of: datetime | None = None,
    ) -> MarketSnapshot:
        """The first `count` minutes."""
        now = START + MINUTE * count if as_of is None else as_of
        items = []
        for symbol in sorted(self.bars):
            bars = self.bars[symbol]
            known = bars.first(
                int(np.searchsorted(bars.opened_at, to_milliseconds(START + MINUTE * count)))
            )
            marks = self.marks.get(symbol)
            items.append(
                InstrumentSnapshot(
                    instrument=self.instruments.get(symbol, replace(PERPETUAL, symbol=symbol)),
                    quote=None if quotes is None else quotes.get(symbol),
                    book=None if books is None else books.get(symbol),
                    candles=known,
                    bars=known,
                    mark_bars=None if marks is None else marks.first(len(known)),
                    funding=self.funding,
                )
            )
        return MarketSnapshot(as_of=now, instruments=tuple(items))

    def walk(self, bars: int = 1) -> list[VenueReport]:
        """Let so many more minutes close."""
        self.walked += bars
        self.now = START + MINUTE * self.walked
        return self.keep(self.broker.sync(self.snapshot(self.walked)))

    def meet(
        self, *quotes: Quote, books: Mapping[str, OrderBook] | None = None
    ) -> list[VenueReport]:
        """Let quotes come, and the minutes that closed before them."""
        self.now = now = max(one.at for one in quotes)
        self.walked = max(self.walked, (now - START) // MINUTE)
        by_symbol = {one.symbol: one for one in quotes}
        return self.keep(
            self.broker.sync(self.snapshot(self.walked, quotes=by_symbol, books=books, as_of=now))
        )

    def submit(self, order: Order, *attached: Order) -> list[VenueReport]:
        return self.keep(self.broker.submit(order, attached))

    def keep(self, reports: Sequence[VenueReport]) -> list[VenueReport]:
        self.reports += reports
        return list(reports)

    # --- orders -----------------------------------------------------------------------------------

    def order(
        self,
        side: OrderSide,
        order_type: OrderType,
        quantity: Number = 1,
        *,
        name: str | None = None,
        trigger: Number | None = None,
        price: Number | None = None,
        basis: TriggerBasis | None = TriggerBasis.LAST,
        purpose: OrderPurpose = OrderPurpose.ENTRY,
        **fields: Any,
    ) -> Order:
        self.sent += 1
        return Order(
            client_order_id=name or f"{order_type.lower()}-{self.sent}",
            symbol=str(fields.pop("symbol", self.symbol)),
            side=side,
            order_type=order_type,
            purpose=purpose,
            quantity=D(quantity),
            price=None if price is None else D(price),
            trigger_price=None if trigger is None else D(trigger),
            trigger_basis=basis if trigger is not None else None,
            created_at=fields.pop("created_at", self.now),
            **fields,
        )

    def buy(self, quantity: Number = 1, **fields: Any) -> Order:
        return self.order(OrderSide.BUY, OrderType.MARKET, quantity, **fields)

    def sell(self, quantity: Number = 1, **fields: Any) -> Order:
        return self.order(OrderSide.SELL, OrderType.MARKET, quantity, **fields)

    def limit(self, side: OrderSide, price: Number, quantity: Number = 1, **fields: Any) -> Order:
        return self.order(side, OrderType.LIMIT, quantity, price=price, **fields)

    def stop(self, side: OrderSide, trigger: Number, quantity: Number = 1, **fields: Any) -> Order:
        fields = {"purpose": OrderPurpose.STOP, "reduce_only": True, **fields}
        return self.order(side, OrderType.STOP_MARKET, quantity, trigger=trigger, **fields)

    def target(
        self, side: OrderSide, trigger: Number, quantity: Number = 1, **fields: Any
    ) -> Order:
        fields = {"purpose": OrderPurpose.TARGET, "reduce_only": True, **fields}
        return self.order(side, OrderType.TAKE_PROFIT_MARKET, quantity, trigger=trigger, **fields)


BUY, SELL = OrderSide.BUY, OrderSide.SELL


def told(reports: Iterable[VenueReport]) -> list[str]:
    """Reports as one line each: what a table compares."""
    return [_line(report) for report in reports]


def _line(report: VenueReport) -> str:
    if isinstance(report, FundingPayment):
        return f"funding {plain(report.amount)} at {plain(report.mark_price)} rate {plain(report.rate)}"
    if isinstance(report, Adjustment):
        return f"{report.kind} {plain(report.amount)}"
    assert isinstance(report, OrderReport)
    words = [report.client_order_id or "venue", report.status or "-"]
    if report.fill is not None:
        fill = report.fill
        words.append(
            f"{fill.side} {plain(fill.quantity)} @ {plain(fill.price)} fee {plain(fill.fee)}"
        )
        if report.fill.reason != "ORDER":
            words.append(report.fill.reason)
    elif report.quantity is not None:
        words.append(f"for {plain(report.quantity)}")
    if report.reason:
        words.append(report.reason)
    return " ".join(words)
