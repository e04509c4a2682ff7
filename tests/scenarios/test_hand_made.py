"""A day of hourly candles and a scripted model under the balanced profile, worked out by hand.

Fee 0.1% of notional, one maintenance tier of 1%, no slippage, no funding. Balanced: risk 1%, leverage
10, position 0.5 × equity, stop at most 80% of the way to liquidation, slippage cap 25 bps (which is
also the allowance in sizing), reward:risk 1.5.
"""

from decimal import Decimal as D
from pathlib import Path

import pytest

from bots.domain.entries import EntryKind, ExitReason
from bots.lab.runner import ReplayResult
from risk.domain import Code
from risk.profiles import profile
from tests.scenarios.tables import candles, fill_rows, item, play, script, scripted

TABLE = """
100   101   99    100     #  0
100   104   98    103     #  1  long 15 at the open
103   111   102   109     #  2  its target of 110
109   110   108   109.5   #  3  short 14.52 at the open
109.5 110.5 107   107.5   #  4  stop moved to 111 rests from here
107.5 111.5 107   111     #  5  half closed at the open, the other half stopped at 111
111   112   110   111     #  6
111   112   109   110     #  7  long, clamped to 1% risk
95    96    90    92      #  8  opens past the stop (104) and past liquidation (100.9)
92    93    91    92      #  9
"""

ANSWERS = script(
    # 0: notional 1500 → 15; risk 15 × (5 + 0.195 fees + 0.25 allowance) = 81.7 ≤ 100
    item("buy_to_enter", notional=1500, leverage=5, stop_loss=95, take_profit=110, confidence=0.8),
    "",
    # 2: risk 0.5% of 10146.85 = 50.73425; ÷ (3 + 0.109 + 0.112 + 0.2725) = 14.522… → 14.52
    item(
        "sell_to_enter",
        risk_fraction=0.005,
        leverage=5,
        stop_loss=112,
        take_profit=103,
        confidence=0.7,
    ),
    item("adjust", stop_loss=111),
    item("reduce", reduce_fraction=0.5),
    "",
    # 6: notional 3000 → 27.02; risk to 104 is 27.02 × 7.4925 > 1% of equity → clamped
    item(
        "buy_to_enter", notional=3000, leverage=10, stop_loss=104, take_profit=125, confidence=0.9
    ),
    item("sell_to_enter", notional=500, leverage=2, stop_loss=115, take_profit=90, confidence=0.9),
    "",
    "",
)

# by hand, in order
CASH_AFTER_TARGET = D(10000) - D("1.5") + D(150) - D("1.65")  # 10146.85
SHORT_FEES = (D("1.58268"), D("0.78045"), D("0.80586"))  # 14.52×109, 7.26×107.5, 7.26×111, × 0.1%
SHORT_PNL = D("10.89") - D("14.52")  # 7.26 × 1.5 won, 7.26 × 2 lost
CASH_AFTER_SHORT = CASH_AFTER_TARGET + SHORT_PNL - sum(SHORT_FEES)  # 10140.05101
LAST_QUANTITY = D("13.53")  # 101.4005101 ÷ 7.4925 = 13.5336…
LAST_MARGIN = D("150.183")  # 13.53 × 111 ÷ 10
LIQUIDATION_FEE = D("13.51647")  # 1% of 13.53 × 99.9
BANKRUPTCY = D("99.9")  # (C − M) ÷ q = 111 × 0.9; liquidation at 99.9 ÷ 0.99 = 100.909…


@pytest.fixture(scope="module", params=[True, False], ids=["jump", "walk"])
def result(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ReplayResult:
    folder: Path = tmp_path_factory.mktemp("script")
    return play(candles(TABLE), scripted(folder, ANSWERS), profile("balanced"), jump=request.param)


def test_fills_are_the_ones_worked_out(result: ReplayResult) -> None:
    assert fill_rows(result)[:-1] == [
        (1, "ENTRY", "BUY", D(15), D(100), D("1.5")),
        (2, "TARGET", "SELL", D(15), D(110), D("1.65")),
        (3, "ENTRY", "SELL", D("14.52"), D(109), SHORT_FEES[0]),
        (5, "REDUCE", "BUY", D("7.26"), D("107.5"), SHORT_FEES[1]),
        (5, "STOP", "BUY", D("7.26"), D(111), SHORT_FEES[2]),
        (7, "ENTRY", "BUY", LAST_QUANTITY, D(111), D("1.50183")),
    ]
    bar, why, side, quantity, price, _ = fill_rows(result)[-1]
    assert (bar, why, side, quantity, price) == (
        8,
        "LIQUIDATION",
        "SELL",
        LAST_QUANTITY,
        BANKRUPTCY,
    )


def test_round_trips(result: ReplayResult) -> None:
    target, stopped, liquidated = result.ledger.closed_trades
    assert (target.exit_reason, target.net_pnl) == (ExitReason.TARGET, D("146.85"))
    assert stopped.exit_reason is ExitReason.STOP
    assert stopped.net_pnl == SHORT_PNL - sum(SHORT_FEES)
    assert stopped.entry_price == D(109)
    assert liquidated.exit_reason is ExitReason.LIQUIDATION
    assert liquidated.realized_pnl == -LAST_MARGIN
    assert liquidated.adjustments == -LIQUIDATION_FEE
    total = sum(trade.net_pnl for trade in result.ledger.closed_trades)
    assert result.final_equity == D(10000) + total


def test_the_oversized_entry_was_held_to_one_percent_risk(result: ReplayResult) -> None:
    verdict = result.ledger.cycles[6].verdict
    assert verdict is not None
    (ruling,) = verdict.rulings
    (clamp,) = [clamp for clamp in ruling.clamps if clamp.code is Code.RISK_PER_TRADE]
    assert (clamp.before, clamp.after) == (D("27.02"), LAST_QUANTITY)


def test_the_flip_was_denied_and_nothing_else(result: ReplayResult) -> None:
    assert [(str(when), denial.code) for when, denial in result.ledger.denials] == [
        ("2022-01-03 08:00:00+00:00", Code.FLIP)
    ]


def test_a_liquidation_costs_margin_and_fees_and_no_more(result: ReplayResult) -> None:
    entry_fee = D("1.50183")
    expected = CASH_AFTER_SHORT - entry_fee - LAST_MARGIN - LIQUIDATION_FEE
    assert result.final_equity == expected
    booked = [e.amount for e in result.ledger.entries if e.kind is EntryKind.ADJUSTMENT]
    assert booked == [-LIQUIDATION_FEE]


def test_the_stop_moved_once_and_no_protection_is_left(result: ReplayResult) -> None:
    orders = result.ledger.orders.values()
    moved = [order for order in orders if order.purpose == "STOP" and order.trigger_price == D(111)]
    assert [order.status for order in moved if order.filled_quantity] == ["FILLED"]
    assert not result.ledger.book.open_orders
    assert not result.ledger.book.plans


def test_it_adds_up(result: ReplayResult) -> None:
    assert result.identity_error == 0
    assert result.ledger.book.cash == result.final_equity
