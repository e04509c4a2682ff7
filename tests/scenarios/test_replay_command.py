"""`manage.py replay` as a person meets it: bad input gets one sentence, and nothing is half-written."""

import json
import subprocess
import sys
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
    "no days": (("--simulated", "--days", "0"), "--days"),
    "an unknown simulated symbol": (("--simulated", "--symbol", "NOPE/USDT:USDT"), "NOPE"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_REQUESTS)
def test_a_bad_request_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    arguments, word = BAD_REQUESTS[name]
    candles = write(tmp_path, GOOD)
    filled = [str(argument).replace("{candles}", str(candles)) for argument in arguments]
    if "--risk" not in filled and "--size" not in filled:
        filled += RAW
    assert word in refusal(*filled)


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
