"""The main job: a rule over a month of real minutes, through the real command, against another computation."""

import json
from decimal import Decimal
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from django.core.management import call_command

from bots.lab.report import TIMINGS
from tests.scenarios import ema_oracle

FILE = "market/btc-perp-20211231-20220201_1m.csv"
FUNDING = "market/BTC-USDT_binance_2020-01-01_2024-01-01_funding_history.csv"
REQUIRED = {
    "trades", "final_equity", "return_fraction", "fees", "funding", "max_drawdown_fraction", "sharpe_ratio",
    "candles", "candles_per_second", "cycles_evaluated", "identity_error",
}  # fmt: skip
STEP = Decimal("0.001")


def replay(candles: Path, out: Path, *extra: str) -> tuple[dict, dict]:
    """Run the command as a person would; the summary, and the rows of --out."""
    printed = StringIO()
    call_command(
        "replay", "--candles", str(candles), "--symbol", "BTC/USDT:USDT", "--timeframe", "1m",
        "--trader", "ema_trend", "--param", "fast=10", "--param", "slow=50", "--param", "side=long",
        "--cash", "10000", "--fee", "0.001", "--risk", "raw", "--size", "1.0",
        "--slippage-bps", "0", "--json", "--out", str(out), *extra, stdout=printed,
    )  # fmt: skip
    return json.loads(printed.getvalue()), json.loads(out.read_text())


def assert_agrees(summary: dict, rows: dict, oracle: ema_oracle.OracleRun) -> None:
    """Trade by trade: times, side, prices, quantity, fees; then the money, exactly."""
    assert summary["trades"] == len(oracle.trades)
    for ours, theirs in zip(rows["closed_trades"], oracle.trades, strict=True):
        assert ours["side"] == "LONG"
        assert milliseconds(ours["opened_at"]) == theirs.opened_at
        assert milliseconds(ours["closed_at"]) == theirs.closed_at
        assert Decimal(ours["entry_price"]) == theirs.entry_price
        assert Decimal(ours["exit_price"]) == theirs.exit_price
        assert Decimal(ours["quantity"]) == theirs.quantity
        assert Decimal(ours["fees"]) == theirs.fees
        assert (ours["exit_reason"] == "END_OF_DATA") == theirs.at_end
    last = Decimal(rows["equity"]["hundred_millionths"][-1]).scaleb(-8)
    assert last == oracle.final_cash
    assert summary["final_equity"] == float(oracle.final_cash)
    assert summary["identity_error"] == 0


def milliseconds(text: str) -> int:
    return int(pd.Timestamp(text).value // 1_000_000)


def settled(path: Path, hours_ahead: int) -> dict[int, Decimal]:
    """Funding as ms → rate, read without the product's code."""
    frame = pd.read_csv(path, dtype=str)
    times = pd.to_datetime(frame["Date"], format="mixed", utc=True).dt.round("min")
    times = times - pd.Timedelta(hours=hours_ahead)
    stamps = times.astype("datetime64[ms, UTC]").astype("int64")
    return {int(at): Decimal(rate) for at, rate in zip(stamps, frame["Funding Rate"], strict=True)}


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """The synthetic twin: 3,000 minutes of a seeded walk in the same shape as the recorded file."""
    rng = np.random.default_rng(5)
    close = (np.cumsum(rng.integers(-60, 61, 3000)) + 46000).astype(float)
    open_ = np.concatenate([[46000.0], close[:-1]])
    frame = pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=3000, freq="min").strftime("%Y-%m-%d %H:%M:%S.%f"),
            "open": open_, "high": np.maximum(open_, close) + 5, "low": np.minimum(open_, close) - 5,
            "close": close, "volume": rng.integers(1, 1000, 3000),
        }
    )  # fmt: skip
    path = tmp_path / "twin.csv"
    frame.to_csv(path, index=False)
    return path


def oracle_of(path: Path, funding: dict[int, Decimal] | None = None) -> ema_oracle.OracleRun:
    return ema_oracle.run(
        path,
        fast=10,
        slow=50,
        cash=Decimal(10000),
        fee=Decimal("0.001"),
        step=STEP,
        funding=funding,
    )


@pytest.mark.recorded_data
def test_every_trade_of_the_recorded_month_agrees(market_data_dir: Path, tmp_path: Path) -> None:
    path = market_data_dir / FILE
    summary, rows = replay(path, tmp_path / "out.json")
    oracle = oracle_of(path)
    assert oracle.crosses_up == 658
    assert summary["candles"] == 45_031
    assert set(summary) >= REQUIRED
    assert_agrees(summary, rows, oracle)


@pytest.mark.recorded_data
def test_funding_of_the_recorded_month_agrees_to_the_cent(
    market_data_dir: Path, tmp_path: Path
) -> None:
    path, funding = market_data_dir / FILE, market_data_dir / FUNDING
    summary, rows = replay(
        path, tmp_path / "out.json", "--funding", str(funding), "--funding-tz", "+03:00"
    )
    with_funding = oracle_of(path, settled(funding, 3))
    assert summary["funding"] != 0
    assert_agrees(summary, rows, with_funding)
    booked = sum(Decimal(row["amount"]) for row in rows["ledger"] if row["kind"] == "FUNDING")
    assert abs(booked - independent_funding(rows, path, settled(funding, 3))) < Decimal("0.01")


def independent_funding(rows: dict, path: Path, rates: dict[int, Decimal]) -> Decimal:
    """Σ −quantity × open(T) × rate over the round trips that held just before T."""
    frame = pd.read_csv(path, dtype=str)
    times = (
        pd.to_datetime(frame["timestamp"], utc=True).astype("datetime64[ms, UTC]").astype("int64")
    )
    opens = dict(zip((int(at) for at in times), frame["open"], strict=True))
    return sum(
        (
            -Decimal(trade["quantity"]) * Decimal(opens[at]) * rate
            for trade in rows["closed_trades"]
            for at, rate in rates.items()
            if milliseconds(trade["opened_at"]) < at <= milliseconds(trade["closed_at"])
        ),
        Decimal(0),
    )


def test_the_synthetic_twin_agrees(synthetic: Path, tmp_path: Path) -> None:
    summary, rows = replay(synthetic, tmp_path / "out.json")
    assert summary["trades"] > 10
    assert_agrees(summary, rows, oracle_of(synthetic))


def test_the_synthetic_twin_pays_funding(synthetic: Path, tmp_path: Path) -> None:
    rates = {
        int(at.value // 1_000_000): Decimal("0.0003")
        for at in pd.date_range("2022-01-01 08:00", periods=5, freq="8h", tz="UTC")
    }
    file = tmp_path / "funding.csv"
    lines = ["Symbol,Date,Funding Rate"] + [
        f"BTC-USDT,{pd.Timestamp(at, unit='ms') + pd.Timedelta(hours=3)},{rate}"
        for at, rate in rates.items()
    ]
    file.write_text("\n".join(lines) + "\n")
    summary, rows = replay(
        synthetic, tmp_path / "out.json", "--funding", str(file), "--funding-tz", "+03:00"
    )
    assert summary["funding"] != 0
    assert_agrees(summary, rows, oracle_of(synthetic, rates))


def test_the_same_command_gives_the_same_bytes(synthetic: Path, tmp_path: Path) -> None:
    first, second = (replay(synthetic, tmp_path / name) for name in ("a.json", "b.json"))
    for summary, rows in (first, second):
        for name in TIMINGS:
            del summary[name], rows["summary"][name]
    assert json.dumps(first) == json.dumps(second)


def test_walking_every_bar_gives_the_same_rows(synthetic: Path, tmp_path: Path) -> None:
    _, jumped = replay(synthetic, tmp_path / "a.json")
    _, walked = replay(synthetic, tmp_path / "b.json", "--no-jump")
    for name in ("closed_trades", "orders", "fills", "ledger", "equity", "denials"):
        assert jumped[name] == walked[name], name
