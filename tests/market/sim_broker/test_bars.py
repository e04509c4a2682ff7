"""Tables: minutes and orders in, what the venue says out. Prices by hand."""

# mypy: disable-error-code="comparison-overlap"

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from market.domain.enums import OrderPurpose, TimeInForce, TriggerBasis
from tests.market.sim_broker.venue import BUY, SELL, START, Venue, flat_rows, series, told

CLOSE: dict[str, Any] = {"reduce_only": True, "purpose": OrderPurpose.CLOSE}


def test_a_market_order_fills_at_the_next_open_and_pays_the_taker_fee() -> None:
    venue = Venue([(100, 101, 99, 100), (102, 105, 101, 104), (104, 104, 104, 104)])
    venue.walk()
    assert told(venue.submit(venue.buy(2, name="in", leverage=D(10)))) == ["in ACCEPTED"]
    assert told(venue.walk()) == ["in FILLED BUY 2 @ 102 fee 0.204"]
    position = venue.state.positions[venue.symbol]
    assert (position.quantity, position.entry_cost, position.margin) == (2, 204, D("20.4"))
    venue.submit(venue.sell(2, name="out", **CLOSE))
    (out,) = venue.walk()
    assert told([out]) == ["out FILLED SELL 2 @ 104 fee 0.208"]
    assert venue.state.cash == D(10_000) + 4 - D("0.204") - D("0.208")
    assert not venue.state.positions
    assert not venue.state.orders


def test_a_fill_at_the_open_is_stamped_with_it_and_one_inside_the_bar_with_its_last_millisecond() -> (
    None
):
    venue = Venue([(100, 100, 100, 100), (100, 100, 90, 95)])
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    entry, _, stop = venue.walk()
    assert entry.at == START + timedelta(minutes=1)
    assert stop.at == START + timedelta(minutes=2) - timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("settings", "bought", "sold"),
    [
        ({}, "100.03", "100.03"),  # no model, no rounding: it was traded at that price
        ({"slippage_bps": D(10)}, "100.2", "99.9"),  # 100.130… up, 99.929… down to the tick
        ({"spread_bps": D(10)}, "100.1", "99.9"),  # half of it on each side: 100.080…, 99.979…
        ({"slippage_bps": D(10), "spread_bps": D(10)}, "100.2", "99.8"),  # 100.18…, 99.87…
    ],
)
def test_slippage_and_half_the_spread_are_paid_and_rounded_against_the_taker(
    settings, bought, sold
) -> None:
    venue = Venue([("100.03", "100.03", "100.03", "100.03")] * 3, **settings)
    venue.walk()
    venue.submit(venue.buy(name="in"))
    (entry,) = venue.walk()
    venue.submit(venue.sell(name="out", **CLOSE))
    (out,) = venue.walk()
    assert (entry.fill.price, out.fill.price) == (D(bought), D(sold))


@pytest.mark.parametrize(
    ("latency", "filled_in_bar"),
    [
        (timedelta(0), 2),
        (timedelta(milliseconds=1), 2),
        (timedelta(seconds=59, milliseconds=999), 2),
        (timedelta(seconds=60), 3),
        (timedelta(seconds=179), 4),
        (timedelta(seconds=180), 5),
    ],
)
def test_latency_shorter_than_a_bar_is_the_next_open_and_longer_skips_bars(
    latency, filled_in_bar
) -> None:
    venue = Venue([(price, price, price, price) for price in range(100, 106)], latency=latency)
    venue.walk()
    venue.submit(venue.buy(name="in"))
    for bar in range(2, 7):
        reports = venue.walk()
        assert bool(reports) == (bar == filled_in_bar), bar
        if reports:
            assert reports[0].fill.price == 100 + bar - 1


def test_an_order_that_arrives_in_a_gap_fills_at_the_next_bar_there_is() -> None:
    venue = Venue(
        {"BTC/USDT:USDT": series([(100, 100, 100, 100), (110, 110, 110, 110)], at=(0, 7))}
    )
    venue.walk()
    venue.submit(venue.buy(name="in"))
    assert venue.walk(5) == []
    (fill,) = venue.walk(2)
    assert (fill.fill.price, fill.at) == (110, START + timedelta(minutes=7))


# (what, entry's bar, attached stop and target, bars after the entry, what is said after the fill)
LONG = [
    ("the low reaches the stop", (94, 106), [(100, 101, 93, 100)], ["stop FILLED SELL 1 @ 94"]),
    ("touching is reaching", (94, 106), [(100, 101, 94, 100)], ["stop FILLED SELL 1 @ 94"]),
    ("a tick above is not", (94, 106), [(100, "105.9", "94.1", 100)], []),
    (
        "the high reaches the target",
        (94, 106),
        [(100, 106, 95, 100)],
        ["target FILLED SELL 1 @ 106"],
    ),
    (
        "both: the adverse extreme comes first",
        (94, 106),
        [(100, 107, 93, 100)],
        ["stop FILLED SELL 1 @ 94"],
    ),
    (
        "the open past the stop fills at the open",
        (94, 106),
        [(90, 107, 89, 100)],
        ["stop FILLED SELL 1 @ 90"],
    ),
    (
        "the open past the target fills at the open",
        (94, 106),
        [(108, 109, 93, 100)],
        ["target FILLED SELL 1 @ 108"],
    ),
    (
        "quiet bars, then the stop",
        (94, 106),
        [(100, 101, 99, 100), (100, 101, 93, 95)],
        ["stop FILLED SELL 1 @ 94"],
    ),
]


@pytest.mark.parametrize(
    ("levels", "bars", "said"), [row[1:] for row in LONG], ids=[row[0] for row in LONG]
)
@pytest.mark.parametrize("basis", list(TriggerBasis))
def test_stop_and_target_of_a_long(levels, bars, said, basis) -> None:
    venue = Venue([(100, 100, 100, 100), (100, 100, 100, 100), *bars])
    venue.walk()
    venue.submit(
        venue.buy(name="in"),
        venue.stop(SELL, levels[0], name="stop", basis=basis),
        venue.target(SELL, levels[1], name="target", basis=basis),
    )
    assert told(venue.walk()) == [
        "in FILLED BUY 1 @ 100 fee 0.1",
        "stop ACCEPTED for 1",
        "target ACCEPTED for 1",
    ]
    lines = told(venue.walk(len(bars)))
    assert [line.partition(" fee")[0] for line in lines[:1]] == said
    if said:
        other = "target" if said[0].startswith("stop") else "stop"
        assert lines[1:] == [f"{other} CANCELED POSITION_CLOSED"]
        assert not venue.state.orders
        assert not venue.state.positions


SHORT = [
    ("the high reaches the stop", (106, 94), [(100, 107, 99, 100)], "stop FILLED BUY 1 @ 106"),
    (
        "both: the adverse extreme comes first",
        (106, 94),
        [(100, 107, 93, 100)],
        "stop FILLED BUY 1 @ 106",
    ),
    ("the target", (106, 94), [(100, 105, 93, 100)], "target FILLED BUY 1 @ 94"),
    ("gaps up past the stop", (106, 94), [(110, 112, 93, 100)], "stop FILLED BUY 1 @ 110"),
]


@pytest.mark.parametrize(
    ("levels", "bars", "said"), [row[1:] for row in SHORT], ids=[row[0] for row in SHORT]
)
def test_stop_and_target_of_a_short(levels, bars, said) -> None:
    venue = Venue([(100, 100, 100, 100), (100, 100, 100, 100), *bars])
    venue.walk()
    venue.submit(
        venue.sell(name="in"),
        venue.stop(BUY, levels[0], name="stop"),
        venue.target(BUY, levels[1], name="target"),
    )
    venue.walk()
    assert told(venue.walk(len(bars)))[0].startswith(said)


def test_the_bar_of_the_entry_may_stop_it() -> None:
    venue = Venue([(100, 100, 100, 100), (101, 102, 90, 95)])
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    assert told(venue.walk()) == [
        "in FILLED BUY 1 @ 101 fee 0.101",
        "stop ACCEPTED for 1",
        "stop FILLED SELL 1 @ 95 fee 0.095",
    ]


def test_an_entry_that_opens_past_its_own_stop_is_stopped_at_that_open() -> None:
    venue = Venue([(100, 100, 100, 100), (90, 99, 89, 98)])
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    assert told(venue.walk())[-1] == "stop FILLED SELL 1 @ 90 fee 0.09"


def test_slippage_is_on_top_of_the_trigger() -> None:
    venue = Venue([(100, 100, 100, 100), (100, 100, 90, 95)], slippage_bps=D(100))
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    entry, _, stop = venue.walk()
    assert (entry.fill.price, stop.fill.price) == (
        101,
        D("94.0"),
    )  # 95 × 0.99 = 94.05, down to the tick


def test_of_two_stops_the_nearer_goes_first() -> None:
    venue = Venue([*flat_rows(100, 2), (100, 100, 90, 95)])
    venue.walk()
    venue.submit(venue.buy(2, name="in"))
    venue.walk()
    for name, trigger in (("far", 92), ("near", 96)):
        venue.submit(venue.stop(SELL, trigger, 1, name=name))
    assert [line.partition(" fee")[0] for line in told(venue.walk())] == [
        "near FILLED SELL 1 @ 96",
        "far FILLED SELL 1 @ 92",
    ]


# --- trigger basis ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "bar", "mark", "basis", "filled_at"),
    [
        (
            "mark falls, trades don't: the lowest trade",
            (100, 101, 98, 100),
            (100, 100, 94, 100),
            TriggerBasis.MARK,
            "98",
        ),
        (
            "mark falls, trades too: the trigger",
            (100, 101, 90, 100),
            (100, 100, 94, 100),
            TriggerBasis.MARK,
            "95",
        ),
        (
            "mark opens past: the open of the trades",
            (97, 101, 90, 100),
            (94, 94, 94, 94),
            TriggerBasis.MARK,
            "97",
        ),
        (
            "trades fall, mark doesn't: it sleeps",
            (100, 101, 90, 100),
            (100, 100, 100, 100),
            TriggerBasis.MARK,
            None,
        ),
        (
            "trades don't, mark does: it sleeps",
            (100, 101, 98, 100),
            (100, 100, 90, 100),
            TriggerBasis.LAST,
            None,
        ),
    ],
)
def test_the_basis_of_a_trigger_chooses_the_series_and_fills_take_the_trades(
    what, bar, mark, basis, filled_at
) -> None:
    venue = Venue([*flat_rows(100, 2), bar], marks=[*flat_rows(100, 2), mark])
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop", basis=basis))
    venue.walk()
    prices = [report.fill.price for report in venue.walk() if report.fill is not None]
    assert prices == ([] if filled_at is None else [D(filled_at)]), what


# --- limits -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "bar", "said"),
    [
        ("at once, at the open, as taker", (99, 101, 98, 100), ["l FILLED BUY 1 @ 99 fee 0.099"]),
        (
            "rests, and the low reaches it, as maker",
            (102, 103, 100, 101),
            ["l FILLED BUY 1 @ 100 fee 0.05"],
        ),
        ("rests on", (102, 103, "100.1", 101), []),
    ],
)
def test_a_limit_fills_when_the_path_reaches_it(what, bar, said) -> None:
    venue = Venue([(101, 101, 101, 101), bar])
    venue.walk()
    venue.submit(venue.limit(BUY, 100, name="l"))
    assert told(venue.walk()) == said, what


def test_a_resting_limit_that_the_open_has_passed_fills_at_the_open_as_maker() -> None:
    venue = Venue([(101, 101, 101, 101), (102, 103, 101, 102), (97, 98, 96, 97)])
    venue.walk()
    venue.submit(venue.limit(BUY, 100, name="l"))
    assert told(venue.walk(2)) == ["l FILLED BUY 1 @ 97 fee 0.0485"]


def test_a_limit_is_never_filled_worse_than_its_price() -> None:
    venue = Venue([(100, 100, 100, 100), (100, 101, 99, 100)], slippage_bps=D(100))
    venue.walk()
    venue.submit(venue.limit(BUY, "100.5", name="l"))
    assert told(venue.walk()) == ["l FILLED BUY 1 @ 100.5 fee 0.1005"]


@pytest.mark.parametrize(
    ("opens", "said"),
    [
        (100, "i FILLED BUY 1 @ 100 fee 0.1"),
        (101, "i EXPIRED NO_LIQUIDITY"),
    ],
)
def test_ioc_takes_what_there_is_at_its_price_or_expires(opens, said) -> None:
    venue = Venue([(100, 100, 100, 100), (opens, 102, 90, 100)])
    venue.walk()
    venue.submit(
        venue.limit(BUY, "100.5", name="i", time_in_force=TimeInForce.IOC),
        venue.stop(SELL, 80, name="stop"),
    )
    lines = told(venue.walk())
    assert lines[0] == said
    assert lines[1] == ("stop ACCEPTED for 1" if "FILLED" in said else "stop CANCELED ENTRY_ENDED")


def test_with_nothing_held_no_entry_profits_from_a_path_it_may_not_have_had() -> None:
    """The high may have come before the low that filled the limit: no target in that bar…"""
    venue = Venue([(101, 101, 101, 101), (101, 110, 99, 102), (102, 110, 101, 105)])
    venue.walk()
    venue.submit(
        venue.limit(BUY, 100, name="l"),
        venue.stop(SELL, 95, name="stop"),
        venue.target(SELL, 108, name="target"),
    )
    assert told(venue.walk()) == [
        "l FILLED BUY 1 @ 100 fee 0.05",
        "stop ACCEPTED for 1",
        "target ACCEPTED for 1",
    ]
    assert told(venue.walk())[0] == "target FILLED SELL 1 @ 108 fee 0.108"


def test_but_the_way_from_the_low_to_the_close_came_after_it() -> None:
    venue = Venue([(101, 101, 101, 101), (101, 104, 99, 104)])
    venue.walk()
    venue.submit(venue.limit(BUY, 100, name="l"), venue.target(SELL, 103, name="target"))
    assert told(venue.walk())[-1] == "target FILLED SELL 1 @ 103 fee 0.103"


def test_a_limit_and_its_stop_on_one_leg() -> None:
    venue = Venue([(101, 101, 101, 101), (101, 102, 90, 92)])
    venue.walk()
    venue.submit(venue.limit(BUY, 100, name="l"), venue.stop(SELL, 95, name="stop"))
    assert told(venue.walk()) == [
        "l FILLED BUY 1 @ 100 fee 0.05",
        "stop ACCEPTED for 1",
        "stop FILLED SELL 1 @ 95 fee 0.095",
    ]


def test_a_stop_entry_buys_a_breakout() -> None:
    venue = Venue([(100, 100, 100, 100), (100, 106, 99, 103), (103, 104, 95, 96)])
    venue.walk()
    venue.submit(
        venue.stop(BUY, 105, name="in", reduce_only=False, purpose=OrderPurpose.ENTRY),
        venue.stop(SELL, 98, name="stop"),
    )
    assert told(venue.walk())[0] == "in FILLED BUY 1 @ 105 fee 0.105"
    assert told(venue.walk()) == ["stop FILLED SELL 1 @ 98 fee 0.098"]
