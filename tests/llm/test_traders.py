"""The baselines: what they say and when, that they say nothing anywhere else, and their registry."""

import csv
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.domain import ClosedTradeView, DecisionAction, StopRequirement
from llm.ports import SignalTrader, Trader
from llm.traders.baseline import TradedSides
from llm.traders.ema_trend import EmaTrend
from llm.traders.registry import (
    TraderConfigurationError,
    build_trader,
    trader_names,
    trader_parameters,
)
from llm.traders.rsi_mean_reversion import RsiMeanReversion
from llm.traders.seeded_random import SeededRandom
from llm.traders.simple import BuyAndHold, Flat
from market.domain.data import series_from_columns
from market.domain.enums import PositionSide
from market.indicators import book
from tests.llm.views import (
    BTC,
    ETH,
    MINUTE,
    START,
    account,
    empty_series,
    holding,
    instrument,
    series,
    snapshot,
    view,
    walk,
)

LONG, SHORT, FLAT = PositionSide.LONG, PositionSide.SHORT, PositionSide.FLAT
SYNTHETIC = series(walk(400))


def action(trader, candles, held=FLAT, **changes):
    """The one action a trader says of BTC, or None for hold."""
    decision = trader.decide(replace(holding(view(snapshot(candles)), held), **changes))
    assert len(decision.items) <= 1
    return decision.items[0].action if decision.items else None


@lru_cache(maxsize=4)
def crosses(fast, slow):
    """(index, +1 or −1) of each cross in SYNTHETIC, in exact arithmetic and a plain loop."""
    closes = [candle.close for candle in SYNTHETIC]

    def ema(n):
        values = [None] * (n - 1) + [sum(closes[:n]) / n]
        for close in closes[n:]:
            values.append(values[-1] + (close - values[-1]) * 2 / (n + 1))
        return values

    pairs = list(zip(ema(fast), ema(slow), strict=True))
    found = []
    for index in range(slow, len(closes)):
        (fast_before, slow_before), (fast_now, slow_now) = pairs[index - 1], pairs[index]
        if fast_before <= slow_before and fast_now > slow_now:
            found.append((index, 1))
        if fast_before >= slow_before and fast_now < slow_now:
            found.append((index, -1))
    return tuple(found)


def test_ema_trend_long_enters_and_leaves_on_every_cross_and_nowhere_else():
    trader = EmaTrend(fast=5, slow=20)
    said = {}
    for end in range(1, len(SYNTHETIC) + 1):
        candles = SYNTHETIC.first(end)
        said[end - 1] = (action(trader, candles), action(trader, candles, LONG))
    ups = [index for index, sign in crosses(5, 20) if sign > 0]
    downs = [index for index, sign in crosses(5, 20) if sign < 0]
    assert len(ups) > 5
    assert [i for i, (flat, _) in said.items() if flat is DecisionAction.BUY_TO_ENTER] == ups
    assert [i for i, (_, held) in said.items() if held is DecisionAction.CLOSE] == downs
    assert {pair[0] for pair in said.values()} == {None, DecisionAction.BUY_TO_ENTER}
    assert {pair[1] for pair in said.values()} == {None, DecisionAction.CLOSE}


def test_ema_trend_short_is_the_mirror():
    trader = EmaTrend(fast=5, slow=20, side=TradedSides.SHORT)
    for index, sign in crosses(5, 20):
        candles = SYNTHETIC.first(index + 1)
        assert action(trader, candles) is (DecisionAction.SELL_TO_ENTER if sign < 0 else None)
        assert action(trader, candles, SHORT) is (DecisionAction.CLOSE if sign > 0 else None)
        assert action(trader, candles, LONG) is None


def closed_trade(side, closed_at, symbol=BTC):
    return ClosedTradeView(
        symbol=symbol,
        side=side,
        opened_at=START,
        closed_at=closed_at,
        entry_price=Decimal(1),
        exit_price=Decimal(1),
        net_pnl=Decimal(0),
        exit_reason="CLOSE",
    )


def test_ema_trend_both_closes_on_the_cross_and_opens_the_other_side_a_bar_later():
    trader = EmaTrend(fast=5, slow=20, side=TradedSides.BOTH)
    index = next(i for i, sign in crosses(5, 20) if sign > 0)
    at_cross, after = SYNTHETIC.first(index + 1), SYNTHETIC.first(index + 2)
    assert action(trader, at_cross, SHORT) is DecisionAction.CLOSE
    assert action(trader, at_cross, LONG) is None
    closed = (closed_trade(SHORT, at_cross.closed(-1)),)
    assert action(trader, after, last_trades=closed) is DecisionAction.BUY_TO_ENTER
    assert action(trader, after) is None, "flat for another reason: waits for the next cross"
    for other in (
        closed_trade(LONG, at_cross.closed(-1)),
        closed_trade(SHORT, at_cross.closed(-1) - MINUTE),
        closed_trade(SHORT, at_cross.closed(-1), symbol=ETH),
    ):
        assert action(trader, after, last_trades=(other,)) is None
    assert action(trader, SYNTHETIC.first(index + 3), last_trades=closed) is None


def test_ema_trend_touching_counts_as_below():
    """Equal averages are no cross; leaving equality is one."""
    flat_then_up = series([1000] * 30 + [1010])
    trader = EmaTrend(fast=3, slow=10)
    assert action(trader, flat_then_up.first(30)) is None
    assert action(trader, flat_then_up) is DecisionAction.BUY_TO_ENTER


def test_sizes_are_a_fraction_of_equity_rounded_down():
    candles = series([1000] * 60 + [1010])
    two = view(
        snapshot(candles),
        snapshot(candles, ETH),
        snapshot(candles, "SOL/USDT:USDT", unusable="STALE"),
        account=account("10000.00000001"),
    )
    items = EmaTrend().decide(two).items
    assert [item.symbol for item in items] == [BTC, ETH], "an unusable instrument is left alone"
    assert {item.notional for item in items} == {Decimal("3333.33333333")}
    whole = EmaTrend(size=Decimal(1)).decide(two).items[0]
    assert whole.notional == Decimal("10000.00000001")
    assert whole.confidence == whole.leverage == 1
    assert whole.stop_loss is None
    assert EmaTrend().decide(replace(two, account=account("0"))).items == ()


@pytest.mark.parametrize("side", [TradedSides.LONG, TradedSides.SHORT])
def test_a_stop_is_k_atr_from_the_mark_on_the_tick(side):
    moves = [10000] * 80
    candles = series([*moves, 12000 if side is TradedSides.LONG else 8000])
    trader = EmaTrend(side=side, stop_atr=Decimal(2), reward=Decimal("1.5"))
    assert trader.stop is StopRequirement.REQUIRED
    (item,) = trader.decide(view(snapshot(candles))).items
    atr = Decimal(repr(float(book(candles).atr(14)[-1])))
    sign = 1 if side is TradedSides.LONG else -1
    mark = candles.price(candles.close[-1])
    assert item.stop_loss == (mark - sign * 2 * atr).quantize(Decimal("0.1"))
    assert item.take_profit == (mark + sign * 3 * atr).quantize(Decimal("0.1"))
    without = replace(trader, reward=None).decide(view(snapshot(candles))).items[0]
    assert without.take_profit is None
    assert replace(trader, stop_atr=None, reward=None).stop is StopRequirement.NONE


def test_no_entry_when_the_stop_it_needs_can_not_be_named():
    early = view(snapshot(series([1000, 1000])))
    decision = BuyAndHold(stop_atr=Decimal(3)).decide(early)
    assert decision.items == ()
    assert "no ATR14 yet" in decision.notes[0]
    wild = view(snapshot(series(walk(60, first=2000, step=900))))
    decision = BuyAndHold(stop_atr=Decimal(1000)).decide(wild)
    assert decision.items == ()
    assert "is no price" in decision.notes[0]


def test_a_stop_measured_on_the_context_does_not_depend_on_a_quiet_hour():
    quiet, context = series([10000] * 60), series(walk(40, first=10000, step=200))
    trader = BuyAndHold(stop_context_atr=Decimal(3), reward=Decimal(2))
    assert trader.stop is StopRequirement.REQUIRED
    (item,) = trader.decide(view(snapshot(quiet, context=context))).items
    atr, mark = Decimal(repr(float(book(context).atr(14)[-1]))), quiet.price(quiet.close[-1])
    assert item.stop_loss == (mark - 3 * atr).quantize(Decimal("0.1"))
    assert item.take_profit == (mark + 6 * atr).quantize(Decimal("0.1"))
    for unknown in (None, context.first(5)):
        decision = trader.decide(view(snapshot(quiet, context=unknown)))
        assert decision.items == () and "no ATR14 yet" in decision.notes[0]


def test_spot_is_never_sold_short():
    candles = series([1000] * 60 + [990])
    spot = snapshot(candles, "BTC/USDT")
    decision = EmaTrend(side=TradedSides.SHORT).decide(view(spot))
    assert decision.items == ()
    assert decision.notes == ("BTC/USDT: spot can't be sold short",)


def test_an_emergency_allows_no_entry_but_every_exit():
    candles = series([1000] * 60 + [1010])
    assert action(EmaTrend(), candles, emergency="soft drawdown") is None
    down = series([1000] * 60 + [990])
    assert action(EmaTrend(), down, LONG, emergency="soft drawdown") is DecisionAction.CLOSE


def test_rsi_enters_on_the_cross_and_leaves_on_the_state():
    candles = series(walk(400, seed=5))
    rsi = book(candles).rsi(7)
    trader = RsiMeanReversion(period=7, side=TradedSides.BOTH)
    entered = left = 0
    for end in range(20, len(candles) + 1):
        now, before = rsi[end - 1], rsi[end - 2]
        window = candles.first(end)
        expected = None
        if now < 30 <= before:
            expected = DecisionAction.BUY_TO_ENTER
        if now > 70 >= before:
            expected = DecisionAction.SELL_TO_ENTER
        entered += expected is not None
        assert action(trader, window) is expected
        assert (action(trader, window, LONG) is DecisionAction.CLOSE) == (now >= 50)
        assert (action(trader, window, SHORT) is DecisionAction.CLOSE) == (now <= 50)
        left += now >= 50
    assert entered > 5
    assert left > 50


def test_buy_and_hold_buys_once():
    candles = series(walk(30))
    trader = BuyAndHold()
    assert action(trader, candles) is DecisionAction.BUY_TO_ENTER
    assert action(trader, candles, LONG) is None
    assert action(trader, candles, last_trades=(closed_trade(LONG, START),)) is None
    other = closed_trade(LONG, START, symbol=ETH)
    assert action(trader, candles, last_trades=(other,)) is DecisionAction.BUY_TO_ENTER


def test_random_is_a_pure_function_of_seed_symbol_and_bar():
    candles = series(walk(3000))
    trader = SeededRandom(seed=7, rate=Decimal("0.1"))
    windows = [candles.first(end) for end in range(1, 3001)]
    forwards = [action(trader, window) for window in windows]
    backwards = [action(SeededRandom(seed=7, rate=Decimal("0.1")), w) for w in windows[::-1]]
    assert forwards == backwards[::-1]
    shares = {said: forwards.count(said) / 3000 for said in set(forwards)}
    assert shares[DecisionAction.BUY_TO_ENTER] == pytest.approx(0.05, abs=0.015)
    assert shares[DecisionAction.SELL_TO_ENTER] == pytest.approx(0.05, abs=0.015)
    assert forwards != [action(SeededRandom(seed=8, rate=Decimal("0.1")), w) for w in windows]
    eth = [trader.decide(view(snapshot(window, ETH))).items for window in windows]
    both = sum(1 for one, other in zip(forwards, eth, strict=True) if one and other)
    assert 0 < both < 200, "instruments act apart"


def test_random_says_the_same_today_as_when_it_was_written():
    candles = series(walk(300))
    trader = SeededRandom(seed=3)
    said = [
        f"{end} {item.action.value}"
        for end in range(1, 131)
        for item in trader.decide(view(snapshot(candles.first(end)))).items
    ]
    assert said == [
        "9 sell_to_enter",
        "51 sell_to_enter",
        "90 buy_to_enter",
        "98 sell_to_enter",
        "100 buy_to_enter",
    ]


def test_flat_says_nothing():
    assert Flat().decide(view(snapshot(series(walk(100))))).items == ()


# --- Attention -----------------------------------------------------------------------------------

decimals = st.decimals("0.01", "1", places=2)
sides = st.sampled_from(TradedSides)
traders = st.one_of(
    st.just(Flat()),
    st.just(BuyAndHold()),
    st.just(BuyAndHold(stop_atr=Decimal(2), reward=Decimal(2))),
    st.builds(
        EmaTrend,
        fast=st.integers(2, 6),
        slow=st.integers(7, 15),
        side=sides,
        stop_atr=st.none() | decimals,
    ),
    st.builds(
        RsiMeanReversion,
        period=st.integers(2, 14),
        low=st.integers(10, 49).map(Decimal),
        high=st.integers(51, 90).map(Decimal),
        side=sides,
    ),
    st.builds(SeededRandom, seed=st.integers(0, 99), rate=decimals, side=sides),
)
paths = st.lists(st.integers(-40, 40), min_size=1, max_size=60).map(
    lambda moves: [max(10, value) for value in np.cumsum([500, *moves]).tolist()]
)


def check_attention(trader, closes):
    """For every state of the position and every side that the last closed trade may have had."""
    candles = series(closes)
    bars = trader.attention(candles).bars
    assert set(bars) == set(PositionSide)
    for end in range(1, len(candles) + 1):
        seen = view(snapshot(candles.first(end)))
        for held, last_side in product(PositionSide, PositionSide):
            if bars[held][end - 1]:
                continue
            trades = []
            if last_side is not FLAT and end > 1:
                trades.append(closed_trade(last_side, candles.closed(end - 2)))
            asked = replace(holding(seen, held), last_trades=tuple(trades))
            assert trader.decide(asked).items == ()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "trader",
    [
        Flat(),
        BuyAndHold(),
        SeededRandom(rate=Decimal("0.1")),
        *(EmaTrend(fast=3, slow=10, side=side) for side in TradedSides),
        *(RsiMeanReversion(period=5, exit_level=Decimal(60), side=side) for side in TradedSides),
    ],
    ids=lambda trader: f"{trader.name}-{getattr(trader, 'side', 'any')}",
)
def test_hold_wherever_attention_is_false(trader, seed):
    check_attention(trader, walk(200, seed))


@given(traders, paths)
def test_hold_wherever_attention_is_false_on_any_path(trader, closes):
    check_attention(trader, closes)


@given(traders, paths, paths, st.data())
def test_attention_is_causal(trader, closes, future, data):
    """What comes later changes neither the attention before it nor what is said there (P5)."""
    cut = data.draw(st.integers(1, len(closes)))
    whole, other = series(closes), series(closes[:cut] + future)
    for side in PositionSide:
        np.testing.assert_array_equal(
            trader.attention(whole).bars[side][:cut], trader.attention(other).bars[side][:cut]
        )
        alone = action(trader, series(closes[:cut]), side)
        assert (
            alone
            is action(trader, whole.first(cut), side)
            is action(trader, other.first(cut), side)
        )


@given(traders)
def test_no_candles_is_hold(trader):
    assert trader.decide(view(snapshot(empty_series()))).items == ()
    assert all(len(bars) == 0 for bars in trader.attention(empty_series()).bars.values())


def test_attention_finds_the_same_crosses_as_the_plain_loop():
    bars = EmaTrend(fast=5, slow=20).attention(SYNTHETIC).bars
    assert np.flatnonzero(bars[FLAT]).tolist() == [i for i, s in crosses(5, 20) if s > 0]
    assert np.flatnonzero(bars[LONG]).tolist() == [i for i, s in crosses(5, 20) if s < 0]
    assert not bars[SHORT].any()


@pytest.mark.recorded_data
def test_658_crosses_up_in_the_recorded_minutes(market_data_dir):
    path = market_data_dir / "market" / "btc-perp-20211231-20220201_1m.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    names = ("open", "high", "low", "close")
    candles = series_from_columns(
        timeframe=MINUTE,
        opened_at=[
            int((START - timedelta(minutes=59) + index * MINUTE).timestamp() * 1000)
            for index in range(len(rows))
        ],
        prices={name: [Decimal(row[name]) for row in rows] for name in names},
        volume=[Decimal(row["volume"]) for row in rows],
    )
    bars = EmaTrend(fast=10, slow=50).attention(candles).bars
    assert len(candles) == 45_031
    assert int(bars[FLAT].sum()) == 658


# --- The registry --------------------------------------------------------------------------------


def test_every_name_builds_with_its_defaults_and_is_a_trader():
    assert trader_names() == (
        "buy_and_hold",
        "ema_trend",
        "flat",
        "rsi_mean_reversion",
        "seeded_random",
    )
    for name in trader_names():
        trader: Trader & SignalTrader = build_trader(name)  # type: ignore[valid-type]
        assert trader.name == name
        assert trader.stop is StopRequirement.NONE
        assert "size" in trader_parameters(name)


def test_parameters_are_read_from_text():
    trader = build_trader(
        "ema_trend",
        {"fast": "12", "slow": " 26 ", "side": "Both", "stop_atr": "2.5", "size": "0.5"},
    )
    assert trader == EmaTrend(
        fast=12,
        slow=26,
        side=TradedSides.BOTH,
        stop_atr=Decimal("2.5"),
        size=Decimal("0.5"),
    )
    assert build_trader("seeded_random", {"seed": "9", "size": "none"}) == SeededRandom(seed=9)


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("ema", {}, "no trader 'ema'; there are buy_and_hold, ema_trend, flat"),
        ("ema_trend", {"fats": "1"}, "ema_trend has no parameter 'fats'; it has size, leverage"),
        ("ema_trend", {"fast": "ten"}, "ema_trend: fast: 'ten' is not a whole number"),
        ("ema_trend", {"fast": "50"}, "ema_trend: fast 50 must be at least 2 and below slow 50"),
        ("ema_trend", {"side": "up"}, "ema_trend: side: 'up' is not one of long, short, both"),
        ("ema_trend", {"size": "nan"}, "ema_trend: size: 'nan' is not a finite number"),
        ("ema_trend", {"size": "0"}, "ema_trend: size must be above zero, not 0"),
        ("ema_trend", {"size": "2"}, "ema_trend: size 2 needs a leverage of at least 2"),
        ("flat", {"leverage": "0.5"}, "flat: leverage must be at least 1, not 0.5"),
        ("flat", {"reward": "2"}, "flat: reward is measured in stop distances"),
        ("flat", {"stop_atr": "2", "stop_context_atr": "2"}, "one stop: stop_atr or"),
        ("flat", {"stop_context_atr": "0"}, "stop_context_atr must be above zero"),
        ("rsi_mean_reversion", {"period": "1"}, "period must be at least 2, not 1"),
        ("rsi_mean_reversion", {"low": "80"}, "must be 0 < low < high < 100"),
        ("rsi_mean_reversion", {"exit_level": "20"}, "must lie above low"),
        ("seeded_random", {"rate": "2"}, "rate must be above 0 and at most 1, not 2"),
        ("seeded_random", {"seed": "1.5"}, "seed: '1.5' is not a whole number"),
    ],
)
def test_mistakes_are_one_clear_sentence(name, params, message):
    with pytest.raises(TraderConfigurationError, match=re.escape(message)) as caught:
        build_trader(name, params)
    assert "\n" not in str(caught.value)


def test_instruments_of_the_tests_are_what_they_say():
    assert instrument("BTC/USDT").is_spot
    assert not instrument(BTC).is_spot
