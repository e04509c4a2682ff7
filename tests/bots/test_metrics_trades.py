"""Numbers of closed trades and of activity: tables worked out by hand, properties."""

from dataclasses import asdict, astuple
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.domain.entries import ClosedTrade, ExitReason, Totals
from bots.metrics import activity_metrics, trade_metrics
from market.domain.enums import PositionSide

OPENED = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG, SHORT = PositionSide.LONG, PositionSide.SHORT
CLOSE, STOP, TARGET = ExitReason.CLOSE, ExitReason.STOP, ExitReason.TARGET


def closed(net, fees="0", *, funding="0", hours=1, symbol="BTC", side=LONG, reason=CLOSE, day=0):
    net, fees, funding = Decimal(net), Decimal(fees), Decimal(funding)
    opened_at = OPENED + timedelta(days=day)
    return ClosedTrade(
        symbol=symbol,
        side=side,
        opened_at=opened_at,
        closed_at=opened_at + hours * HOUR,
        quantity=Decimal(1),
        entry_price=Decimal(100),
        exit_price=Decimal(101),
        realized_pnl=net + fees - funding,
        fees=fees,
        funding=funding,
        adjustments=Decimal(0),
        net_pnl=net,
        exit_reason=reason,
    )


def groups(these):
    return [astuple(group) for group in these]


def group(name, count, wins, *money):
    return (name, count, wins, *(Decimal(amount) for amount in money))


TRADES = [
    closed("10", "1", funding="-0.5", hours=1, symbol="BTC", side=LONG, reason=TARGET, day=0),
    closed("-4", "1", hours=2, symbol="BTC", side=LONG, reason=STOP, day=1),
    closed("-0.5", "1", hours=3, symbol="ETH", side=SHORT, reason=CLOSE, day=2),  # a scratch
    closed("-6", "2", hours=4, symbol="ETH", side=SHORT, reason=STOP, day=3),
    closed("2", "1", funding="0.25", hours=5, symbol="BTC", side=SHORT, reason=CLOSE, day=4),
    closed("0", "0", hours=9, symbol="ETH", side=LONG, reason=CLOSE, day=5),
]


def test_every_number_of_six_trades():
    metrics = trade_metrics(TRADES)

    assert (metrics.count, metrics.wins, metrics.losses, metrics.scratches) == (6, 2, 3, 1)
    assert metrics.win_rate == pytest.approx(1 / 3)
    assert metrics.profit_factor == pytest.approx(12 / 10.5)
    assert metrics.expectancy == Decimal("0.25")
    assert (metrics.average_win, metrics.average_loss) == (Decimal(6), Decimal("-3.5"))
    assert metrics.payoff_ratio == pytest.approx(6 / 3.5)
    assert (metrics.largest_win, metrics.largest_loss) == (Decimal(10), Decimal(-6))
    assert (metrics.net_pnl, metrics.fees) == (Decimal("1.5"), Decimal(6))
    assert metrics.funding == Decimal("-0.25")
    # −4, then a scratch that neither counts nor resets, then −6.
    assert metrics.max_loss_streak == 2
    # 1 2 3 4 5 9 hours.
    assert (metrics.average_held, metrics.median_held) == (4 * HOUR, 3.5 * HOUR)
    # Deviations from 0.25: 9.75, −4.25, −0.75, −6.25, 1.75, −0.25; their squares add up to 155.875.
    assert metrics.sqn == pytest.approx(6**0.5 * 0.25 / (155.875 / 5) ** 0.5)


def test_the_tables_of_six_trades():
    metrics = trade_metrics(TRADES)

    assert groups([metrics.long, metrics.short]) == [
        group("LONG", 3, 1, "6", "2", "-0.5"),
        group("SHORT", 3, 1, "-4.5", "4", "0.25"),
    ]
    assert groups(metrics.by_instrument) == [
        group("BTC", 3, 2, "8", "3", "-0.25"),
        group("ETH", 3, 0, "-6.5", "3", "0"),
    ]
    assert groups(metrics.by_exit_reason) == [
        group("CLOSE", 3, 1, "1.5", "2", "0.25"),
        group("STOP", 2, 0, "-10", "3", "0"),
        group("TARGET", 1, 1, "10", "1", "-0.5"),
    ]


def test_no_trades():
    metrics = trade_metrics([])

    assert (metrics.count, metrics.wins, metrics.losses, metrics.scratches) == (0, 0, 0, 0)
    assert metrics.net_pnl == metrics.fees == metrics.funding == 0
    assert metrics.max_loss_streak == 0
    undefined = {
        *("win_rate", "profit_factor", "payoff_ratio", "sqn", "expectancy", "average_win"),
        *("average_loss", "largest_win", "largest_loss", "average_held", "median_held"),
    }
    assert {name for name, value in asdict(metrics).items() if value is None} == undefined
    assert (metrics.by_instrument, metrics.by_exit_reason) == ((), ())
    assert metrics.long.count == metrics.short.count == 0


def test_only_wins_have_no_profit_factor():
    metrics = trade_metrics([closed("1"), closed("2", hours=3)])

    assert (metrics.win_rate, metrics.profit_factor, metrics.payoff_ratio) == (1, None, None)
    assert (metrics.average_loss, metrics.largest_loss, metrics.max_loss_streak) == (None, None, 0)
    assert metrics.median_held == 2 * HOUR


def test_only_losses_have_a_profit_factor_of_zero():
    metrics = trade_metrics([closed("-1"), closed("-2")])

    assert (metrics.win_rate, metrics.profit_factor, metrics.payoff_ratio) == (0, 0, None)
    assert (metrics.average_win, metrics.largest_win) == (None, None)


@pytest.mark.parametrize("nets", [["5"], ["5", "5", "5"], ["0.10", "0.1"]])
def test_sqn_needs_a_deviation(nets):
    assert trade_metrics([closed(net) for net in nets]).sqn is None


@pytest.mark.parametrize(
    ("nets", "streak"),
    [
        ("- - -", 3),
        ("- + - -", 2),
        ("- ~ - ~ ~ -", 3),
        ("- 0 -", 1),  # no loss and, without fees, no scratch
        ("~ ~", 0),
        ("+ + +", 0),
    ],
)
def test_loss_streaks(nets, streak):
    kinds = {"-": ("-5", "1"), "+": ("5", "1"), "~": ("-0.5", "1"), "0": ("0", "0")}
    trades = [closed(*kinds[kind], day=day) for day, kind in enumerate(nets.split())]

    assert trade_metrics(trades).max_loss_streak == streak


@pytest.mark.parametrize(("net", "scratches"), [("0.99", 1), ("-0.99", 1), ("1", 0), ("-1", 0)])
def test_a_scratch_is_smaller_than_its_fees(net, scratches):
    assert trade_metrics([closed(net, "1")]).scratches == scratches


amounts = st.integers(-(10**12), 10**12).map(lambda units: Decimal(units).scaleb(-8))
drawn = st.builds(
    closed,
    amounts,
    st.integers(0, 10**9).map(lambda units: Decimal(units).scaleb(-8)),
    funding=amounts,
    hours=st.integers(1, 100),
    symbol=st.sampled_from(["BTC", "ETH", "SOL"]),
    side=st.sampled_from([LONG, SHORT]),
    reason=st.sampled_from(list(ExitReason)),
    day=st.integers(0, 10**4).map(lambda slot: slot * 5),  # days apart: no two close at once
)
trade_lists = st.lists(drawn, max_size=25, unique_by=lambda trade: trade.opened_at)


@given(trade_lists)
def test_tables_add_up_exactly(trades):
    metrics = trade_metrics(trades)

    for table in (
        (metrics.long, metrics.short),
        metrics.by_instrument,
        metrics.by_exit_reason,
    ):
        assert sum(row.count for row in table) == metrics.count
        assert sum(row.wins for row in table) == metrics.wins
        assert sum(row.net_pnl for row in table) == metrics.net_pnl
        assert sum(row.fees for row in table) == metrics.fees
        assert sum(row.funding for row in table) == metrics.funding
    assert metrics.net_pnl == sum(trade.net_pnl for trade in trades)
    assert metrics.wins + metrics.losses <= metrics.count
    assert metrics.max_loss_streak <= metrics.losses


@given(st.data())
def test_the_order_of_trades_does_not_matter(data):
    trades = data.draw(trade_lists)

    assert trade_metrics(data.draw(st.permutations(trades))) == trade_metrics(trades)


@given(trade_lists, st.integers(2, 1000))
def test_the_currency_does_not_matter(trades, scale):
    one = trade_metrics(trades)
    many = trade_metrics(
        [
            closed(trade.net_pnl * scale, trade.fees * scale, day=day)
            for day, trade in enumerate(trades)
        ]
    )

    assert (many.win_rate, many.scratches) == (one.win_rate, one.scratches)
    assert many.net_pnl == one.net_pnl * scale
    for name in ("profit_factor", "payoff_ratio", "sqn"):
        value = getattr(one, name)
        assert getattr(many, name) == (value if value is None else pytest.approx(value))


# --- Activity ------------------------------------------------------------------------------------

TOTALS = Totals(fees=Decimal("1.5"), funding=Decimal("-0.25"), llm_cost=Decimal("0.75"))


def activity(equity, bars_in_market=0, fills=()):
    return activity_metrics(
        np.array(equity, dtype=np.float64),
        bars_in_market=bars_in_market,
        fill_notionals=[Decimal(fill) for fill in fills],
        totals=TOTALS,
    )


def test_activity_of_three_bars():
    metrics = activity([100, 200, 300], bars_in_market=2, fills=["150", "-150", "100"])

    assert (metrics.bars, metrics.bars_in_market) == (3, 2)
    assert metrics.time_in_market_fraction == pytest.approx(2 / 3)
    assert metrics.traded_notional == Decimal(400)
    assert metrics.turnover == pytest.approx(2)  # mean equity 200
    assert (metrics.fees, metrics.funding) == (Decimal("1.5"), Decimal("-0.25"))
    assert metrics.llm_cost == Decimal("0.75")


def test_in_and_out_at_all_equity_turns_it_over_twice():
    assert activity([100, 100], 1, ["100", "100"]).turnover == pytest.approx(2)


def test_without_bars_or_money_there_is_no_share():
    assert activity([]).time_in_market_fraction is None
    assert activity([]).turnover is None
    assert activity([100, -300], fills=["100"]).turnover is None


def test_without_fills_nothing_is_turned_over():
    metrics = activity([100, 100])

    assert (metrics.turnover, metrics.time_in_market_fraction) == (0, 0)


@pytest.mark.parametrize(
    ("equity", "bars_in_market"), [([100], 2), ([100], -1), ([float("nan")], 1)]
)
def test_impossible_activity_is_refused(equity, bars_in_market):
    with pytest.raises(ValueError):
        activity(equity, bars_in_market)
