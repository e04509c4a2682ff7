"""`manage.py replay` as a person meets it: bad input gets one sentence, and nothing is half-written."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from tests.scenarios.tables import script

SYMBOL = "BTC/USDT:USDT"
HEAD = "timestamp,open,high,low,close,volume"
RAW = ("--risk", "raw")
EMA = ("--trader", "ema_trend", "--param", "fast=2", "--param", "slow=4")


def minute(index: int, prices: str = "100,101,99,100", volume: str = "10") -> str:
    return f"2022-01-01 00:{index:02d}:00,{prices},{volume}"


GOOD = [minute(index) for index in range(12)]


def write(folder: Path, rows: list[str], head: str = HEAD) -> Path:
    path = folder / "candles.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


def replay(*arguments: object) -> str:
    printed = StringIO()
    call_command("replay", *(str(argument) for argument in arguments), stdout=printed)
    return printed.getvalue()


def refusal(*arguments: object, out: Path | None = None) -> str:
    """The one sentence that a refused command ends with."""
    more = ("--out", out) if out is not None else ()
    with pytest.raises(CommandError) as caught:
        replay(*arguments, *more, "--json")
    assert out is None or not out.exists()
    text = str(caught.value)
    assert "\n" not in text
    assert "Traceback" not in text
    return text


BAD_FILES = {
    "empty": ([], HEAD, "no"),
    "wrong columns": (GOOD, "when,o,h,l,c,v", "column"),
    "a missing column": (["2022-01-01 00:00:00,1,2,1,1"], "timestamp,open,high,low,close", "volume"),
    "unsorted": ([GOOD[1], GOOD[0], *GOOD[2:]], HEAD, "sorted"),
    "duplicate": ([GOOD[0], *GOOD], HEAD, "twice"),
    "gappy": ([*GOOD[:4], *GOOD[6:]], HEAD, "missing"),
    "low above high": ([*GOOD[:3], minute(3, "100,98,99,100"), *GOOD[4:]], HEAD, "low"),
    "not a number": ([*GOOD[:3], minute(3, "100,NaN,99,100"), *GOOD[4:]], HEAD, "row 4"),
    "a word": ([*GOOD[:3], minute(3, "100,hello,99,100"), *GOOD[4:]], HEAD, "hello"),
    "price zero": ([*GOOD[:3], minute(3, "0,101,0,100"), *GOOD[4:]], HEAD, "0"),
    "negative volume": ([*GOOD[:3], minute(3, volume="-1"), *GOOD[4:]], HEAD, "volume"),
    "close outside": ([*GOOD[:3], minute(3, "100,101,99,105"), *GOOD[4:]], HEAD, "close"),
    "off the grid": ([*GOOD[:3], "2022-01-01 00:03:30,100,101,99,100,1"], HEAD, "grid"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    rows, head, word = BAD_FILES[name]
    path = write(tmp_path, rows, head)
    said = refusal("--candles", path, "--symbol", SYMBOL, *EMA, *RAW, out=tmp_path / "report.json")
    assert word in said.lower(), said
    assert "candles.csv" in said


BAD_REQUESTS = {
    "nothing to replay": ((), "--candles"),
    "no such file": (("--candles", "nowhere.csv", "--symbol", SYMBOL), "nowhere.csv"),
    "no symbol": (("--candles", "{candles}"), "--symbol"),
    "unknown symbol": (("--candles", "{candles}", "--symbol", "NOPE/USDT:USDT"), "NOPE"),
    "inverse": (("--candles", "{candles}", "--symbol", "BTC/USD:BTC"), "UNSUPPORTED_INSTRUMENT"),
    "dated": (("--candles", "{candles}", "--symbol", "BTC/USDT:USDT-240628"), "UNSUPPORTED_INSTRUMENT"),
    "a timeframe that does not divide": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--timeframe", "90s"), "1m"),
    "no timeframe": (("--candles", "{candles}", "--symbol", SYMBOL, "--timeframe", "soon"), "soon"),
    "an interval off the timeframe": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--timeframe", "3m", "--interval", "4m"), "multiple"),
    "no such trader": (("--candles", "{candles}", "--symbol", SYMBOL, "--trader", "oracle"), "oracle"),
    "no such parameter": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--param", "speed=9"), "speed"),
    "a parameter without a value": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--param", "fast"), "NAME=VALUE"),
    "a bad parameter": (("--candles", "{candles}", "--symbol", SYMBOL, "--param", "fast=x"), "whole number"),
    "no such profile": (("--candles", "{candles}", "--symbol", SYMBOL, "--risk", "yolo"), "yolo"),
    "a size without raw": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--size", "1", "--risk", "balanced"), "--size"),
    "no stop where one is required": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--risk", "balanced"), "stop"),
    "more cash than the curve holds": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--cash", "1e12"), "63 bits"),
    "no cash": (("--candles", "{candles}", "--symbol", SYMBOL, "--cash", "0"), "--cash"),
    "a fee of a hundred percent": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--fee", "1"), "fraction"),
    "no script": (("--candles", "{candles}", "--symbol", SYMBOL, "--trader", "scripted"), "--completions"),
    "a script for a rule": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--completions", "{candles}"), "--completions"),
    "a broken script": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--trader", "scripted", "--completions", "{candles}"),
        "JSON"),
    "no funding file": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--funding", "gone.csv"), "gone.csv"),
    "a bad offset": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--funding", "{candles}", "--funding-tz", "east"), "east"),
    "no instrument file": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--instrument", "none.json"), "none.json"),
    "no folder to write to": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--out", "no/such/folder/x.json"), "folder"),
    "days of a file": (("--candles", "{candles}", "--symbol", SYMBOL, "--days", "3"), "--days"),
    "parameters of a script": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--trader", "scripted", "--completions",
         "{candles}", "--param", "fast=2"), "param"),
    "no whole candle": (("--candles", "{candles}", "--symbol", SYMBOL, "--timeframe", "1d"), "no whole one"),
    "no days": (("--simulated", "--days", "0"), "--days"),
    "an unknown simulated symbol": (("--simulated", "--symbol", "NOPE/USDT:USDT"), "NOPE"),
    "more days than are simulated": (("--simulated", "--days", "99999999999999999999"), "--days"),
    "a seed below zero": (("--simulated", "--days", "1", "--seed", "-1"), "seed"),
    "candles and simulated": (("--simulated", "--candles", "{candles}", "--symbol", SYMBOL), "--candles"),
    "mark and simulated": (("--simulated", "--mark", "{candles}"), "--mark"),
    "funding and simulated": (("--simulated", "--funding", "{candles}"), "--funding"),
    "a clock and simulated": (("--simulated", "--funding-tz", "+00:00"), "--funding-tz"),
    "an instrument and simulated": (("--simulated", "--instrument", "{candles}"), "--instrument"),
    "times and simulated": (("--simulated", "--timestamp", "open"), "--timestamp"),
    "gaps and simulated": (("--simulated", "--allow-gaps"), "--allow-gaps"),
    "a unit and simulated": (("--simulated", "--volume-unit", "base"), "--volume-unit"),
    "a clock without funding": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--funding-tz", "+03:00"), "--funding-tz"),
    "the size of a rule under raw": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--param", "size=0.5"), "the size is --size"),
    "the leverage of a rule under raw": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--param", "leverage=3"), "--param leverage"),
    "latency below zero": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--latency-ms", "-1"), "--latency-ms"),
    "latency without end": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--latency-ms", "9" * 30), "--latency-ms"),
    "cash that is no number": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--cash", "NaN"), "--cash: 'NaN' is not a finite"),
    "cash beyond reckoning": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--cash", "1e999999"), "too large"),
    "cash finer than money": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--cash", "1.000000001"), "8 decimals"),
    "slippage of everything": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--slippage-bps", "10000"), "--slippage-bps"),
    "slippage below zero": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--slippage-bps", "-1"), "--slippage-bps"),
    "a spread of everything": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--spread-bps", "10000"), "--spread-bps"),
    "slippage and spread of everything": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--slippage-bps", "9000", "--spread-bps", "2000"),
        "--spread-bps"),
    "no depth": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--max-volume-fraction", "0"), "--max-volume-fraction"),
    "more depth than there is": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--max-volume-fraction", "1.1"), "--max-volume-fraction"),
    "no such unit": (("--candles", "{candles}", "--symbol", SYMBOL, "--volume-unit", "usd"), "--volume-unit"),
    "a number of the rule beyond reckoning": (
        ("--simulated", "--days", "1", "--symbol", SYMBOL, "--trader", "ema_trend",
         "--param", "stop_atr=1e999999"), "too large"),
    "a report into a folder": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--out", "{folder}"), "is a folder"),
    "a report into a device": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--out", "/dev/null"), "no ordinary file"),
    "a report with too long a name": (
        ("--candles", "{candles}", "--symbol", SYMBOL, "--out", "{folder}/" + "x" * 300), "can't be written"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    arguments, word = BAD_REQUESTS[name]
    candles = write(tmp_path, GOOD)
    filled = [
        str(argument).replace("{candles}", str(candles)).replace("{folder}", str(tmp_path))
        for argument in arguments
    ]
    if "--risk" not in filled and "--size" not in filled:
        filled += RAW
    assert word in refusal(*filled)
    assert list(tmp_path.iterdir()) == [candles]


BAD_INSTRUMENTS: dict[str, tuple[dict[str, object], str]] = {
    "no trigger bases": ({"trigger_bases": []}, "trigger_bases"),
    "trigger bases of five": ({"trigger_bases": 5}, SYMBOL),
    "a base of five": ({"base": 5}, "base"),
    "a negative quantity": ({"min_quantity": "-1"}, "min_quantity"),
    "a negative notional": ({"min_notional": -5}, "min_notional"),
    "a negative leverage": ({"max_leverage": -5}, "max_leverage"),
    "no fee": ({"taker_fee": None}, "taker_fee"),
}


@pytest.mark.parametrize("name", BAD_INSTRUMENTS)
def test_a_bad_instrument_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    change, word = BAD_INSTRUMENTS[name]
    good: dict[str, object] = {
        "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "settle": "USDT", "kind": "PERPETUAL",
        "price_step": "0.1", "quantity_step": "0.001", "min_quantity": "0.001", "min_notional": 5,
        "margin_tiers": [[None, "0.01"]],
    }  # fmt: skip
    file = tmp_path / "instrument.json"
    asked = (
        "--candles",
        write(tmp_path, GOOD),
        "--symbol",
        SYMBOL,
        "--instrument",
        file,
        *EMA,
        *RAW,
    )
    file.write_text(json.dumps(good), encoding="utf-8")
    assert json.loads(replay(*asked, "--json"))["candles"] == 12
    file.write_text(json.dumps(good | change), encoding="utf-8")
    assert word in refusal(*asked, out=tmp_path / "report.json")


@pytest.mark.parametrize("at", ["before the run", "after the run"])
def test_a_report_that_cannot_be_written_leaves_nothing(
    at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    candles = write(tmp_path, GOOD)
    if at == "before the run":
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", full)
        monkeypatch.setattr("bots.lab.management.commands.replay.run_replay", None)  # never called
    else:
        monkeypatch.setattr(Path, "replace", full)
    out = tmp_path / "report.json"
    said = refusal("--candles", candles, "--symbol", SYMBOL, *EMA, *RAW, out=out)
    assert said == f"--out {out} can't be written: {os.strerror(errno.ENOSPC)}"
    assert list(tmp_path.iterdir()) == [candles]


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


def test_a_shell_sees_a_sentence_and_a_non_zero_exit(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "manage.py", "replay", "--candles", "nowhere.csv", "--symbol", SYMBOL],
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "nowhere.csv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


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


def test_an_interrupt_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bots.lab.management.commands.replay.run_replay", interrupted)
    with pytest.raises(CommandError, match="stopped") as caught:
        replay("--simulated", "--days", "1", "--trader", "flat", *RAW)
    assert caught.value.returncode == 130
