"""Candles as exact columns, funding, snapshots and their hash."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import (
    BookLevel,
    Candle,
    CandleSeries,
    FundingSeries,
    InstrumentSnapshot,
    MarketSnapshot,
    OrderBook,
    from_milliseconds,
    series_from_columns,
    to_milliseconds,
)
from tests.market.sim_broker.venue import (
    MINUTE,
    PERPETUAL,
    START,
    SYMBOL,
    flat_rows,
    quote,
    series,
)

PRICES = st.decimals(min_value=D("0.00000001"), max_value=D(9999999), places=8)


@given(
    st.integers(0, 5 * 10**12).map(
        lambda milliseconds: START + timedelta(milliseconds=milliseconds)
    )
)
def test_milliseconds_and_back(instant: datetime) -> None:
    assert from_milliseconds(to_milliseconds(instant)) == instant


@given(
    st.lists(
        st.tuples(
            PRICES, PRICES, PRICES, PRICES, st.decimals(min_value=0, max_value=10**9, places=6)
        ),
        min_size=1,
        max_size=6,
    )
)
def test_columns_hold_every_price_exactly(rows) -> None:
    candles = [
        Candle(
            opened_at=START + MINUTE * n,
            open=row[0],
            high=row[1],
            low=row[2],
            close=row[3],
            volume=row[4],
        )
        for n, row in enumerate(rows)
    ]
    made = CandleSeries.from_candles(candles, MINUTE)
    assert list(made) == candles
    assert made.candle(-1) == candles[-1]
    assert len(made) == len(candles)
    assert (made.opened(0), made.closed(0)) == (START, START + MINUTE)
    for candle in candles:
        assert made.price(int(made.scaled_price(candle.close))) == candle.close


def four(prices):
    return dict.fromkeys(("open", "high", "low", "close"), prices)


def columns(prices, volume=(D(1),), at=(0,)):
    return series_from_columns(
        timeframe=MINUTE, opened_at=list(at), prices=four(prices), volume=list(volume)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("prices", "volume", "at", "words"),
    [
        ([D("1E15"), D("0.00000001")], [D(1)] * 2, (0, 1), "do not fit 63 bits"),
        ([D(1)] * 2, [D(1)] * 2, (1, 1), "increasing"),
        ([D(1)] * 2, [D(1)] * 2, (2, 1), "increasing"),
        ([D(1)], [D(1)] * 2, (0, 1), "one value for each time"),
        ([D(1)] * 2, [D(1)], (0, 1), "one value for each time"),
        ([D("NaN")], [D(1)], (0,), "no price"),
        ([D(1)], [D("Infinity")], (0,), "no volume"),
    ],
)
def test_columns_that_make_no_series(prices, volume, at, words) -> None:
    with pytest.raises(ValueError, match=words):
        columns(prices, volume, at)


def test_volume_gives_up_digits_before_it_overflows() -> None:
    made = columns([D(1)] * 2, [D("1E18"), D("0.123456789")], (0, 1))
    assert [candle.volume for candle in made] == [D("1E18"), 0]


def test_an_empty_series() -> None:
    made = series([])
    assert len(made) == 0
    assert made.digest() == series([]).digest()
    with pytest.raises(IndexError):
        made.candle(-1)


def test_a_window_shares_memory_and_knows_where_it_was_cut() -> None:
    whole = series([(n, n, n, n) for n in range(1, 9)])
    window = whole.first(3)
    assert window.base is whole
    assert window.first(2).base is whole
    assert (window.end, len(window.first(0))) == (3, 0)
    assert np.shares_memory(window.close, whole.close)
    assert whole.first(8) is whole
    for one in (whole, window):
        with pytest.raises(ValueError, match="read-only"):
            one.close[0] = 5


def test_the_callers_own_times_stay_writable() -> None:
    times = np.array([1, 2], dtype=np.int64)
    series_from_columns(
        timeframe=MINUTE, opened_at=times, prices=four([D(1), D(2)]), volume=[D(1)] * 2
    )  # fmt: skip
    times[0] = 0


def test_a_digest_tells_every_change_and_only_changes() -> None:
    rows = [(n, n + 2, n, n + 1) for n in range(1, 9)]
    whole = series(rows)
    assert whole.first(5).digest() == series(rows[:5]).digest() != whole.digest()
    # windows that grow, shrink and grow again
    assert [whole.first(n).digest() for n in (3, 8, 2, 8)] == [
        series(rows[:n]).digest() for n in (3, 8, 2, 8)
    ]
    digests = {whole.digest()}
    for place in range(5):
        changed: list[tuple[int, ...]] = [*rows]
        last = [*rows[4], 1000]
        last[place] += 1
        changed[4] = tuple(last)
        digests.add(series(changed).digest())
    digests.add(series(rows, start=START + MINUTE).digest())
    assert len(digests) == 7


# --- funding ------------------------------------------------------------------------------------------


def test_funding_between_two_instants() -> None:
    funding = FundingSeries(at=np.array([10, 20, 30]), rates=(D(1), D(2), D(3)))
    assert list(funding.between(10, 30)) == [(20, D(2)), (30, D(3))]
    assert list(funding.between(-1, 9)) == []
    assert list(funding.between(9, 10)) == [(10, D(1))]


@pytest.mark.parametrize(
    ("at", "rates", "words"), [([1], (), "one funding rate"), ([2, 1], (D(1), D(1)), "increasing")]
)
def test_funding_that_makes_no_series(at, rates, words) -> None:
    with pytest.raises(ValueError, match=words):
        FundingSeries(at=np.array(at), rates=rates)


# --- snapshots ----------------------------------------------------------------------------------------


def snapshot(**changes: object) -> MarketSnapshot:
    as_of = changes.pop("as_of", START + MINUTE)
    bars = series(flat_rows(100, 3))
    values: dict[str, object] = {
        "instrument": PERPETUAL,
        "quote": quote(100),
        "candles": bars,
        "bars": bars,
    }
    item = InstrumentSnapshot(**(values | changes))  # type: ignore[arg-type]
    return MarketSnapshot(as_of=as_of, instruments=(item,))  # type: ignore[arg-type]


def test_equal_snapshots_have_one_hash_and_every_visible_change_another() -> None:
    assert snapshot().content_hash == snapshot().content_hash
    level = BookLevel(price=D(100), quantity=D(1))
    changes: list[dict[str, object]] = [
        {},
        {"as_of": START},
        {"quote": quote(101)},
        {"quote": None},
        {"book": OrderBook(bids=(level,), asks=())},
        {"candles": series(flat_rows(101, 3))},
        {"context": series(flat_rows(100, 2))},
        {"unfinished": series(flat_rows(100)).candle(0)},
        {"funding_rate": D("0.0001")},
        {"next_funding_at": START},
        {"open_interest": D(5)},
        {"unusable": "stale"},
        {"instrument": replace(PERPETUAL, symbol="X/USDT:USDT")},
    ]
    hashes = [snapshot(**change).content_hash for change in changes]
    assert len(set(hashes)) == len(changes)


def test_the_mark_of_a_symbol() -> None:
    seen = snapshot(quote=quote(100, mark=99))
    assert seen.mark(SYMBOL) == 99
    assert seen.mark("X") is None
    assert snapshot(quote=None).mark(SYMBOL) is None
    assert seen.by_symbol[SYMBOL].symbol == SYMBOL


def test_timeframes_travel_with_the_series() -> None:
    assert series(flat_rows(1, 2)).first(1).timeframe == timedelta(minutes=1)
