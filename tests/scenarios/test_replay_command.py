"""`manage.py replay` as a person meets it: files, instruments, seeds, scripts and reports."""

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.scenarios.replay_command import EMA, GOOD, HEAD, RAW, SYMBOL, minute, replay, write
from tests.scenarios.tables import script


def reported(folder: Path, *arguments: object) -> dict:
    """The rows of a replay of the good candles."""
    out = folder / "report.json"
    replay(
        "--candles",
        write(folder, GOOD),
        "--symbol",
        SYMBOL,
        *RAW,
        "--json",
        "--out",
        out,
        *arguments,
    )
    rows: dict = json.loads(out.read_text(encoding="utf-8"))
    return rows


HOLD = ("--trader", "buy_and_hold", "--slippage-bps", "0", "--fee", "0")


@pytest.mark.parametrize(
    ("flags", "price", "quantity"),
    [
        ((), "100", "100"),
        (("--spread-bps", "100"), "100.5", "99.502"),  # half of it
        (("--spread-bps", "100", "--slippage-bps", "10"), "100.6", "99.403"),
        (("--max-volume-fraction", "0.5"), "100", "5"),  # ten coins traded
        (("--max-volume-fraction", "0.5", "--volume-unit", "base"), "100", "5"),
        (("--max-volume-fraction", "0.5", "--volume-unit", "quote"), "100", "0.05"),  # ten dollars
    ],
)
def test_what_a_first_fill_costs(
    flags: tuple[str, ...], price: str, quantity: str, tmp_path: Path
) -> None:
    fill = reported(tmp_path, *HOLD, *flags)["fills"][0]
    assert (fill["price"], fill["quantity"]) == (price, quantity)


def test_ids_cover_the_data_and_the_whole_configuration(tmp_path: Path) -> None:
    """Another rate, mark price or depth is another replay, so its orders have other ids."""
    rate, other = tmp_path / "rate.csv", tmp_path / "other.csv"
    rate.write_text("timestamp,funding_rate\n2022-01-01 00:08:00,0.0001\n", encoding="utf-8")
    other.write_text("timestamp,funding_rate\n2022-01-01 00:08:00,0.0002\n", encoding="utf-8")
    mark = tmp_path / "mark.csv"
    rows = [minute(index, "100,101,98,100") for index in range(12)]
    mark.write_text("\n".join([HEAD, *rows]) + "\n", encoding="utf-8")
    asked: list[tuple[object, ...]] = [
        (),
        ("--funding", rate),
        ("--funding", rate, "--funding-tz", "+00:01"),
        ("--funding", other),
        ("--mark", mark),
        ("--max-volume-fraction", "1"),
        ("--max-volume-fraction", "1", "--volume-unit", "quote"),
    ]
    ids = [
        reported(tmp_path, *HOLD, *flags)["orders"][0]["client_order_id"]
        for flags in (*asked, *asked)
    ]
    assert len(set(ids)) == len(asked)
    assert ids[: len(asked)] == ids[len(asked) :]


def test_ids_cover_what_a_script_says(tmp_path: Path) -> None:
    entry = {"symbol": SYMBOL, "action": "buy_to_enter", "risk_fraction": 0.004, "leverage": 2,
             "stop_loss": 95, "take_profit": 115, "confidence": 0.9}  # fmt: skip
    file, ids = tmp_path / "completions.json", []
    for last in ("", "", "Half a pair: \ud800."):
        file.write_text(json.dumps(script(entry, last)), encoding="utf-8")
        rows = reported(tmp_path, "--trader", "scripted", "--completions", file)
        ids.append(rows["orders"][0]["client_order_id"])
    assert ids[0] == ids[1] != ids[2]


def test_missing_bars_are_counted(tmp_path: Path) -> None:
    asked = (
        "--candles",
        write(tmp_path, [*GOOD[:4], *GOOD[6:]]),
        "--symbol",
        SYMBOL,
        "--allow-gaps",
    )
    assert json.loads(replay(*asked, *EMA, *RAW, "--json"))["missing_bars"] == 2
    assert "missing bars: 2" in replay(*asked, *EMA, *RAW)
    whole = ("--candles", write(tmp_path, GOOD), "--symbol", SYMBOL, "--allow-gaps", *EMA, *RAW)
    assert json.loads(replay(*whole, "--json"))["missing_bars"] == 0
    assert "missing" not in replay(*whole)


@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_every_kind_of_file_gives_the_same_report(suffix: str, tmp_path: Path) -> None:
    prices = [100 + (index * 7) % 11 - (index * 5) % 13 for index in range(60)]
    frame = pd.DataFrame(
        {
            "timestamp": pd.date_range("2022-01-01", periods=60, freq="min", tz="UTC"),
            "open": [float(price) for price in prices],
            "high": [price + 1.5 for price in prices],
            "low": [price - 1.5 for price in prices],
            "close": [price + 0.5 for price in prices],
            "volume": [10.0] * 60,
        }
    )
    csv, path = tmp_path / "twin.csv", tmp_path / f"candles.{suffix}"
    frame.to_csv(csv, index=False)
    if suffix == "csv":
        frame.to_csv(path, index=False)
    elif suffix == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_feather(path)
    reports = [
        json.loads(replay("--candles", file, "--symbol", SYMBOL, *EMA, *RAW, "--json"))
        for file in (csv, path)
    ]
    for report in reports:
        del report["seconds"], report["candles_per_second"]
    assert reports[0] == reports[1]
    assert reports[0]["trades"] > 0


def test_people_get_a_curve_a_table_and_where_the_numbers_come_from(tmp_path: Path) -> None:
    said = replay(
        "--simulated", "--days", "2", "--symbol", SYMBOL, "--timeframe", "15m", *RAW,
        "--trader", "buy_and_hold", "--trader", "ema_trend",
    )  # fmt: skip
    assert "SIMULATED market" in said
    assert "buy_and_hold: equity in USDT" in said
    assert "max drawdown" in said
    assert "ledger off by 0" in said


def test_several_instruments_share_one_account(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    summary = json.loads(
        replay("--simulated", "--days", "2", "--timeframe", "15m", *RAW, "--size", "0.1",
               "--trader", "seeded_random", "--json", "--out", out)
    )  # fmt: skip
    assert summary["identity_error"] == 0
    traded = {row["symbol"] for row in json.loads(out.read_text())["closed_trades"]}
    assert len(traded) > 3


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_seed_is_a_market(seed: str) -> None:
    runs = [
        json.loads(
            replay("--simulated", "--days", "1", "--symbol", SYMBOL, *RAW, "--trader", "buy_and_hold",
                   "--seed", number, "--json")
        )
        for number in (seed, seed, "3")
    ]  # fmt: skip
    assert runs[0]["final_equity"] == runs[1]["final_equity"] != runs[2]["final_equity"]


def scripted_day(candles: Path, folder: Path, minutes: int) -> dict:
    """A model that enters, adjusts, reduces, raves and closes, asked each minute."""
    first = pd.read_csv(candles, nrows=minutes)
    answers: list[str | dict[str, object]] = []
    for index in range(minutes):
        price = float(first["close"].iloc[index])
        step = index % 60
        said: dict[int, str | dict[str, object]] = (
            {
                5: {"symbol": SYMBOL, "action": "buy_to_enter", "risk_fraction": 0.004, "leverage": 5,
                    "stop_loss": round(price * 0.985, 1), "take_profit": round(price * 1.035, 1),
                    "confidence": 0.8},
                20: {"symbol": SYMBOL, "action": "adjust", "stop_loss": round(price * 0.99, 1)},
                30: {"symbol": SYMBOL, "action": "reduce", "reduce_fraction": 0.5},
                45: {"symbol": SYMBOL, "action": "close"},
                50: "To the moon, I say!",
            }
        )  # fmt: skip
        answers.append(said.get(step, ""))
    file = folder / "completions.json"
    file.write_text(json.dumps(script(*answers)), encoding="utf-8")
    day = folder / "day.csv"
    pd.read_csv(candles, nrows=minutes, dtype=str).to_csv(day, index=False)
    out = folder / "report.json"
    summary = json.loads(
        replay("--candles", day, "--symbol", SYMBOL, "--trader", "scripted", "--completions", file,
               "--risk", "balanced", "--json", "--out", out)
    )  # fmt: skip
    summary["rows"] = json.loads(out.read_text())
    return summary


def assert_lived_through(summary: dict, minutes: int) -> None:
    assert summary["cycles_evaluated"] == minutes
    assert summary["identity_error"] == 0
    assert summary["trades"] >= 1
    decisions = summary["rows"]["decisions"]
    assert len(decisions) == minutes
    assert any(len(row["answers"]) == 2 for row in decisions)  # the raving one was asked again
    assert any(row["rulings"] for row in decisions)
    stops = [row for row in summary["rows"]["orders"] if row["purpose"] == "STOP"]
    assert any(row["status"] == "CANCELED" for row in stops)  # moved by an adjust


@pytest.mark.recorded_data
def test_a_scripted_model_trades_a_recorded_day(market_data_dir: Path, tmp_path: Path) -> None:
    summary = scripted_day(
        market_data_dir / "market/btc-perp-20211231-20220201_1m.csv", tmp_path, 1440
    )
    assert_lived_through(summary, 1440)


def test_a_scripted_model_trades_a_synthetic_morning(tmp_path: Path) -> None:
    prices = [46000 + (index * 37) % 90 - (index * 23) % 70 for index in range(240)]
    rows = [
        f"2022-01-01 {index // 60:02d}:{index % 60:02d}:00,{price},{price + 20},{price - 20},{price + 5},10"
        for index, price in enumerate(prices)
    ]
    assert_lived_through(scripted_day(write(tmp_path, rows), tmp_path, 240), 240)


def test_a_halt_and_a_liquidation_are_said_out_loud() -> None:
    said = replay(
        "--simulated", "--symbol", SYMBOL, "--days", "30", "--trader", "buy_and_hold", *RAW,
        "--size", "20", "--no-curve",
    )  # fmt: skip
    assert "buy_and_hold: liquidated ×1" in said
    said = replay(
        "--simulated", "--symbol", SYMBOL, "--days", "40", "--trader", "seeded_random", "--param",
        "stop_atr=4", "--param", "reward=3", "--param", "rate=0.2", "--risk", "balanced", "--no-curve",
    )  # fmt: skip
    assert "halted at " in said
    assert "by HARD_DRAWDOWN" in said


def test_the_report_file_has_the_mode_that_the_umask_gives(tmp_path: Path) -> None:
    out, other = tmp_path / "report.json", tmp_path / "other"
    other.touch()
    replay("--simulated", "--days", "1", "--symbol", SYMBOL, "--trader", "flat", *RAW, "--out", out)
    assert out.stat().st_mode == other.stat().st_mode
