"""What the venue does by itself, with the numbers worked out by hand."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest

from market.domain.data import to_milliseconds
from market.domain.enums import FillReason, OrderPurpose
from market.domain.numbers import quantize_cash
from market.venues.sim_venue.moments import Advance, BarMoment, FundingDue
from market.venues.sim_venue.settings import SimSettings
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
    told,
)

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


LIQUIDATED = ["LIQUIDATION_FEE -0.18", "venue - SELL 1 @ 90 fee 0 LIQUIDATION"]
"""The fee is told first, so that it belongs to the trade that it ends."""


def held(bars, *, side=BUY, quantity=1, leverage=10, marks=None, attached=(), **more) -> Venue:
    """A venue with a position opened at 100 in its second minute."""
    venue = Venue(
        [*flat_rows(100, 2), *bars],
        marks=None if marks is None else [*flat_rows(100, 2), *marks],
        **more,
    )
    venue.walk()
    entry = venue.buy if side is BUY else venue.sell
    venue.submit(entry(quantity, name="in", leverage=D(leverage)), *attached)
    venue.walk()
    return venue


# side, quantity, leverage → liquidation price: (C − M − k) ÷ (q (1 − r)), (C + M + k) ÷ (q (1 + r))
@pytest.mark.parametrize(
    ("side", "quantity", "leverage", "price"),
    [
        (BUY, 1, 10, (100 - 10) / D("0.996")),
        (SELL, 1, 10, (100 + 10) / D("1.004")),
        (BUY, 1, 50, (100 - 2) / D("0.996")),
        # 60,000 of notional: at 54,221 still in the second tier, 0.5% less 50
        (BUY, 600, 10, (60_000 - 6_000 - 50) / (600 * D("0.995"))),
        # 52,000: falls into the first tier on the way down, 0.4%
        (BUY, 520, 10, (52_000 - 5_200) / (520 * D("0.996"))),
        # 48,000 short: rises into the second tier
        (SELL, 480, 10, (48_000 + 4_800 + 50) / (480 * D("1.005"))),
        (BUY, 1, 1, None),
    ],
)
def test_liquidation_prices(side, quantity, leverage, price) -> None:
    venue = held([], side=side, quantity=quantity, leverage=leverage, cash=100_000)
    assert venue.state.liquidation_prices.get(SYMBOL) == price


@pytest.mark.parametrize(
    ("what", "bar", "said"),
    [
        ("inside the bar", (100, 101, "90.3", 95), LIQUIDATED),
        ("a tick above the price", (100, 101, "90.4", 95), []),
        ("far past it at the open: still at the bankruptcy price", (50, 51, 40, 45), LIQUIDATED),
        ("in a bar without volume", (50, 51, 40, 45, 0), LIQUIDATED),
    ],
)
def test_a_long_is_liquidated_at_its_bankruptcy_price(what, bar, said) -> None:
    venue = held([bar])
    assert told(venue.walk()) == said, what
    if said:
        # the entry fee, the margin, the liquidation fee of 0.2% of 90
        assert venue.state.cash == D(10_000) - D("0.1") - 10 - D("0.18")
        assert not venue.state.positions
        assert not venue.state.liquidation_prices


def test_a_short_is_liquidated_at_its_bankruptcy_price() -> None:
    venue = held([(100, "109.6", 99, 100)], side=SELL)
    fill = venue.walk()[1].fill
    assert (fill.price, fill.side, fill.reason, fill.client_order_id) == (
        110,
        BUY,
        FillReason.LIQUIDATION,
        None,
    )
    assert venue.state.cash == D(10_000) - D("0.1") - 10 - D("0.22")


@pytest.mark.parametrize(
    ("what", "stop", "bar", "first"),
    [
        (
            "opens past both: liquidation",
            92,
            (80, 81, 79, 80),
            "venue - SELL 1 @ 90 fee 0 LIQUIDATION",
        ),
        (
            "opens past the stop only: the stop at the open",
            92,
            (91, 92, 80, 85),
            "stop FILLED SELL 1 @ 91 fee 0.091",
        ),
        ("the stop is nearer", 92, (100, 101, 80, 85), "stop FILLED SELL 1 @ 92 fee 0.092"),
        ("liquidation is nearer", 89, (100, 101, 80, 85), "venue - SELL 1 @ 90 fee 0 LIQUIDATION"),
    ],
)
def test_a_stop_and_liquidation_in_one_bar(what, stop, bar, first) -> None:
    venue = held([(100, 100, 100, 100), bar])
    venue.submit(venue.stop(SELL, stop, name="stop"))
    venue.walk()
    lines = told(venue.walk())
    if first.startswith("venue"):
        assert lines == [*LIQUIDATED, "stop CANCELED POSITION_CLOSED"], what
    else:
        assert lines[0] == first, what


def test_liquidation_runs_on_mark_and_a_stop_on_last_sleeps_through_it() -> None:
    venue = held([(100, 101, 99, 100)], marks=[(100, 100, 90, 95)])
    venue.submit(venue.stop(SELL, 95, name="stop"))
    assert told(venue.walk())[:2] == LIQUIDATED
    venue = held([(100, 101, 85, 100)], marks=[(100, 100, 91, 95)])
    assert venue.walk() == []


def test_added_margin_moves_the_liquidation_price_and_can_be_lost() -> None:
    venue = held([(100, 101, 86, 95), (100, 101, 84, 95)])
    venue.broker.add_margin(SYMBOL, D(5))
    assert venue.state.liquidation_prices[SYMBOL] == 85 / D("0.996")
    assert venue.walk() == []
    assert told(venue.walk())[1] == "venue - SELL 1 @ 85 fee 0 LIQUIDATION"
    assert venue.state.cash == D(10_000) - D("0.1") - 15 - D("0.17")


def test_the_bankruptcy_price_is_rounded_so_that_the_loss_stays_within_the_margin() -> None:
    venue = held([(100, 101, 80, 95)], leverage=7)  # (100 − 14.28571429) ÷ 1 = 85.714… → 85.8
    assert venue.walk()[1].fill.price == D("85.8")


# --- funding ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("side", "rate", "amount"),
    [(BUY, "0.0001", "-0.021"), (SELL, "0.0001", "0.021"), (BUY, "-0.0001", "0.021")],
)
def test_a_long_pays_a_positive_rate_and_a_short_receives_it(side, rate, amount) -> None:
    venue = held([(105, 105, 105, 105)], side=side, quantity=2, funding=rates((2, rate)))
    assert told(venue.walk()) == [f"funding {amount} at 105 rate {rate}"]
    assert venue.state.cash == D(10_000) - D("0.2") + D(amount)


def test_funding_takes_the_open_of_the_mark_candle() -> None:
    venue = held([(110, 120, 100, 110)], marks=[(108, 109, 107, 108)], funding=rates((2, "0.0001")))
    assert told(venue.walk()) == ["funding -0.0108 at 108 rate 0.0001"]


def test_funding_is_for_what_was_held_just_before() -> None:
    funding = rates((1, "0.0001"), (2, "0.0001"), (3, "0.0001"))
    venue = held(
        flat_rows(100, 3), funding=funding
    )  # opened at minute 1 exactly: not held before it
    assert [line for line in told(venue.reports) if "funding" in line] == []
    venue.submit(venue.sell(name="out", **CLOSE))
    # closed at minute 2 exactly: held before it; minute 3 finds nothing
    assert told(venue.walk(3)) == [
        "funding -0.01 at 100 rate 0.0001",
        "out FILLED SELL 1 @ 100 fee 0.1",
    ]


def test_each_time_is_booked_once_and_a_sum_is_a_sum() -> None:
    opens = [100 + number % 7 for number in range(30)]
    venue = held(
        [(p, p, p, p) for p in opens],
        funding=rates(*((2 + 3 * n, f"0.000{n + 1}") for n in range(9))),
    )
    for _ in range(30):
        venue.walk()
        venue.broker.sync(venue.snapshot(venue.walked))
    booked = [report for report in venue.reports if "funding" in told([report])[0]]
    by_hand = [quantize_cash(-opens[3 * n] * D(f"0.000{n + 1}")) for n in range(9)]
    assert [report.amount for report in booked] == by_hand
    assert venue.state.cash == D(10_000) - D("0.1") + sum(by_hand)


def test_a_rate_that_is_told_twice_is_booked_once() -> None:
    venue = held([])
    due = FundingDue(
        symbol=SYMBOL, at=to_milliseconds(START + 2 * MINUTE), rate=D("0.01"), mark=D(100)
    )
    told_twice = BarMoment(opened_at=due.at, timeframe=MINUTE, bars={}, funding=(due, due))
    state, reports = step(venue.state, told_twice, Advance(), SimSettings(), venue.instruments)
    assert len(reports) == 1
    assert step(state, told_twice, Advance(), SimSettings(), venue.instruments)[1] == ()


def test_a_funding_time_between_two_bars_is_booked_at_the_next_open() -> None:
    half = rates((2, "0.0001"))
    venue = held(
        [(110, 110, 110, 110), (120, 120, 120, 120)],
        funding=type(half)(at=half.at + 30_000, rates=half.rates),
    )
    assert venue.walk() == []
    assert told(venue.walk()) == ["funding -0.012 at 120 rate 0.0001"]


def test_funding_comes_before_the_liquidation_of_the_same_open() -> None:
    venue = held([(80, 80, 80, 80)], funding=rates((2, "0.01")))
    assert [line.split()[0] for line in told(venue.walk())] == [
        "funding",
        "LIQUIDATION_FEE",
        "venue",
    ]


def test_without_rates_there_is_no_funding() -> None:
    venue = held(flat_rows(100, 2), funding=None)
    assert venue.walk(2) == []


def test_a_liquidation_without_a_fee_books_no_adjustment() -> None:
    venue = held([(80, 80, 80, 80)], instrument=replace(PERPETUAL, liquidation_fee=D(0)))
    assert told(venue.walk()) == ["venue - SELL 1 @ 90 fee 0 LIQUIDATION"]
