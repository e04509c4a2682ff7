"""Our primitives against the figures another program gives for 179 recorded trades.

That program has formulas of its own: returns are on the opening balance and never compound, its
Sharpe takes Σ profit ÷ days as the mean and the population deviation *per trade*, its Calmar is
mean daily return (in percent) ÷ drawdown × √365. So its figures are rebuilt here from our numbers,
by formula; what is checked is our arithmetic, not our annualisation. Its Sortino is not comparable:
it divides by the deviation among the losing trades alone, where ours counts all periods against 0.

The twin below checks the same rebuilding on five trades against those formulas written out, so that
it runs where the recorded file is not.
"""

import json
import math
import statistics
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from bots.domain.entries import ClosedTrade, ExitReason
from bots.metrics import equity_metrics, trade_metrics
from market.domain.enums import PositionSide


def closed(net: Decimal, at: datetime) -> ClosedTrade:
    return ClosedTrade(
        symbol="X",
        side=PositionSide.LONG,
        opened_at=at - timedelta(minutes=5),
        closed_at=at,
        quantity=Decimal(1),
        entry_price=Decimal(1),
        exit_price=Decimal(1),
        realized_pnl=net,
        fees=Decimal(0),
        funding=Decimal(0),
        adjustments=Decimal(0),
        net_pnl=net,
        exit_reason=ExitReason.CLOSE,
    )


def defined(number: float | Decimal | None) -> float:
    assert number is not None
    return float(number)


def in_their_terms(trades: list[ClosedTrade], opening: float, days: int) -> dict[str, float]:
    """Rebuild the other program's figures from our metrics."""
    of_trades = trade_metrics(trades)
    nets = np.array([float(trade.net_pnl) for trade in trades])
    count = len(nets)
    # The balance as it really went: return, CAGR and drawdown are ours as they are. Equity belongs to
    # a time, so trades that close together make one point; their order among themselves has no meaning.
    profit_at: dict[datetime, float] = {}
    for trade in sorted(trades, key=lambda trade: trade.closed_at):
        profit_at[trade.closed_at] = profit_at.get(trade.closed_at, 0) + float(trade.net_pnl)
    points = opening + np.cumsum(list(profit_at.values()), dtype=np.float64)
    balance = equity_metrics(points, timedelta(days=days) / len(points), opening=opening)
    # A curve whose period returns are profit ÷ opening balance: theirs, not compounded.
    compounded = opening * np.cumprod(1 + nets / opening, dtype=np.float64)
    flat = equity_metrics(compounded, timedelta(days=days) / count, opening=opening)
    daily = balance.total_return_fraction / days
    win_rate = defined(of_trades.win_rate)
    return {
        "profit_total_abs": float(of_trades.net_pnl),
        "winrate": win_rate,
        "profit_factor": defined(of_trades.profit_factor),
        "expectancy": defined(of_trades.expectancy),
        "expectancy_ratio": (1 + defined(of_trades.payoff_ratio)) * win_rate - 1,
        "sqn": defined(of_trades.sqn),
        "cagr": defined(balance.cagr_fraction),
        "max_drawdown_account": balance.max_drawdown_fraction,
        "calmar": daily * 100 / balance.max_drawdown_fraction * math.sqrt(365),
        # √(365 count ÷ days) annualises ours; theirs sums over the day and divides by N, not N − 1.
        "sharpe": defined(flat.sharpe_ratio) * math.sqrt(count / days * count / (count - 1)),
    }


@pytest.mark.recorded_data
def test_recorded_trades(market_data_dir):
    golden = json.loads((market_data_dir / "metrics" / "golden_metrics.json").read_text())
    trades = [
        closed(Decimal(repr(row["profit_abs"])), datetime.fromisoformat(row["close_date"]))
        for row in golden["trades"]
    ]
    first, last = (datetime.fromisoformat(golden[name]) for name in ("min_date", "max_date"))
    expected = dict(golden["expected"])
    expected["expectancy"], expected["expectancy_ratio"] = expected["expectancy"]

    ours = in_their_terms(trades, golden["starting_balance"], (last - first).days)

    assert len(trades) == golden["n_trades"] == 179
    rounded = ours.pop("sqn")
    assert rounded == pytest.approx(expected["sqn"], abs=5e-5)  # given to four places
    for name, value in ours.items():
        assert value == pytest.approx(expected[name], rel=1e-9), name


def test_five_trades_by_the_same_formulas():
    nets = [Decimal(net) for net in ("40", "-25", "15", "-30", "60")]
    start = datetime(2024, 1, 1, tzinfo=UTC)
    trades = [closed(net, start + timedelta(days=day)) for day, net in enumerate(nets)]
    shares = [0.04, -0.025, 0.015, -0.03, 0.06]
    profits = [40, -25, 15, -30, 60]
    # 1000 → 1040 → 1015 → 1030 → 1000 → 1060: deepest from 1040 to 1000.
    by_hand = {
        "profit_total_abs": 60,
        "winrate": 0.6,
        "profit_factor": 115 / 55,
        "expectancy": 12,
        "expectancy_ratio": (1 + (115 / 3) / 27.5) * 0.6 - 1,
        "sqn": math.sqrt(5) * 12 / statistics.stdev(profits),
        "cagr": 1.06 ** (365 / 5) - 1,
        "max_drawdown_account": 40 / 1040,
        "calmar": 0.06 / 5 * 100 / (40 / 1040) * math.sqrt(365),
        "sharpe": sum(shares) / 5 / statistics.pstdev(shares) * math.sqrt(365),
    }

    assert in_their_terms(trades, 1000.0, 5) == pytest.approx(by_hand, rel=1e-9)
