"""Spot through the whole cycle: fees taken in coins, quantities between two steps, dust that is no position."""

from decimal import Decimal as D
from pathlib import Path

import pytest

from market.domain.enums import InstrumentKind
from market.domain.instruments import Instrument
from risk.profiles import profile
from tests.scenarios.tables import candles, fill_rows, instrument, item, play, script, scripted

SPOT = "TEST/USDT"


def spot() -> Instrument:
    """Fee 0.15%, step 0.01: ten coins bought are 9.985 held, of which 9.98 can be sold."""
    return instrument(
        symbol=SPOT,
        kind=InstrumentKind.SPOT,
        max_leverage=D(1),
        margin_tiers=(),
        taker_fee=D("0.0015"),
        liquidation_fee=D(0),
    )


BUY = item(
    "buy_to_enter",
    symbol=SPOT,
    notional=1000,
    leverage=1,
    stop_loss=95,
    take_profit=110,
    confidence=0.8,
)

TABLE = """
100 100 100 100   # decided
100 104 99  103   # 10 bought, 0.015 taken: 9.985 held; stop and target for 9.98
103 111 102 109   # target: 9.98 sold at 110, 0.005 are left
109 110 100 100   # decided again
100 101 99  100   # 10 bought, 9.985 + 0.005 = 9.99 held
100 101 94  96    # stopped: all 9.99 sold at 95
96  97  95  96
"""


@pytest.mark.parametrize("jump", [True, False], ids=["jump", "walk"])
def test_dust_is_carried_into_the_next_trade_and_is_no_position(jump: bool, tmp_path: Path) -> None:
    answers = script(BUY, "", "", BUY)
    result = play(
        candles(TABLE), scripted(tmp_path, answers), profile("balanced"), traded=spot(), jump=jump
    )
    assert fill_rows(result) == [
        (1, "ENTRY", "BUY", D(10), D(100), D("0.015")),
        (2, "TARGET", "SELL", D("9.98"), D(110), D("1.6467")),
        (4, "ENTRY", "BUY", D(10), D(100), D("0.015")),
        (5, "STOP", "SELL", D("9.99"), D(95), D("1.423575")),
    ]
    first, second = result.ledger.closed_trades
    # 9.98 of 9.985 coins that cost 998.5: 998 released, 1097.8 received; fees 1.5 (in coins) and 1.6467
    assert (first.realized_pnl, first.fees) == (D("99.8"), D("3.1467"))
    # 9.99 coins that cost 998.5 + 0.5, sold for 949.05
    assert (second.realized_pnl, second.fees) == (D("-49.95"), D("2.923575"))
    assert result.final_equity == D(10_000) + first.net_pnl + second.net_pnl
    assert not result.ledger.book.positions
    assert not result.ledger.book.dust
    assert result.identity_error == 0
    assert {str(order.status) for order in result.ledger.orders.values()} == {"FILLED", "CANCELED"}


def test_dust_counts_in_equity_and_is_told_to_nobody(tmp_path: Path) -> None:
    script_file = scripted(tmp_path, script(BUY))
    rows = "\n".join(TABLE.strip().splitlines()[:4])
    result = play(candles(rows), script_file, profile("balanced"), traded=spot())
    cash = D(10_000) - D("1.5") + D("99.8") - D("1.6467")
    at, equity = result.ledger.equity_curve()
    assert len(at) == 4
    assert D(int(equity[2])).scaleb(-8) == cash + D("0.005") * (D(109) - 100)
    last_view = result.ledger.cycles[-1].decision
    assert last_view is not None
    assert last_view.facts is not None
    assert last_view.facts["positions"] == []
