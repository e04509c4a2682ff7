"""The replay feed: recorded candles seen as of an instant, nothing later, and quickly."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import CandleSeries, FundingSeries, to_milliseconds
from market.domain.enums import InstrumentKind
from market.domain.instruments import UnsupportedInstrument
from market.errors import CandleFileError
from market.venues.candle_files import load_candles, load_funding, parse_utc_offset
from market.venues.default_instruments import DEFAULT_BASES, default_instrument
from market.venues.replay_feed import InstrumentHistory, ReplayFeed

MINUTE = timedelta(minutes=1)
START = datetime(2022, 1, 1, tzinfo=UTC)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def bars_of(closes, *, start=START, timeframe=MINUTE, exponent=-1, opened_at=None):
    """Bars whose open is the close before, each with a little wick; volume 1, 2, 3…"""
    close = np.array(closes, dtype=np.int64)
    open_ = np.concatenate([close[:1], close[:-1]])
    step = timeframe // timedelta(milliseconds=1)
    if opened_at is None:
        opened_at = to_milliseconds(start) + np.arange(len(close), dtype=np.int64) * step
    return CandleSeries(
        timeframe=timeframe,
        opened_at=np.array(opened_at, dtype=np.int64),
        open=open_,
        high=np.maximum(open_, close) + 2,
        low=np.minimum(open_, close) - 2,
        close=close,
        volume=np.arange(1, len(close) + 1, dtype=np.int64),
        price_exponent=exponent,
        volume_exponent=0,
    )


def history(closes, symbol=BTC, **more):
    shape = {name: more.pop(name) for name in ("start", "opened_at", "exponent") if name in more}
    return InstrumentHistory(
        instrument=default_instrument(symbol), bars=bars_of(closes, **shape), **more
    )


def funding_of(*hours_and_rates):
    return FundingSeries(
        at=np.array([to_milliseconds(START) + int(h * 3_600_000) for h, _ in hours_and_rates], np.int64),
        rates=tuple(Decimal(rate) for _, rate in hours_and_rates),
    )  # fmt: skip


def see(feed, now, symbol=BTC):
    return feed.snapshot([symbol], now).by_symbol[symbol]


RISING = list(range(463_000, 463_600))


# What is seen


def test_only_closed_bars_are_seen():
    feed = ReplayFeed([history(RISING)], timeframe=MINUTE)

    item = see(feed, START + 5 * MINUTE)

    assert len(item.bars) == len(item.candles) == 5
    assert item.bars.closed(-1) == START + 5 * MINUTE
    assert item.unfinished is None
    assert item.quote.last == item.quote.mark == Decimal("46300.4")
    assert item.quote.at == START + 5 * MINUTE
    assert item.unusable is None
    assert len(see(feed, START + 5 * MINUTE - timedelta(microseconds=1)).bars) == 4


def test_longer_candles_close_whole():
    feed = ReplayFeed([history(RISING)], timeframe=3 * MINUTE)

    closed, inside = (
        see(feed, START + 6 * MINUTE),
        see(feed, START + 8 * MINUTE + timedelta(seconds=5)),
    )

    assert (len(closed.candles), closed.unfinished) == (2, None)
    assert (len(inside.candles), len(inside.bars)) == (2, 8)
    moving = inside.unfinished
    assert moving.opened_at == START + 6 * MINUTE
    assert not moving.is_closed
    assert moving.open == inside.bars.candle(6).open
    assert moving.close == inside.bars.candle(7).close == inside.quote.last
    assert moving.high == inside.bars.candle(7).high
    assert moving.low == inside.bars.candle(6).low
    assert moving.volume == 7 + 8
    assert inside.quote.at == START + 8 * MINUTE


def test_the_context_is_of_four_hours():
    feed = ReplayFeed([history(RISING)], timeframe=MINUTE)

    assert len(see(feed, START + timedelta(hours=4) - MINUTE).context) == 0
    item = see(feed, START + timedelta(hours=9))
    assert len(item.context) == 2
    assert item.context.candle(0).close == item.bars.candle(239).close


def test_no_context_where_four_hours_can_not_be_made():
    day = InstrumentHistory(
        instrument=default_instrument(BTC), bars=bars_of(RISING[:9], timeframe=timedelta(days=1))
    )

    assert (
        see(ReplayFeed([day], timeframe=timedelta(days=1)), START + timedelta(days=3)).context
        is None
    )


@pytest.mark.parametrize(
    ("spread_bps", "bid", "ask"),
    [
        ("0", "46300.1", "46300.1"),
        ("1", "46297.7", "46302.5"),  # half of 1 bps is 2.315: outward to the tick
        ("0.00001", "46300.0", "46300.2"),
    ],
)
def test_the_spread_goes_outward_to_the_tick(spread_bps, bid, ask):
    feed = ReplayFeed([history(RISING)], timeframe=MINUTE, spread_bps=Decimal(spread_bps))

    quote = see(feed, START + 2 * MINUTE).quote

    assert (quote.bid, quote.ask) == (Decimal(bid), Decimal(ask))
    assert quote.last == quote.mark == Decimal("46300.1")


@given(
    st.integers(1, 10**7),
    st.integers(-5, 2),
    st.decimals(0, 500, places=3),
    st.sampled_from(["0.1", "0.01", "0.5", "5", "0.00001"]),
)
def test_any_quote_is_around_its_price_on_the_tick(close, exponent, spread_bps, tick):
    instrument = replace(default_instrument(BTC), price_step=Decimal(tick))
    close += 5  # room for the wick below
    bars = bars_of([close, close], exponent=exponent)
    feed = ReplayFeed(
        [InstrumentHistory(instrument=instrument, bars=bars)],
        timeframe=MINUTE,
        spread_bps=spread_bps,
    )

    item = see(feed, START + MINUTE)

    price = Decimal(close).scaleb(exponent)
    half = price * spread_bps / 20_000
    if item.quote is None:
        assert price - half < Decimal(tick)
        assert item.unusable == "the price is below one tick"
        return
    assert item.quote.last == price
    assert item.quote.bid % Decimal(tick) == item.quote.ask % Decimal(tick) == 0
    assert 0 <= (price - half) - item.quote.bid < Decimal(tick)
    assert 0 <= item.quote.ask - (price + half) < Decimal(tick)


def test_marks_come_from_their_own_bars_where_recorded():
    marks = bars_of([10 * n for n in RISING], start=START, exponent=-2)
    longer = bars_of(
        [10 * n + 3 for n in range(462_990, 463_700)], start=START - 10 * MINUTE, exponent=-2
    )
    now = START + 7 * MINUTE

    plain = ReplayFeed([history(RISING)], timeframe=MINUTE)
    marked = ReplayFeed([history(RISING, mark_bars=longer)], timeframe=MINUTE)

    assert see(marked, now).quote.mark == Decimal("46300.63")
    assert see(marked, now).quote.last == Decimal("46300.6")
    assert see(marked, now).mark_bars.opened_at.tolist() == see(marked, now).bars.opened_at.tolist()
    assert plain.snapshot([BTC], now).source == "recorded candles; mark = last price"
    assert marked.snapshot([BTC], now).source == "recorded candles"
    assert see(plain, now).mark_bars is None
    with pytest.raises(CandleFileError, match="there is no mark candle of 2022-01-01T09:59:00Z"):
        history(RISING, mark_bars=marks.first(599))
    holed = [int(at) for at in marks.opened_at if at != marks.opened_at[300]]
    with pytest.raises(CandleFileError, match="there is no mark candle of 2022-01-01T05:00:00Z"):
        history(RISING, mark_bars=bars_of(RISING[:599], opened_at=holed))
    with pytest.raises(
        CandleFileError, match="mark candles of 3m do not go with trade candles of 1m"
    ):
        history(RISING, mark_bars=bars_of(RISING, timeframe=3 * MINUTE))


def test_funding_is_what_was_settled():
    feed = ReplayFeed(
        [history(RISING, funding=funding_of((0, "0.0001"), (8, "-0.0002"), (16, "0.5")))],
        timeframe=MINUTE,
    )

    before, at = (
        see(feed, START + timedelta(hours=8) - MINUTE),
        see(feed, START + timedelta(hours=8)),
    )

    assert before.funding.rates == (Decimal("0.0001"),)
    assert before.funding_rate == Decimal("0.0001")
    assert before.next_funding_at == START + timedelta(hours=8)
    assert at.funding.rates == (Decimal("0.0001"), Decimal("-0.0002"))
    assert at.funding_rate == Decimal("-0.0002")
    assert at.next_funding_at == START + timedelta(hours=16)
    assert see(feed, START + MINUTE).funding_rate == Decimal("0.0001")  # and back


def test_no_funding_is_none():
    bare = ReplayFeed([history(RISING)], timeframe=MINUTE)
    late = ReplayFeed([history(RISING, funding=funding_of((8, "0.1")))], timeframe=MINUTE)
    spot = ReplayFeed([history(RISING, "BTC/USDT")], timeframe=MINUTE)
    now = START + MINUTE

    assert (see(bare, now).funding, see(bare, now).funding_rate) == (None, None)
    assert (see(late, now).funding.rates, see(late, now).funding_rate) == ((), None)
    assert see(spot, now, "BTC/USDT").next_funding_at is None


def test_instruments_come_in_name_order_once():
    feed = ReplayFeed([history(RISING, ETH), history(RISING)], timeframe=MINUTE)

    snapshot = feed.snapshot([ETH, BTC, ETH], START + MINUTE)

    assert [item.symbol for item in snapshot.instruments] == [BTC, ETH]
    assert [instrument.symbol for instrument in feed.instruments()] == [BTC, ETH]
    assert snapshot.as_of == START + MINUTE


def test_the_cycle_knows_when_candles_close():
    feed = ReplayFeed([history(RISING[:7])], timeframe=3 * MINUTE)

    assert feed.closes_at.tolist() == [to_milliseconds(START + n * MINUTE) for n in (3, 6)]


# What is missing


def test_before_the_first_close_there_is_no_price():
    item = see(ReplayFeed([history(RISING)], timeframe=MINUTE), START + timedelta(seconds=59))

    assert item.quote is None
    assert item.unusable == "there is no closed candle before 2022-01-01T00:01:00Z"
    assert len(item.bars) == len(item.candles) == 0


def test_old_candles_are_stale():
    feed = ReplayFeed([history(RISING[:5])], timeframe=MINUTE)

    assert see(feed, START + timedelta(seconds=359)).unusable is None
    assert "60 seconds ago" in see(feed, START + 6 * MINUTE).unusable
    late = see(feed, START + 7 * MINUTE)
    assert late.unusable == "the last candle closed at 2022-01-01T00:05:00Z, 120 seconds ago"
    assert late.quote.last == Decimal("46300.4")


def test_a_gap_is_stale_until_a_whole_candle_follows_it():
    opened_at = [to_milliseconds(START + n * MINUTE) for n in (0, 1, 2, 6, 7, 8)]
    feed = ReplayFeed([history(RISING[:6], opened_at=opened_at)], timeframe=3 * MINUTE)

    assert see(feed, START + 3 * MINUTE).unusable is None
    assert "180 seconds ago" in see(feed, START + 6 * MINUTE).unusable
    after = see(feed, START + 8 * MINUTE)
    assert "300 seconds ago" in after.unusable  # its candle was acted on before the gap
    assert (len(after.bars), len(after.candles)) == (5, 1)
    assert after.unfinished.opened_at == START + 6 * MINUTE
    fresh = see(feed, START + 9 * MINUTE)
    assert fresh.unusable is None
    assert len(fresh.candles) == 2


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: ReplayFeed([], timeframe=MINUTE),
            CandleFileError,
            "there is no instrument to replay",
        ),
        (lambda: history([]), CandleFileError, "BTC/USDT:USDT: there are no candles"),
        (
            lambda: ReplayFeed([history(RISING)], timeframe=timedelta(seconds=90)),
            CandleFileError,
            "BTC/USDT:USDT: candles of 1m can't make 90s ones",
        ),
        (
            lambda: ReplayFeed([history(RISING), history(RISING[:-1], ETH)], timeframe=MINUTE),
            CandleFileError,
            "ETH/USDT:USDT and BTC/USDT:USDT were not recorded at the same times",
        ),
        (
            lambda: ReplayFeed([history(RISING), history(RISING)], timeframe=MINUTE),
            CandleFileError,
            "an instrument is there twice",
        ),
        (
            lambda: ReplayFeed([history(RISING)], timeframe=MINUTE, spread_bps=Decimal(-1)),
            ValueError,
            "a spread is from 0 to 10000 bps, not -1",
        ),
        (
            lambda: ReplayFeed([history(RISING)], timeframe=MINUTE).snapshot([ETH], START),
            ValueError,
            "there are no candles of ETH/USDT:USDT, only of BTC/USDT:USDT",
        ),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


# No look-ahead


@st.composite
def markets(draw):
    """A market of 5 to 60 bars, gaps and all, an instant in it, and another future after that."""
    count = draw(st.integers(5, 60))
    prices = st.lists(st.integers(100, 10_000), min_size=count, max_size=count)
    gaps = draw(st.lists(st.sampled_from([1, 1, 1, 2, 5]), min_size=count, max_size=count))
    opened_at = to_milliseconds(START) + np.cumsum([0, *gaps[1:]]) * 60_000
    now = START + timedelta(seconds=draw(st.integers(0, sum(gaps) * 60 + 120)))
    seen = int(np.searchsorted(opened_at, to_milliseconds(now) - 60_000, side="right"))
    closes, others = draw(prices), draw(prices)
    return opened_at, closes, [*closes[:seen], *others[seen:]], now


@given(markets(), st.sampled_from([1, 3, 60]), st.decimals(0, 50, places=1))
def test_the_future_changes_nothing_that_is_seen(market, minutes, spread_bps):
    """P5: candles, marks and funding after now change no snapshot, nor does having seen them."""
    opened_at, closes, others, now = market
    later = (now - START) / timedelta(hours=1) + 0.01

    def hash_of(prices, rate, *, look_ahead_first):
        told = history(
            prices,
            opened_at=opened_at,
            mark_bars=bars_of([price + 1 for price in prices], opened_at=opened_at),
            funding=funding_of((0, "0.1"), (later, rate)),
        )
        feed = ReplayFeed([told], timeframe=minutes * MINUTE, spread_bps=spread_bps)
        if look_ahead_first:
            feed.snapshot([BTC], now + timedelta(days=1))
        item = see(feed, now)
        funding = (item.funding.at.tolist(), item.funding.rates)
        marks = item.mark_bars.digest()
        return feed.snapshot([BTC], now).content_hash, item.bars.digest(), marks, funding

    expected = hash_of(closes, "0.2", look_ahead_first=False)
    assert hash_of(others, "0.3", look_ahead_first=False) == expected
    assert hash_of(closes, "0.2", look_ahead_first=True) == expected


@given(st.integers(5, 100), st.integers(0, 110 * 60), st.sampled_from([1, 3, 5]))
def test_arithmetic_and_search_see_the_same(count, seconds, minutes):
    """Where there are no gaps bars are found by arithmetic; with one far away, by searching."""
    now = START + timedelta(seconds=seconds)
    prices = list(range(1_000, 1_000 + count))
    opened_at = [to_milliseconds(START) + n * 60_000 for n in range(count)]
    far = [*opened_at, to_milliseconds(START + timedelta(days=30))]
    gapless = ReplayFeed([history(prices)], timeframe=minutes * MINUTE)
    gappy = ReplayFeed([history([*prices, 1], opened_at=far)], timeframe=minutes * MINUTE)

    one, two = gapless.snapshot([BTC], now), gappy.snapshot([BTC], now)

    assert one.content_hash == two.content_hash


# The recorded month


def walk_through(feed, symbol, start, count):
    """Look at every minute; each snapshot must end with the bar that closes now."""
    for index in range(count):
        now = start + (index + 1) * MINUTE
        item = see(feed, now, symbol)
        assert item.bars.end == index + 1
        assert item.quote.at == now
        assert item.quote.last == item.bars.price(item.bars.close[index])


@pytest.mark.recorded_data
def test_the_recorded_month(market_data_dir):
    folder = market_data_dir / "market"
    bars = load_candles(folder / "btc-perp-20211231-20220201_1m.csv")
    funding = load_funding(
        folder / "BTC-USDT_binance_2020-01-01_2024-01-01_funding_history.csv",
        utc_offset=parse_utc_offset("+03:00"),
    )
    feed = ReplayFeed(
        [InstrumentHistory(instrument=default_instrument(BTC), bars=bars, funding=funding)],
        timeframe=3 * MINUTE,
    )

    walk_through(feed, BTC, bars.opened(0), 2_000)
    item = see(feed, datetime(2022, 1, 15, 8, tzinfo=UTC))
    assert item.funding_rate == funding.rates[item.funding.at.size - 1]
    assert len(item.context) == 86
    assert feed.closes_at.size == 15_009  # the first two minutes and the last two make none


def test_a_made_up_morning():
    walk_through(ReplayFeed([history(RISING)], timeframe=3 * MINUTE), BTC, START, len(RISING))


# Built-in instruments


def test_the_stated_default_of_bitcoin():
    instrument = default_instrument(BTC)

    assert (instrument.quantity_step, instrument.price_step) == (Decimal("0.001"), Decimal("0.1"))
    assert instrument.min_notional == 5
    assert instrument.funding_interval == timedelta(hours=8)
    tiers = [(tier.notional_cap, tier.maintenance_rate) for tier in instrument.margin_tiers]
    assert tiers == [
        (50_000, Decimal("0.004")),
        (250_000, Decimal("0.005")),
        (None, Decimal("0.01")),
    ]


@pytest.mark.parametrize("base", DEFAULT_BASES)
@pytest.mark.parametrize("quote", ["USDT", "USDC"])
def test_defaults_of_perpetuals_and_spot(base, quote):
    perpetual = default_instrument(f"{base}/{quote}:{quote}")
    spot = default_instrument(f"{base}/{quote}")

    assert (perpetual.kind, spot.kind) == (InstrumentKind.PERPETUAL, InstrumentKind.SPOT)
    assert perpetual.settle == spot.quote == quote
    assert perpetual.margin_tiers[0].maintenance_rate * perpetual.max_leverage < 1
    assert (spot.max_leverage, spot.taker_fee) == (Decimal(1), Decimal("0.001"))
    assert spot.funding_interval is None


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("BTC/USD:BTC", "UNSUPPORTED_INSTRUMENT BTC/USD:BTC: inverse contracts are not traded"),
        ("BTC/USD:ETH", "UNSUPPORTED_INSTRUMENT BTC/USD:ETH: quanto contracts are not traded"),
        ("BTC/USDT:USDT-240329", "UNSUPPORTED_INSTRUMENT .*: dated futures and options"),
        ("BTC/USDT:USDT-240329-50000-C", "UNSUPPORTED_INSTRUMENT .*: dated futures and options"),
        ("PEPE/USDT:USDT", "no built-in instrument for PEPE/USDT:USDT: .* with --instrument"),
        ("BTC/EUR", "no built-in instrument for BTC/EUR"),
        ("BTCUSDT", "'BTCUSDT' is no symbol: it is written like BTC/USDT:USDT"),
        ("", "'' is no symbol"),
    ],
)
def test_what_has_no_default(symbol, message):
    with pytest.raises(UnsupportedInstrument, match=message):
        default_instrument(symbol)
