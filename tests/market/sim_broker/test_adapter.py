"""The adapter: several symbols, marks on other times, restarts, the end of the data."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from market.domain.canonical import canonical_bytes
from market.domain.data import InstrumentSnapshot, MarketSnapshot, to_milliseconds
from market.domain.enums import FillReason, OrderStatus, OrderType, TriggerBasis
from market.ports import Broker
from market.venues.sim_broker import SimBroker
from market.venues.sim_venue.settings import SimSettings
from market.venues.sim_venue.state import ENDED_KEPT, ENDED_PAGE, SimState
from market.venues.sim_venue.stored import StoredStateError, from_mapping, to_mapping
from market.venues.sim_venue.tracks import aligned_marks
from tests.market.sim_broker.venue import (
    BUY,
    MINUTE,
    PERPETUAL,
    SELL,
    SPOT,
    SPOT_COIN,
    START,
    SYMBOL,
    Venue,
    flat_rows,
    rates,
    series,
    told,
)

ETH = replace(PERPETUAL, symbol="ETH/USDT:USDT", base="ETH")


def test_it_is_a_broker() -> None:
    broker: Broker = SimBroker([PERPETUAL], cash=D(1))
    assert broker.sync(MarketSnapshot(as_of=START, instruments=())) == []


def test_asking_again_returns_nothing_again() -> None:
    venue = Venue(flat_rows(100, 3), funding=rates((2, "0.01")))
    venue.walk()
    venue.submit(venue.buy())
    venue.walk(2)
    assert len(venue.reports) == 3
    assert venue.broker.sync(venue.snapshot(3)) == []


def test_an_older_snapshot_takes_nothing_back() -> None:
    venue = Venue([*flat_rows(100, 5), (100, 100, 90, 100), *flat_rows(100, 3)])
    venue.walk(6)
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.walk()
    until = venue.state.processed_until
    for count in (3, 4, 7):  # each time new series, as a live feed gives them
        venue.bars = {SYMBOL: series([*flat_rows(100, 5), (100, 100, 90, 100), *flat_rows(100, 3)])}
        assert venue.broker.sync(venue.snapshot(count)) == []
        assert venue.state.processed_until == until


def test_history_before_the_account_opened_is_not_lived_through() -> None:
    venue = Venue(flat_rows(100, 500), funding=rates(*((n, "0.01") for n in range(1, 400, 10))))
    assert venue.walk(499) == []
    venue.submit(venue.buy())
    assert [line.split()[0] for line in told(venue.walk())] == ["market-1"]


# --- several symbols ----------------------------------------------------------------------------------


def two(btc, eth, **settings) -> Venue:
    return Venue({SYMBOL: btc, ETH.symbol: eth}, instruments=(PERPETUAL, ETH), **settings)


def test_symbols_share_the_cash_in_name_order() -> None:
    venue = two(series(flat_rows(100, 3)), series(flat_rows(100, 3)), cash=1000)
    venue.walk()
    venue.submit(venue.buy(8, name="eth", symbol=ETH.symbol, leverage=D(2)))
    venue.submit(venue.buy(5, name="btc", leverage=D(1)))
    assert [line.partition(" fee")[0] for line in told(venue.walk())] == [
        "btc FILLED BUY 5 @ 100",
        "eth FILLED BUY 8 @ 100",
    ]


def test_all_opens_come_before_all_paths() -> None:
    """BTC's stop inside the bar comes after ETH's fill at its open."""
    venue = two(series([*flat_rows(100, 2), (100, 100, 90, 95)]), series(flat_rows(100, 3)))
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.walk()
    venue.submit(venue.buy(name="eth", symbol=ETH.symbol))
    assert [line.split()[0] for line in told(venue.walk())] == ["eth", "stop"]


def test_other_times_for_each_symbol_are_walked_in_order_of_time() -> None:
    btc = series([(100, 100, 100, 100)] * 2 + [(100, 100, 90, 95)] * 2, at=(0, 1, 3, 5))
    eth = series([(100, 100, 100, 100)] * 2 + [(100, 100, 90, 95)] * 2, at=(0, 1, 2, 4))
    venue = two(btc, eth)
    venue.walk()
    for name, symbol in (("btc", SYMBOL), ("eth", ETH.symbol)):
        venue.submit(
            venue.buy(name=name, symbol=symbol),
            venue.stop(SELL, 95, name=f"{name} stop", symbol=symbol),
        )
    reports = venue.walk(6)
    assert [(line.partition(" FILLED")[0]) for line in told(reports) if "FILLED" in line] == [
        "btc", "eth", "eth stop", "btc stop",
    ]  # fmt: skip
    assert [r.at for r in reports] == sorted(r.at for r in reports)


def test_bars_of_two_timeframes_are_refused() -> None:
    venue = Venue(flat_rows(100, 3))
    hourly = series(flat_rows(100, 3))
    hourly.timeframe = timedelta(hours=1)
    items = tuple(
        InstrumentSnapshot(instrument=one, quote=None, candles=bars, bars=bars)
        for one, bars in ((PERPETUAL, venue.bars[SYMBOL]), (ETH, hourly))
    )
    broker = SimBroker([PERPETUAL, ETH], cash=D(1))
    with pytest.raises(ValueError, match="one timeframe"):
        broker.sync(MarketSnapshot(as_of=START, instruments=items))


def test_instruments_that_are_not_traded_here_are_passed_over() -> None:
    venue = two(series(flat_rows(100, 3)), series(flat_rows(100, 3)))
    venue.broker = SimBroker([PERPETUAL], cash=D(100))
    assert venue.walk() == []


# --- mark series --------------------------------------------------------------------------------------


def test_marks_on_other_times_are_laid_on_the_trades() -> None:
    trade = series([("100.5", 101, 100, 100)] * 4, at=(0, 1, 2, 3))
    mark = series([("99.25", 100, 99, 99), ("98.25", 99, 98, 98)], at=(1, 3))
    laid = aligned_marks(trade, mark)
    assert [candle.open for candle in laid] == [D("100.5"), D("99.25"), D("100.5"), D("98.25")]
    assert aligned_marks(trade, trade) is trade
    assert [candle.open for candle in aligned_marks(trade, series([]))] == [D("100.5")] * 4


def test_a_stop_on_mark_sleeps_where_no_mark_was_recorded_unless_trades_reach_it() -> None:
    rows = [*flat_rows(100, 2), (100, 100, 96, 100), (100, 100, 94, 100)]
    venue = Venue(rows)
    venue.marks = {SYMBOL: series(flat_rows(100, 3), at=(0, 1, 2))}
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop", basis=TriggerBasis.MARK))
    venue.walk()
    assert venue.walk() == []
    # minute 3 has no mark candle: the trade candle stands for it
    assert told(venue.walk()) == ["stop FILLED SELL 1 @ 95 fee 0.095"]


def test_the_harness_asks_with_the_same_marks() -> None:
    trade = series(flat_rows(100, 9))
    mark = series([*flat_rows(100, 5), (100, 100, 94, 100), *flat_rows(100, 3)])
    venue = Venue({SYMBOL: trade})
    venue.marks = {SYMBOL: mark}
    venue.walk()
    venue.submit(venue.buy(), venue.stop(SELL, 95, name="stop", basis=TriggerBasis.MARK))
    venue.walk()
    asked = venue.broker.next_event_bar
    assert asked({SYMBOL: (trade, None)}, 2, 9) == 9
    assert asked({SYMBOL: (trade, mark)}, 2, 9, {SYMBOL: rates((4, "0.01"))}) == 4
    assert asked({SYMBOL: (trade, mark)}, 2, 9) == 5
    assert venue.walk(3) == []  # to minute 4, where it was told that nothing happens
    assert told(venue.walk()) == ["stop FILLED SELL 1 @ 100 fee 0.1"]


# --- the end of the data, and the state ---------------------------------------------------------------


def test_what_is_open_at_the_end_is_closed_and_flagged() -> None:
    venue = Venue(flat_rows(100, 3), slippage_bps=D(100))
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 90, name="stop"))
    venue.walk()
    venue.submit(venue.limit(BUY, 80, name="l"), venue.stop(SELL, 70, name="s2"))
    at = START + MINUTE * 2
    reports = venue.broker.close_all_at({SYMBOL: D("100.05")}, at)
    assert told(reports) == [
        "venue - SELL 1 @ 100.05 fee 0.10005 END_OF_DATA",
        "stop CANCELED END_OF_DATA",
        "l CANCELED END_OF_DATA",
        "s2 CANCELED ENTRY_ENDED",
    ]
    assert reports[0].at == at
    assert not venue.state.positions
    assert not venue.state.orders
    other = Venue(flat_rows(100, 3))
    assert other.broker.close_all_at({}, at, FillReason.SETTLEMENT) == ()


def rich_state() -> Venue:
    """A position with protection, a limit with its own, an order under way, ended ones, funding booked."""
    venue = Venue(
        {SYMBOL: series(flat_rows(100, 9)), SPOT: series(flat_rows(100, 9))}, instruments=(PERPETUAL, SPOT_COIN),
        funding=rates((2, "0.0001")), latency=timedelta(seconds=70),
    )  # fmt: skip
    venue.walk()
    venue.submit(
        venue.buy("1.5", leverage=D(10)),
        venue.stop(SELL, 95),
        venue.target(SELL, 110, basis=TriggerBasis.MARK),
    )
    venue.submit(venue.buy(1, symbol=SPOT))
    venue.submit(venue.buy(0))
    venue.walk(3)
    venue.submit(venue.limit(BUY, 90), venue.stop(SELL, 80))
    venue.submit(venue.buy(0, quote_quantity=D(50)))
    return venue


def test_a_stored_venue_goes_on_where_it_was() -> None:
    venue = rich_state()
    stored = to_mapping(venue.state)
    state = from_mapping(stored, venue.instruments)
    assert state == venue.state
    assert canonical_bytes(to_mapping(state)) == canonical_bytes(stored)
    again = Venue(
        venue.bars,
        instruments=(PERPETUAL, SPOT_COIN),
        funding=venue.funding,
        latency=timedelta(seconds=70),
        state=state,
    )
    again.walked = venue.walked
    assert again.walk(5) == venue.walk(5)
    assert again.state == venue.state


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 0}, "format 0"),
        ({"cash": "much"}, "can't be read"),
        ({"positions": [{"symbol": "X"}]}, "quantity"),
        ({"orders": None}, "can't be read"),
    ],
)
def test_a_state_that_can_not_be_read(change: dict[str, object], words: str) -> None:
    with pytest.raises(StoredStateError, match=words):
        from_mapping(to_mapping(SimState(cash=D(1))) | change, {SYMBOL: PERPETUAL})
    with pytest.raises(StoredStateError):
        from_mapping({}, {})


def test_states_are_not_changed_by_steps() -> None:
    venue = rich_state()
    before = to_mapping(venue.state)
    kept = venue.state
    venue.walk(5)
    assert to_mapping(kept) == before
    assert kept != venue.state


def test_the_last_ended_orders_are_remembered_and_no_more() -> None:
    venue = Venue(flat_rows(100))
    venue.walk()
    count = ENDED_KEPT + 3 * ENDED_PAGE
    for number in range(count):
        venue.submit(venue.buy(0, name=f"n{number}"))
    ended = venue.state.ended
    assert ENDED_KEPT <= len(ended) <= ENDED_KEPT + ENDED_PAGE
    assert [one for one, _ in ended.items()] == [f"n{n}" for n in range(count - len(ended), count)]
    assert venue.broker.fate_of(f"n{count - ENDED_KEPT}").status is OrderStatus.REJECTED
    assert venue.broker.fate_of("n0").status is None


def test_what_the_venue_says_of_an_order() -> None:
    venue = Venue(
        [(100, 100, 100, 100, 20), (100, 100, 100, 100, 20)], max_volume_fraction=D("0.1")
    )
    venue.walk()
    venue.submit(venue.limit(BUY, 100, 5, name="l"), venue.stop(SELL, 90, name="s"))
    assert told([venue.broker.fate_of("l")]) == ["l ACCEPTED for 5"]
    assert told([venue.broker.fate_of("s")]) == ["s ACCEPTED for 0"]
    venue.walk()
    assert told([venue.broker.fate_of("l")]) == ["l PARTIALLY_FILLED for 5"]
    assert told([venue.broker.fate_of("s")]) == ["s ACCEPTED for 2"]
    venue.broker.cancel("l")
    assert told([venue.broker.fate_of("l")]) == ["l CANCELED"]


def test_before_the_first_snapshot_nothing_has_a_price() -> None:
    broker = SimBroker([PERPETUAL], cash=D(1000))
    venue = Venue(flat_rows(100))
    assert broker.submit(venue.order(BUY, OrderType.MARKET))[0].reason == "NO_PRICE"
    assert told([broker.fate_of("x")]) == ["x - UNKNOWN_ORDER"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"slippage_bps": D(-1)},
        {"spread_bps": D(-1)},
        {"latency": timedelta(-1)},
        {"max_volume_fraction": D(0)},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"max_volume_fraction|never below zero"):
        SimSettings(**wrong)  # type: ignore[arg-type]


def test_latency_is_rounded_up_to_a_millisecond() -> None:
    assert SimSettings(latency=timedelta(microseconds=1)).latency_milliseconds == 1
    assert to_milliseconds(START) % 60_000 == 0
