"""Jumping: `next_event` names exactly the first bar on which walking would make anything happen."""

import time
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.domain.data import CandleSeries, FundingSeries, to_milliseconds
from market.domain.enums import OrderPurpose, OrderType, TimeInForce, TriggerBasis
from market.domain.orders import VenueReport
from market.venues.sim_venue.moments import Advance, Bar, BarMoment, FundingDue, SubmitOrder
from market.venues.sim_venue.next_event import next_event
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import SimState
from market.venues.sim_venue.step import step
from tests.market.sim_broker.venue import (
    BUY,
    MINUTE,
    PERPETUAL,
    SELL,
    START,
    SYMBOL,
    Venue,
    flat_rows,
    rates,
)

INSTRUMENTS = {SYMBOL: PERPETUAL}
BARS = 30


def random_series(rng: np.random.Generator, exponent: int, *, jumpy: int) -> CandleSeries:
    """A walk around 100, some bars without volume, in units of 10^exponent."""
    scale = 10**-exponent
    close = 100 * scale + np.cumsum(rng.integers(-jumpy, jumpy + 1, BARS))
    opened = np.concatenate([close[:1], close[:-1]]) + rng.integers(-jumpy, jumpy + 1, BARS)
    at = to_milliseconds(START) + 60_000 * np.cumsum(rng.integers(1, 3, BARS))
    return CandleSeries(
        timeframe=MINUTE,
        opened_at=at.astype(np.int64),
        open=opened,
        high=np.maximum(opened, close) + rng.integers(0, jumpy + 1, BARS),
        low=np.minimum(opened, close) - rng.integers(0, jumpy + 1, BARS),
        close=close,
        volume=rng.integers(0, 4, BARS),
        price_exponent=exponent,
        volume_exponent=0,
    )


def moment(
    trade: CandleSeries, mark: CandleSeries | None, index: int, funding: FundingSeries | None
) -> BarMoment:
    dues = []
    if funding is not None:
        after = int(trade.opened_at[index - 1]) if index else -1
        dues = [
            FundingDue(symbol=SYMBOL, at=at, rate=rate, mark=Bar(trade, index, mark).mark_open)
            for at, rate in funding.between(after, int(trade.opened_at[index]))
        ]
    return BarMoment(
        opened_at=int(trade.opened_at[index]),
        timeframe=MINUTE,
        bars={SYMBOL: Bar(trade, index, mark)},
        funding=tuple(dues),
    )


def without_progress(state: SimState) -> SimState:
    return replace(state, processed_until={}, funding_until={})


def random_submissions(rng: np.random.Generator, venue: Venue) -> list[SubmitOrder]:
    """An entry now and then with protection, limits around, a stop entry."""
    side = BUY if rng.random() < 0.5 else SELL
    sign = side.sign
    near = lambda low, high: str(D(int(rng.integers(low, high))) / 10)  # noqa: E731
    entry_type = rng.choice(
        ["none", "market", "limit", "ioc", "breakout"], p=[0.2, 0.4, 0.2, 0.1, 0.1]
    )
    leverage = D(int(rng.choice([1, 5, 20, 50])))
    attached = []
    if rng.random() < 0.5:
        attached.append(
            venue.stop(side.opposite, D(100) - sign * D(near(2, 60)), basis=TriggerBasis.MARK)
        )
    if rng.random() < 0.5:
        attached.append(venue.target(side.opposite, D(100) + sign * D(near(2, 60))))
    orders = []
    match entry_type:
        case "market":
            orders.append(venue.order(side, OrderType.MARKET, 1, leverage=leverage))
        case "limit":
            orders.append(venue.limit(side, D(100) - sign * D(near(0, 20)), 1, leverage=leverage))
        case "ioc":
            orders.append(
                venue.limit(side, D(100), 1, leverage=leverage, time_in_force=TimeInForce.IOC)
            )
        case "breakout":
            entry = {"leverage": leverage, "reduce_only": False, "purpose": OrderPurpose.ENTRY}
            orders.append(venue.stop(side, D(100) + sign * D(near(5, 30)), 1, **entry))
    sent = [SubmitOrder(order=order, attached=tuple(attached)) for order in orders]
    around = [
        venue.limit(side, D(100) - sign * D(near(5, 60)), 1) for _ in range(int(rng.integers(0, 3)))
    ]
    return [*sent, *(SubmitOrder(order=order) for order in around)]


@pytest.mark.parametrize("exponent", [0, -1, -2])
@settings(max_examples=120, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_first_bar_that_matters_is_the_one_it_names(exponent: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    jumpy = {0: 2, -1: 8, -2: 70}[exponent]
    trade = random_series(rng, exponent, jumpy=jumpy)
    mark = None
    if rng.random() < 0.5:
        other = random_series(rng, exponent, jumpy=jumpy)
        mark = CandleSeries(
            timeframe=MINUTE, opened_at=trade.opened_at, open=other.open, high=other.high, low=other.low,
            close=other.close, volume=trade.volume, price_exponent=exponent, volume_exponent=0,
        )  # fmt: skip
    funding = (
        rates(*((int(minute), "0.0001") for minute in range(3, 60, int(rng.integers(4, 20)))))
        if rng.random() < 0.5
        else None
    )
    how = SimSettings(latency=timedelta(seconds=int(rng.choice([0, 0, 1, 130]))))
    venue = Venue(flat_rows(100))
    state = SimState(cash=D(10_000))
    now = moment(trade, mark, 0, None)
    for submission in random_submissions(rng, venue):
        state, _ = step(state, now, submission, how, INSTRUMENTS)
    index = 1
    for _ in range(8):  # from event to event
        found = next_event(
            state,
            {SYMBOL: (trade, mark)},
            index,
            BARS,
            how,
            None if funding is None else {SYMBOL: funding},
        )
        while index < BARS:
            after, reports = step(
                state, moment(trade, mark, index, funding), Advance(), how, INSTRUMENTS
            )
            happened = bool(reports) or without_progress(after) != without_progress(state)
            assert happened == (index == found), f"bar {index}, named {found}"
            state = after
            index += 1
            if happened:
                break


def test_sync_that_jumps_is_sync_that_walks() -> None:
    rng = np.random.default_rng(7)
    rows = []
    for _ in range(400):
        opened, closed = 100 + int(rng.integers(-6, 7)), 100 + int(rng.integers(-6, 7))
        rows.append(
            (
                opened,
                max(opened, closed) + int(rng.integers(0, 3)),
                min(opened, closed) - int(rng.integers(0, 3)),
                closed,
            )
        )
    funding = rates(*((minute, "0.0001") for minute in range(5, 400, 40)))

    def run(*, jump: bool) -> tuple[list[VenueReport], SimState]:
        venue = Venue(rows, funding=funding)
        for start in range(0, 360, 90):
            venue.walked = start
            venue.walk()
            side = BUY if start % 180 else SELL
            venue.submit(
                venue.order(side, OrderType.MARKET, 1, name=f"e{start}", leverage=D(20)),
                venue.stop(side.opposite, 100 - 5 * side.sign, name=f"s{start}"),
                venue.target(side.opposite, 100 + 5 * side.sign, name=f"t{start}"),
            )
            if jump:
                venue.walk(85)
            else:
                for _ in range(85):
                    venue.walk()
        return venue.reports, venue.state

    assert run(jump=True) == run(jump=False)


def test_a_near_event_and_months_of_quiet_are_both_quick() -> None:
    """A guard against a loop over bars, not a benchmark: generous limits, best of several."""
    count = 60 * 24 * 90
    price = np.full(count, 1000, dtype=np.int64)
    trade = CandleSeries(
        timeframe=MINUTE, opened_at=to_milliseconds(START) + 60_000 * np.arange(count, dtype=np.int64),
        open=price, high=price.copy(), low=price.copy(), close=price.copy(), volume=price.copy(),
        price_exponent=-1, volume_exponent=0,
    )  # fmt: skip
    venue = Venue({SYMBOL: trade})
    venue.walk()
    venue.submit(venue.buy(leverage=D(10)), venue.stop(SELL, 90), venue.target(SELL, 120))
    venue.walk()
    state, how = venue.state, SimSettings()

    def best(stop: int) -> float:
        took = []
        for _ in range(5):
            began = time.perf_counter()
            assert next_event(state, {SYMBOL: (trade, None)}, 2, stop, how) == stop
            took.append(time.perf_counter() - began)
        return min(took)

    assert best(10) < 0.001
    assert best(count) < 0.01
