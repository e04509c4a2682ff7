"""`manage.py replay` given what it can't use: one sentence, and nothing is half-written."""

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError

from tests.scenarios.replay_command import EMA, GOOD, HEAD, RAW, SYMBOL, minute, replay, write


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


def test_a_shell_sees_a_sentence_and_a_non_zero_exit(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "manage.py", "replay", "--candles", "nowhere.csv", "--symbol", SYMBOL],
        cwd=settings.BASE_DIR, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode != 0
    assert "nowhere.csv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


def test_an_interrupt_ends_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("bots.lab.management.commands.replay.run_replay", interrupted)
    with pytest.raises(CommandError, match="stopped") as caught:
        replay("--simulated", "--days", "1", "--trader", "flat", *RAW)
    assert caught.value.returncode == 130
