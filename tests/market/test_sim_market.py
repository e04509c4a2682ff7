"""The simulated market: the same for the same seed, whoever asks, and shaped like a market."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from market.domain.data import to_milliseconds
from market.domain.instruments import UnsupportedInstrument
from market.venues.sim_market import DEFAULT_SYMBOLS, SimMarketFeed, histories
from market.venues.sim_market.days import ASSETS, DAYS, ORIGIN, Regime, log_closes, market_days
from market.venues.sim_market.minutes import FUNDING_MINUTES, day_minutes

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
START = datetime(2024, 3, 1, tzinfo=UTC)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SEED = 7

MONTH = histories(SEED, START, 30 * 1440)
SERIES = [series for item in MONTH for series in (item.bars, item.mark_bars) if series is not None]


def columns(series, first=0, end=None):
    names = ("opened_at", "open", "high", "low", "close", "volume")
    return [getattr(series, name)[first:end].tolist() for name in names]


def returns(item):
    return np.diff(np.log(item.bars.close.astype(float)))


# A pure function of seed, instrument and minute


def test_the_same_seed_is_the_same_market():
    again, other = histories(SEED, START, 300), histories(SEED + 1, START, 300)

    for item, same, different in zip(MONTH, again, other, strict=True):
        assert item.instrument == same.instrument
        assert columns(item.bars, 0, 300) == columns(same.bars)
        assert columns(same.bars)[4] != columns(different.bars)[4]


@settings(max_examples=15)
@example(480, 480, BTC)
@given(st.integers(0, 20 * 1440), st.integers(1, 3000), st.sampled_from(DEFAULT_SYMBOLS))
def test_any_part_is_that_part_of_the_whole(first, count, symbol):
    """Random access: from anywhere, of any length, alone or with others."""
    (part,) = histories(SEED, START + first * MINUTE, count, [symbol])
    (whole,) = [item for item in MONTH if item.instrument.symbol == symbol]

    assert columns(part.bars) == columns(whole.bars, first, first + count)
    assert columns(part.mark_bars) == columns(whole.mark_bars, first, first + count)
    start, end = int(part.bars.opened_at[0]), int(part.bars.opened_at[-1]) + 60_000
    assert list(part.funding.between(start, end)) == list(whole.funding.between(start, end))
    assert len(part.funding.at) == len(list(whole.funding.between(start, end)))


def test_spot_moves_with_its_perpetual():
    spot, perpetual = histories(SEED, START, 60, ["BTC/USDT", BTC])

    assert columns(spot.bars)[:5] == columns(perpetual.bars)[:5]
    assert spot.funding is None


def test_days_do_not_depend_on_the_horizon():
    """The path of days is drawn once for all: its first values are those of any prefix."""
    assert len(log_closes(SEED, "BTC")) == DAYS + 1
    assert log_closes.__wrapped__(SEED, "BTC").tolist() == log_closes(SEED, "BTC").tolist()


# What it delivers is sound


@pytest.mark.parametrize("series", SERIES)
def test_candles_are_possible(series):
    assert np.all(series.low <= np.minimum(series.open, series.close))
    assert np.all(series.high >= np.maximum(series.open, series.close))
    assert np.all(series.low > 0)
    assert np.all(series.volume > 0)
    assert np.all(np.diff(series.opened_at) == 60_000)
    assert len(series) == 30 * 1440
    np.testing.assert_array_equal(series.open[1:], series.close[:-1])  # midnights included


@pytest.mark.parametrize("item", MONTH, ids=lambda item: item.instrument.base)
def test_prices_are_on_the_tick_and_mark_is_near(item):
    bars, marks = item.bars, item.mark_bars
    for index in range(0, len(bars), 997):
        candle = bars.candle(index)
        assert candle.close % item.instrument.price_step == 0
        assert candle.volume % item.instrument.quantity_step == 0
    distance = np.abs(marks.close / bars.close - 1)
    tick = float(item.instrument.price_step / bars.price(bars.close.min()))
    assert distance.max() < 2e-4 + tick
    assert distance.max() > 1e-5


@pytest.mark.parametrize("item", MONTH, ids=lambda item: item.instrument.base)
def test_funding_is_settled_three_times_a_day(item):
    hours = np.unique(item.funding.at // 3_600_000 % 24)

    assert len(item.funding.at) == 90
    assert hours.tolist() == [0, 8, 16]
    assert len(set(item.funding.rates)) > 45
    assert all(abs(rate) <= Decimal("0.0075") for rate in item.funding.rates)


def test_funding_follows_momentum():
    item = MONTH[0]
    closes = dict(zip(item.bars.opened_at.tolist(), item.bars.close.tolist(), strict=True))
    moves = [
        closes[at - 60_000] / closes[max(at - 8 * 3_600_000 - 60_000, int(item.bars.opened_at[0]))]
        for at in item.funding.at.tolist()
    ]

    assert np.corrcoef(moves, [float(rate) for rate in item.funding.rates])[0, 1] > 0.95


# It looks like a market


@pytest.mark.parametrize("item", MONTH, ids=lambda item: item.instrument.base)
def test_tails_are_fat_and_volatility_clusters(item):
    moves = returns(item)
    size = np.abs(moves)

    assert np.mean((moves - moves.mean()) ** 4) / moves.var() ** 2 > 5
    for lag in (1, 10, 60):
        assert np.corrcoef(size[:-lag], size[lag:])[0, 1] > 0.05
    days = [size[day * 1440 : (day + 1) * 1440 - 1] for day in range(30)]
    assert np.mean([np.corrcoef(day[:-10], day[10:])[0, 1] for day in days]) > 0.1  # within a day
    assert abs(np.corrcoef(moves[:-1], moves[1:])[0, 1]) < 0.05  # but not the direction
    assert 0.1 < moves.std() * np.sqrt(525_600) < 3  # a year's volatility


def test_instruments_move_together():
    correlations = np.corrcoef([returns(item) for item in MONTH])

    assert correlations.min() > 0.3
    assert correlations[~np.eye(len(MONTH), dtype=bool)].max() < 0.95


def test_every_regime_comes_and_prices_stay_in_bounds():
    days = market_days(SEED)

    assert set(days.regimes) == set(Regime)
    falls = [
        move for move, mood in zip(days.moves, days.regimes, strict=True) if mood is Regime.CRASH
    ]
    assert np.mean(falls) < -0.03
    for base, asset in ASSETS.items():
        prices = np.exp(log_closes(SEED, base)) / asset.anchor
        assert 0.02 < prices.min() < prices.max() < 50


# As a feed


def look(market, now, symbol=BTC):
    return market.snapshot([symbol], now).by_symbol[symbol]


def sim(timeframe=3 * MINUTE, seed=SEED, symbols=(BTC, ETH), days=2):
    return SimMarketFeed(seed, timeframe=timeframe, symbols=symbols, history=days * DAY)


NOON = START + timedelta(days=5, hours=12)


def test_it_says_what_it_is():
    snapshot = sim().snapshot([BTC], NOON)

    assert snapshot.source == "simulated market, seed 7"
    assert [item.symbol for item in sim().instruments()] == [BTC, ETH]
    assert len(SimMarketFeed(0, timeframe=MINUTE).instruments()) == 6


def test_closed_bars_are_those_of_the_histories():
    item = look(sim(), NOON + timedelta(seconds=40))

    bars = MONTH[DEFAULT_SYMBOLS.index(BTC)].bars
    assert item.bars.closed(-1) == NOON
    ours = int(np.searchsorted(bars.opened_at, to_milliseconds(NOON)))
    assert columns(item.bars) == columns(bars, ours - len(item.bars), ours)
    assert len(item.bars) == 2 * 1440 + 720
    assert item.candles.timeframe == 3 * MINUTE
    assert len(item.context) == 2 * 6 + 3
    assert item.unusable is None
    assert item.funding_rate == item.funding.rates[-1]
    assert item.next_funding_at == NOON + timedelta(hours=4)
    assert item.open_interest % item.instrument.quantity_step == 0
    assert item.open_interest > 0


def test_the_open_minute_becomes_its_bar():
    market = sim(timeframe=MINUTE)
    seen = [
        look(market, NOON + timedelta(milliseconds=n))
        for n in (0, 1, *range(500, 60_000, 500), 59_999)
    ]
    bar = look(market, NOON + MINUTE).bars.candle(-1)

    assert seen[0].unfinished is None
    assert seen[0].quote.last == bar.open
    moving = [item.unfinished for item in seen[1:]]
    assert all(not candle.is_closed and candle.opened_at == NOON for candle in moving)
    assert all(candle.open == bar.open for candle in moving)
    assert bar.low < moving[0].low <= moving[0].high < bar.high  # its extremes lie ahead
    assert [candle.high for candle in moving] == sorted(candle.high for candle in moving)
    assert [candle.low for candle in moving] == sorted((c.low for c in moving), reverse=True)
    assert [candle.volume for candle in moving] == sorted(candle.volume for candle in moving)
    assert bar.low <= moving[-1].low <= moving[-1].high <= bar.high
    assert abs(moving[-1].close - bar.close) <= bar.high - bar.low
    assert moving[-1].volume < bar.volume
    assert len({item.quote.last for item in seen}) > 20
    for item in seen[1:]:
        assert item.quote.last == item.unfinished.close
        assert item.quote.at == seen[0].quote.at + (item.quote.at - NOON)


def test_a_longer_candle_moves_with_the_minute():
    market = sim(timeframe=3 * MINUTE)
    item = look(market, NOON + timedelta(seconds=100))

    first = item.bars.candle(-1)
    assert item.unfinished.opened_at == NOON
    assert item.unfinished.open == first.open
    assert item.unfinished.close == item.quote.last
    assert item.unfinished.high >= first.high
    assert item.unfinished.volume > first.volume
    assert not item.unfinished.is_closed


@given(st.integers(0, 86_400_000 - 1), st.sampled_from(DEFAULT_SYMBOLS))
@settings(max_examples=60)
def test_the_book_is_around_the_price(milliseconds, symbol):
    item = look(EVERYTHING, NOON + timedelta(milliseconds=milliseconds), symbol)
    quote, book, tick = item.quote, item.book, item.instrument.price_step

    assert quote.bid <= quote.last <= quote.ask
    assert quote.bid < quote.ask
    assert (quote.bid, quote.ask) == (book.bids[0].price, book.asks[0].price)
    assert len(book.bids) == len(book.asks) == 10
    for side, ordered in ((book.bids, True), (book.asks, False)):
        levels = [level.price for level in side]
        assert levels == sorted(set(levels), reverse=ordered)
        assert all(price % tick == 0 for price in levels)
        assert all(level.quantity > 0 for level in side)
        assert all(level.quantity % item.instrument.quantity_step == 0 for level in side)
    assert (quote.ask - quote.bid) / quote.last < Decimal("0.002")
    assert abs(quote.mark / quote.last - 1) < Decimal("0.001")


EVERYTHING = SimMarketFeed(SEED, timeframe=3 * MINUTE, history=DAY)


@given(st.integers(0, 2 * 86_400_000))
@settings(max_examples=10)
def test_any_instant_in_any_order_by_any_feed(milliseconds):
    now = NOON + timedelta(milliseconds=milliseconds)
    wandering = sim(symbols=[BTC], days=1)
    wandering.snapshot([BTC], now + 3 * DAY)
    wandering.snapshot([BTC], now - 2 * DAY)

    fresh = sim(symbols=[BTC], days=1).snapshot([BTC], now)

    assert wandering.snapshot([BTC], now).content_hash == fresh.content_hash


@pytest.mark.parametrize("seconds", [0, 1, 59, 60, 3_600, 43_199])
def test_what_comes_later_changes_nothing_that_is_seen(monkeypatch, seconds):
    """P5: change every minute after the open one, and the rest of the day's funding."""
    now = NOON + timedelta(seconds=seconds)
    expected = sim().snapshot([BTC], now).content_hash
    after = (now - START) // MINUTE

    def changed(seed, instrument, day):
        minutes = day_minutes(seed, instrument, day)
        first = after + 1 - (day * DAY + ORIGIN - START) // MINUTE
        if first >= 1440:
            return minutes
        later = {}
        for name in ("open", "high", "low", "close", "volume", "mark_open", "mark_close"):
            column = getattr(minutes, name).copy()
            column[max(0, first) :] *= 2
            later[name] = column
        rates = [
            rate if minute <= first - 1 else rate + 1
            for minute, rate in zip(FUNDING_MINUTES, minutes.funding, strict=True)
        ]
        return replace(minutes, **later, funding=tuple(rates))

    monkeypatch.setattr("market.venues.sim_market.feed.day_minutes", changed)

    assert sim().snapshot([BTC], now).content_hash == expected
    late = sim().snapshot([BTC], now + 2 * MINUTE).content_hash
    monkeypatch.undo()
    assert sim().snapshot([BTC], now + 2 * MINUTE).content_hash != late


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: histories(SEED, START, 0), ValueError, "at least one bar, not 0"),
        (
            lambda: histories(SEED, START + timedelta(seconds=5), 3),
            ValueError,
            "simulated bars open at whole minutes",
        ),
        (
            lambda: histories(SEED, datetime(2019, 12, 31, tzinfo=UTC), 3),
            ValueError,
            "the simulated market runs from 2020-01-01 to 2060-01-01",
        ),
        (
            lambda: histories(SEED, datetime(2059, 12, 31, 23, 59, tzinfo=UTC), 2),
            ValueError,
            "the simulated market runs from",
        ),
        (lambda: histories(-1, START, 3), ValueError, "a seed is a whole number from 0, not -1"),
        (
            lambda: histories(SEED, START, 3, ["BTC/USD:BTC"]),
            UnsupportedInstrument,
            "inverse contracts are not traded",
        ),
        (
            lambda: sim().snapshot(["SOL/USDT:USDT"], NOON),
            ValueError,
            "there are no candles of SOL/USDT:USDT",
        ),
    ],
)
def test_refusals(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_the_last_minute_is_there():
    assert len(histories(SEED, datetime(2059, 12, 31, 23, 59, tzinfo=UTC), 1)[0].bars) == 1
    early = look(sim(symbols=[BTC]), datetime(2020, 1, 1, 0, 0, 30, tzinfo=UTC))
    assert early.unusable == "there is no closed candle before 2020-01-01T00:01:00Z"
