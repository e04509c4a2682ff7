"""`parse_reply`: what it prints, what it exits with, and what it refuses before anything is printed."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.llm.replies import ARENA, BTC, BUY, CLOSE_ETH, ETH, PEPE, reply

SYMBOLS = f"{BTC}, {ETH}"
FIELDS = {
    "symbol", "action", "confidence", "risk_fraction", "notional", "leverage", "stop_loss", "take_profit",
    "reduce_fraction", "invalidation_condition", "justification",
}  # fmt: skip


@pytest.fixture
def run(tmp_path, capsys):
    """Run over a text; returns exit code and output."""

    def told(text, *arguments, symbols=SYMBOLS) -> tuple[int, str]:
        path = tmp_path / "reply.txt"
        path.write_text(text, encoding="utf-8")
        code: Any = 0
        try:
            call_command("parse_reply", str(path), "--symbols", symbols, *arguments)
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        assert err == ""
        return code, out

    return told


@pytest.fixture
def read(run):
    """Run with --json; returns exit code and report."""

    def report(text, *arguments, **options) -> tuple[int, dict]:
        code, out = run(text, *arguments, "--json", **options)
        assert out.count("\n") == 1
        found = json.loads(out)
        assert list(found) == ["outcome", "reason", "summary", "decisions", "void", "notes"]
        assert all(set(item) == FIELDS for item in found["decisions"])
        return code, found

    return report


def test_a_decision_as_json(read):
    code, report = read(f"So:\n```json\n{reply(BUY, CLOSE_ETH)}\n```")
    assert code == 0
    assert (report["outcome"], report["reason"], report["summary"]) == ("DECIDED", "", "Quiet.")
    assert (report["void"], report["notes"]) == ([], [])
    first, second = report["decisions"]
    assert first == {
        "symbol": BTC, "action": "buy_to_enter", "confidence": "0.7", "risk_fraction": "0.01",
        "notional": None, "leverage": "5", "stop_loss": "45000.5", "take_profit": "48000",
        "reduce_fraction": None, "invalidation_condition": "4h close below 45000",
        "justification": "trend {up} [strong]",
    }  # fmt: skip
    assert (second["symbol"], second["action"], second["stop_loss"]) == (ETH, "close", None)


def test_a_decision_as_a_listing(run):
    text = reply(
        {**BUY, "justification": "one\ntwo", "stop_loss": "95k"},
        CLOSE_ETH,
        {**CLOSE_ETH, "action": "hold"},
        {"symbol": "XRP", "action": "close"},
    )
    code, out = run(text)
    assert code == 0
    assert out == (
        "DECIDED: 1 decision\n"
        "summary: Quiet.\n"
        "buy_to_enter BTC/USDT:USDT\n"
        "  confidence             0.7\n"
        "  risk_fraction          0.01\n"
        "  leverage               5\n"
        "  stop_loss              95000\n"
        "  take_profit            48000\n"
        "  invalidation_condition 4h close below 45000\n"
        "  justification          one two\n"
        "void: ETH/USDT:USDT\n"
        "note: 'XRP' is none of our instruments: left out\n"
        "note: ETH/USDT:USDT: its items contradict each other, so all are void\n"
    )


def test_numbers_have_no_exponent(read):
    _, report = read(reply({**BUY, "stop_loss": 1.5e-7, "take_profit": "9e14", "leverage": 2e1}))
    (item,) = report["decisions"]
    assert (item["stop_loss"], item["take_profit"]) == ("0.00000015", "900000000000000")
    assert item["leverage"] == "20"


def test_no_decision_is_exit_code_1_with_its_reason_on_the_output(run, read):
    cut = reply(BUY)[:-4]
    code, out = run(cut)
    assert (code, out.startswith("UNREADABLE: ")) == (1, True)
    code, report = read(cut)
    assert (code, report["outcome"], report["decisions"]) == (1, "UNREADABLE", [])
    assert out == f"UNREADABLE: {report['reason']}\n"


def test_an_empty_decision_is_one(run, read):
    assert read(reply())[1]["outcome"] == "DECIDED"
    assert run(reply(summary="")) == (0, "DECIDED: 0 decisions\n")


def test_a_base_name_stays_as_it_was_typed(read):
    _, report = read(reply({**BUY, "symbol": "btc"}), symbols="BTC,ETH")
    assert [item["symbol"] for item in report["decisions"]] == ["BTC"]


def test_equity_reads_risk_in_money(read):
    arena = json.dumps({"BTC": ARENA})
    assert read(arena)[1]["decisions"][0]["risk_fraction"] is None
    _, report = read(arena, "--equity", "15000")
    assert report["decisions"][0]["risk_fraction"] == "0.00666666"
    assert report["notes"]


def test_what_is_held_decides_what_sell_means(read):
    text = reply({**BUY, "action": "sell"})
    for held, action in (
        ((), "sell_to_enter"),
        (("--held", f"{ETH}=LONG"), "sell_to_enter"),
        (("--held", f"{BTC}=long, {ETH}=SHORT"), "close"),
        (("--held", f"{BTC}=SHORT"), "sell_to_enter"),
    ):
        _, report = read(text, *held)
        assert report["decisions"][0]["action"] == action


def test_an_emergency_leaves_close_and_hold_only(read):
    _, report = read(reply(BUY, CLOSE_ETH), "--emergency")
    assert [item["action"] for item in report["decisions"]] == ["close"]
    assert report["notes"] == [f"{BTC}: buy_to_enter is not open to choice now, left out"]


def test_another_language_is_shown_as_it_is(run, read):
    text = reply({**BUY, "justification": "突破均线，止损 45,000"})
    assert "突破均线，止损 45,000" in run(text)[1]
    assert read(text)[1]["decisions"][0]["justification"] == "突破均线，止损 45,000"


def standard_input(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_a_reply_from_the_standard_input(monkeypatch, capsys):
    standard_input(monkeypatch, reply(CLOSE_ETH).encode())
    call_command("parse_reply", "-", "--symbols", PEPE + "," + ETH)
    assert "close ETH/USDT:USDT" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--symbols", " ,"), "--symbols needs at least one symbol"),
        (("--symbols", "BTC,ETH,BTC"), "--symbols names 'BTC' twice"),
        (("--symbols", "BTC", "--equity", "much"), "--equity: 'much' is not a number"),
        (("--symbols", "BTC", "--equity", "NaN"), "--equity: 'NaN' is not a finite number"),
        (("--symbols", "BTC", "--equity", "0"), "--equity must be above zero"),
        (("--symbols", "BTC", "--held", "ETH=LONG"), "--held: 'ETH' is none of --symbols"),
        (("--symbols", "BTC", "--held", "BTC"), "--held: 'BTC' is not like BTC=LONG or BTC=SHORT"),
        (("--symbols", "BTC", "--held", "BTC=FLAT"), "--held: 'BTC=FLAT' is not like"),
        (("--symbols", "BTC", "--held", "BTC=LONG,BTC=SHORT"), "--held names 'BTC' twice"),
        ((), "the following arguments are required: --symbols"),
    ],
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_arguments_that_make_no_sense_are_refused(tmp_path, capsys, arguments, sentence, form):
    path = tmp_path / "reply.txt"
    path.write_text(reply(BUY))
    with pytest.raises(CommandError) as error:
        call_command("parse_reply", str(path), *arguments, *form)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


def test_a_file_that_is_none_is_refused(tmp_path, capsys, monkeypatch):
    big, latin = tmp_path / "big.txt", tmp_path / "latin.txt"
    big.write_bytes(b" " * 1_000_001)
    latin.write_bytes(b'{"symbol": "\xe9"}')
    standard_input(monkeypatch, b"\xff")
    for name, sentence in (
        (tmp_path / "missing.txt", "can't read .*missing.txt: No such file or directory"),
        (tmp_path, "can't read .*: Is a directory"),
        (big, "big.txt is larger than 1,000,000 bytes"),
        (latin, "latin.txt is not UTF-8 text: see byte 12"),
        ("-", "the standard input is not UTF-8 text: see byte 0"),
    ):
        with pytest.raises(CommandError, match=sentence):
            call_command("parse_reply", str(name), "--symbols", "BTC", "--json")
    assert capsys.readouterr().out == ""
