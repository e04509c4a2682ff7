"""What would become of a reply: the very parser, planner and veto, on documents that are strict."""

import json
from decimal import Decimal as D
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from bots import models
from bots.lab.management.commands.check_decision import lines_of
from llm.models import LLMCall
from risk.models import RiskProfile
from risk.services import change_profile, copy_profile
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
NO_FEE = {"taker_fee": "0"}
SHORT = {
    "symbol": ETH, "side": "SHORT", "quantity": "3.03", "entry_price": "1123.5", "leverage": 10,
}  # fmt: skip


def item(action: str, symbol: str = BTC, **fields: Any) -> dict[str, Any]:
    return {"symbol": symbol, "action": action, **fields}


def buy(**fields: Any) -> dict[str, Any]:
    wish = {
        "confidence": 0.8, "risk_fraction": 0.01, "leverage": 3, "stop_loss": 99_000,
        "take_profit": 103_000,
    }  # fmt: skip
    return item("buy_to_enter", **{**wish, **fields})


def market(*instruments: dict[str, Any], **fields: Any) -> dict[str, Any]:
    listed = instruments or ({"symbol": BTC, "mark": 100_000, "instrument": NO_FEE},)
    return {"as_of": "2026-01-31T12:00:00Z", "instruments": list(listed), **fields}


@pytest.fixture
def checked(tmp_path: Path):
    """The report, or the exit code and the report where there is no decision."""

    def check(reply: Any, account: Any, snapshot: Any, *options: str) -> Any:
        text = reply if isinstance(reply, str) else json.dumps({"decisions": reply})
        files = {"reply": text, "account": json.dumps(account), "snapshot": json.dumps(snapshot)}
        arguments = []
        for name, content in files.items():
            path = tmp_path / name
            path.write_text(content, encoding="utf-8")
            arguments += [f"--{name}", str(path)]
        out = StringIO()
        try:
            call_command("check_decision", *arguments, *options, "--json", stdout=out)
        except SystemExit as end:
            return end.code, json.loads(out.getvalue())
        return json.loads(out.getvalue())

    return check


def codes(report: Any) -> list[str]:
    return [denial["code"] for one in report["verdicts"] for denial in one["denials"]]


def test_an_order_that_would_leave_is_told_whole(checked) -> None:
    report = checked([buy()], {"cash": 10_000}, market())

    [order] = report["orders"]
    assert (report["outcome"], order["side"], order["quantity"]) == ("DECIDED", "LONG", "0.05")
    assert (order["leverage"], order["stop_price"], order["target_price"]) == ("3", "99000", "103000")  # fmt: skip
    assert [one["verdict"] for one in report["verdicts"]] == ["clamped"]
    assert report["verdicts"][0]["clamps"][0]["code"] == "POSITION_NOTIONAL"
    assert not models.Order.objects.exists() and not LLMCall.objects.exists()


@pytest.mark.parametrize(("fee", "ratio"), [("0", D("0.1")), ("0.0005", D(0))])
def test_reward_to_risk_is_measured_after_fees(checked, fee, ratio) -> None:
    listed = {"symbol": BTC, "mark": 100_000, "instrument": {"taker_fee": fee}}
    report = checked(
        [buy(take_profit=100_100)], {"cash": 10_000}, market(listed), "--profile", "conservative"
    )

    [verdict] = report["verdicts"]
    [denial] = verdict["denials"]
    assert (verdict["verdict"], denial["code"]) == ("denied", "REWARD_RISK")
    assert round(D(denial["context"]["ratio"]), 3) == ratio and not report["orders"]
    assert denial["context"]["needed"] == "2"


@pytest.mark.parametrize("how", ["held", "of the symbol"])
def test_a_stop_past_the_venue_s_own_liquidation_price_is_denied(checked, how) -> None:
    """Ours would be 1,223: the venue is the truth where it is nearer."""
    seen = market({"symbol": ETH, "mark": "1123.5"})
    if how == "held":
        account = {"cash": 10_000, "positions": [{**SHORT, "liquidation_price": "1176.68"}]}
        reply = [item("adjust", ETH, stop_loss=1178.69)]
    else:
        account = {"cash": 10_000, "liquidation_prices": {ETH: "1176.68"}}
        wish = {"notional": 3404.2, "leverage": 10, "confidence": 0.8, "take_profit": 900}
        reply = [item("sell_to_enter", ETH, stop_loss=1178.69, **wish)]

    report = checked(reply, account, seen)

    assert codes(report) == ["STOP_PAST_LIQUIDATION"]
    context = report["verdicts"][0]["denials"][0]["context"]
    assert (context["stop"], context["liquidation"]) == ("1178.69", "1176.68")
    assert report["orders"] == report["protection"] == []


def test_without_the_venue_s_price_ours_counts(checked) -> None:
    report = checked(
        [item("adjust", ETH, stop_loss=1178.69)],
        {"cash": 10_000, "positions": [SHORT]},
        market({"symbol": ETH, "mark": "1123.5"}),
    )
    assert codes(report) == [] and report["protection"][0]["stop_price"] == "1178.69"


def test_a_close_goes_and_a_bad_open_beside_it_does_not(checked) -> None:
    report = checked(
        [item("close", ETH), buy(stop_loss=101_000)],
        {"cash": 10_000, "positions": [SHORT]},
        market({"symbol": BTC, "mark": 100_000}, {"symbol": ETH, "mark": "1123.5"}),
    )

    assert [(one["purpose"], one["verdict"]) for one in report["verdicts"]] == [
        ("CLOSE", "approved"), ("ENTRY", "denied"),
    ]  # fmt: skip
    assert codes(report) == ["STOP_WRONG_SIDE"]
    assert [(one["purpose"], one["quantity"]) for one in report["orders"]] == [("CLOSE", "3.03")]


def test_a_price_that_moved_since_it_was_shown(checked) -> None:
    listed = {"symbol": BTC, "mark": 100_000, "shown": 98_000, "instrument": NO_FEE}

    assert codes(checked([buy()], {"cash": 10_000}, market(listed))) == ["PRICE_MOVED"]


def test_limits_can_be_set_otherwise(checked) -> None:
    given = ("--set", "min_confidence=0.9", "--set", "max_leverage=none")
    assert codes(checked([buy()], {"cash": 10_000}, market(), *given)) == ["MIN_CONFIDENCE"]


def test_who_may_not_open_closes_all_the_same(checked) -> None:
    account = {"cash": 10_000, "positions": [SHORT], "state": "REDUCING"}
    seen = market({"symbol": BTC, "mark": 100_000}, {"symbol": ETH, "mark": "1123.5"})

    report = checked([buy(), item("close", ETH)], account, seen)

    assert [one["purpose"] for one in report["orders"]] == ["CLOSE"]
    assert len(codes(report)) == 1


def test_a_reply_without_a_decision_says_why(checked) -> None:
    code, report = checked("I would buy it all!", {"cash": 10_000}, market())

    assert (code, report["outcome"], report["verdicts"]) == (1, "UNREADABLE", [])
    assert report["reason"]


def test_words_for_people(tmp_path: Path) -> None:
    for name, content in {
        "r": json.dumps({"summary": "Up.", "decisions": [buy()]}),
        "a": '{"cash": 10000}',
        "m": json.dumps(market()),
    }.items():
        (tmp_path / name).write_text(content)
    out = StringIO()
    call_command(
        "check_decision", "--reply", str(tmp_path / "r"), "--account", str(tmp_path / "a"),
        "--snapshot", str(tmp_path / "m"), stdout=out,
    )  # fmt: skip
    assert out.getvalue().splitlines() == [
        "DECIDED", "Up.", f"wants buy_to_enter {BTC}", f"clamped  ENTRY      {BTC}",
        "         POSITION_NOTIONAL wanted=0.08 allowed=0.05",
        f"order    ENTRY LONG 0.05 {BTC} near 100000, 3×, stop 99000, target 103000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("account", "snapshot", "sentence"),
    [
        ({}, market(), "the account: cash: it is missing"),
        ({"cash": "NaN"}, market(), "the account: cash: it must be a finite number"),
        ({"cash": "-1"}, market(), "the account: cash: it must be at least 0"),
        ({"cash": "1e999999"}, market(), "the account: cash: it must be at most 1E+15"),
        ({"cash": True}, market(), "the account: cash: it must be a number"),
        ({"cash": "much"}, market(), "the account: cash: it must be a number"),
        ({"cash": 1, "leverage": 5}, market(), "the account: leverage: there is no such field"),
        ({"cash": 1, "state": "FINE"}, market(), "the account: state: it must be 'ACTIVE', 'REDUCING'"),
        ({"cash": 1, "positions": {}}, market(), "the account: positions: it must be a list"),
        ({"cash": 100, "positions": [{**SHORT, "leverage": "1e9"}]}, market(), "leverage: it must be at most 1000"),
        (
            {"cash": 100, "positions": [{**SHORT, "entry_price": 1000}]}, market({"symbol": ETH, "mark": 2000}),
            "the account: its equity is -2930: what is held has lost more than the wallet has",
        ),
        ([], market(), "the account: the whole: it must be an object"),
        ({"cash": 1, "positions": [SHORT]}, market(), f"{ETH} is held, and the snapshot has no price"),
        ({"cash": 1}, market(instruments=[]), "the snapshot: instruments: it must not be empty"),
        ({"cash": 1}, market({"symbol": BTC, "mark": -1}), "instruments.0.mark: it must be at least 1E-15"),
        ({"cash": 1}, market({"symbol": BTC, "mark": "1e300"}), "instruments.0.mark: it must be at most 1E+15"),
        ({"cash": 1}, market({"symbol": BTC, "mark": 1, "bid": 3, "ask": 2}), "above its ask"),
        ({"cash": 1}, market({"symbol": "GONE/USDT:USDT", "mark": 1}), "no built-in description"),
        ({"cash": 1}, market({"symbol": BTC, "mark": 1, "instrument": {"tick": 1}}), "unknown field 'tick'"),
        ({"cash": 1}, market({"symbol": BTC, "mark": 1}, {"symbol": BTC, "mark": 1}), "stands there twice"),
        ({"cash": 1}, market(as_of="2026-01-31T12:00:00"), "needs a time zone"),
    ],
)  # fmt: skip
def test_documents_that_can_t_be_reckoned_with(checked, account, snapshot, sentence) -> None:
    with pytest.raises(CommandError) as refused:
        checked([buy()], account, snapshot)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--profile", "reckless"), "no risk profile 'reckless'"),
        (("--set", "max_leverage"), "is not LIMIT=VALUE"),
        (("--set", "no_such=1"), "no limit is called 'no_such'"),
        (("--set", "max_leverage=much"), "max_leverage"),
        (("--account", "/no/such/file"), "can't be read"),
    ],
)
def test_options_that_can_t_be(checked, options, sentence) -> None:
    with pytest.raises(CommandError) as refused:
        checked([buy()], {"cash": 1}, market(), *options)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b'{"cash": ', "is no JSON: "),
        (b"[" * 100_000 + b"]" * 100_000, "is nested too deeply to be read"),
        (b'{"cash": ' + b"9" * 5_000 + b"}", "the account: cash: it must be at most 1E+15"),
        (b'{"cash": NaN}', "the account: cash: it must be a finite number"),
        (b"\xff\xfe\x00", "is no UTF-8 text"),
        (b" " * 1_000_001, "is longer than 1000000 bytes"),
        (None, "can't be read: No such file or directory"),
    ],
    ids=["cut off", "deep", "long number", "NaN", "binary", "large", "missing"],
)
def test_a_file_that_can_t_be_used_is_one_sentence(tmp_path, checked, content, sentence) -> None:
    file = tmp_path / "given.json"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(CommandError) as refused:
        checked([buy()], {}, market(), "--account", str(file))

    assert sentence in str(refused.value) and "\n" not in str(refused.value)
    assert refused.value.returncode != 0


def test_a_profile_of_one_s_own(checked) -> None:
    ann = User.objects.create_user("ann@example.org")
    row = copy_profile(RiskProfile.objects.get(owner=None, name="balanced"), ann, "Mine")
    change_profile(row, {"min_confidence": "0.9"}, by=ann)
    mine = ("--profile", "Mine", "--owner", "ann@example.org")

    assert codes(checked([buy()], {"cash": 10_000}, market(), *mine)) == ["MIN_CONFIDENCE"]
    off = ("--set", "min_confidence=none")
    assert codes(checked([buy()], {"cash": 10_000}, market(), *mine, *off)) == []
    for wrong, sentence in (
        (("--profile", "Mine"), "no risk profile 'Mine'"),
        (("--profile", "Other", "--owner", "ann@example.org"), "there is no risk profile 'Other'"),
        (("--profile", "Mine", "--owner", "bob@example.org"), "there is no user 'bob@example.org'"),
    ):
        with pytest.raises(CommandError, match=sentence):
            checked([buy()], {"cash": 10_000}, market(), *wrong)


def test_a_raw_profile_orders_for_money(checked) -> None:
    report = checked([buy()], {"cash": 10_000}, market(), "--profile", "raw")

    assert report["orders"][0]["quote_quantity"] == "10000"
    assert (
        "order    ENTRY LONG 10000 worth of BTC/USDT:USDT near 100000, 1×" in lines_of(report)[-1]
    )
