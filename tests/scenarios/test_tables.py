"""One rule a table: candles and scripted decisions in; fills and equity out, each worked out by hand.

Fee 0.1%, no slippage unless said, balanced profile. The usual entry: 1000 of notional at 100 is 10
contracts, stop 95, target 110 (short: stop 105, target 90), decided at the close of bar 0.
"""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal as D
from pathlib import Path

import numpy as np
import pytest

from market.domain.data import FundingSeries, to_milliseconds
from market.venues.sim_venue.settings import SimSettings
from risk.profiles import profile
from tests.scenarios.tables import START, candles, fill_rows, item, play, script, scripted

LONG = item(
    "buy_to_enter", notional=1000, leverage=5, stop_loss=95, take_profit=110, confidence=0.8
)
SHORT = item(
    "sell_to_enter", notional=1000, leverage=5, stop_loss=105, take_profit=90, confidence=0.8
)
BOUGHT = (1, "ENTRY", "BUY", D(10), D(100), D(1))
SOLD = (1, "ENTRY", "SELL", D(10), D(100), D(1))


@dataclass(frozen=True)
class Case:
    """`bars` after the first one, which is always flat at 100; `fills` after the entry."""

    bars: str
    fills: list[tuple[object, ...]]
    equity: str
    answers: tuple[object, ...] = (LONG,)
    entry: tuple[object, ...] | None = BOUGHT
    sim: SimSettings = field(default_factory=SimSettings)
    funding: dict[int, str] | None = None


def sell(bar: int, why: str, price: str, fee: str, quantity: str = "10") -> tuple[object, ...]:
    return (bar, why, "SELL", D(quantity), D(price), D(fee))


def buy(bar: int, why: str, price: str, fee: str, quantity: str = "10") -> tuple[object, ...]:
    return (bar, why, "BUY", D(quantity), D(price), D(fee))


CASES = {
    "the target is met inside a bar": Case(
        "100 104 99 103 \n 103 111 102 109", [sell(2, "TARGET", "110", "1.1")], "10097.9"),
    "the stop is met inside a bar": Case(
        "100 104 99 103 \n 103 104 94 96", [sell(2, "STOP", "95", "0.95")], "9948.05"),
    "a bar opens past the stop": Case(
        "100 104 99 103 \n 93 94 92 93", [sell(2, "STOP", "93", "0.93")], "9928.07"),
    "a bar opens past the target": Case(
        "100 104 99 103 \n 112 113 111 112", [sell(2, "TARGET", "112", "1.12")], "10117.88"),
    "stop and target in one bar: the stop comes first": Case(
        "100 104 99 103 \n 103 111 94 100", [sell(2, "STOP", "95", "0.95")], "9948.05"),
    "stopped on the bar of the entry": Case(
        "100 101 94 96 \n 96 97 95 96", [sell(1, "STOP", "95", "0.95")], "9948.05"),
    "the target on the bar of the entry": Case(
        "100 111 99 110 \n 110 111 109 110", [sell(1, "TARGET", "110", "1.1")], "10097.9"),
    "the open ran away: the entry expires": Case(
        "101 102 100.9 101 \n 101 102 100 101", [], "10000", entry=None),
    "the open is within the slippage cap": Case(
        "100.2 101 100 101 \n 101 102 100 101",
        [sell(3, "END_OF_DATA", "101", "1.01")],  # 10 × 0.8 − 1.002 − 1.01
        "10005.988", entry=(1, "ENTRY", "BUY", D(10), D("100.2"), D("1.002"))),
    "a short meets its target": Case(
        "100 101 97 98 \n 98 99 89 91", [buy(2, "TARGET", "90", "0.9")], "10098.1",
        answers=(SHORT,), entry=SOLD),
    "a short is stopped": Case(
        "100 101 97 98 \n 98 106 97 104", [buy(2, "STOP", "105", "1.05")], "9947.95",
        answers=(SHORT,), entry=SOLD),
    "a short: stop and target in one bar": Case(
        "100 101 97 98 \n 98 106 89 98", [buy(2, "STOP", "105", "1.05")], "9947.95",
        answers=(SHORT,), entry=SOLD),
    "a close is filled at the next open, before the stop of that bar": Case(
        "100 101 99 101 \n 102 103 94 100", [sell(2, "CLOSE", "102", "1.02")], "10017.98",
        answers=(LONG, item("close"))),
    "a reduce leaves the rest to its target": Case(
        "100 101 99 101 \n 102 103 100 102 \n 102 112 101 110",
        [sell(2, "REDUCE", "102", "0.408", "4"), sell(3, "TARGET", "110", "0.66", "6")],
        "10065.932",  # 4 × 2 + 6 × 10 − 1 − 0.408 − 0.66
        answers=(LONG, item("reduce", reduce_fraction=0.4))),
    "an adjusted stop holds from the next bar": Case(
        "100 101 99 101 \n 101 102 97.5 100 \n 100 101 97 98",
        [sell(2, "STOP", "98", "0.98")], "9978.02",
        answers=(LONG, item("adjust", stop_loss=98))),
    "a stop may not be widened": Case(
        "100 101 99 101 \n 101 102 94 100", [sell(2, "STOP", "95", "0.95")], "9948.05",
        answers=(LONG, item("adjust", stop_loss=90))),
    "adding is denied": Case(
        "100 101 99 100 \n 100 101 99 100 \n 100 111 99 110", [sell(3, "TARGET", "110", "1.1")], "10097.9",
        answers=(LONG, LONG)),
    "two items that differ void each other": Case(
        "100 104 99 103 \n 103 104 94 96", [], "10000", entry=None,
        answers=(json.dumps({"decisions": [LONG, SHORT]}),)),
    "a bar without volume fills nothing": Case(
        "100 104 99 103 0 \n 100.1 104 99 103 \n 103 111 102 109",
        [], "10000", entry=None),  # an IOC entry does not wait
    "slippage is paid by the taker": Case(
        "100 104 99 103 \n 103 104 94 96", [sell(2, "STOP", "94.9", "0.949")], "9946.05",
        entry=(1, "ENTRY", "BUY", D(10), D("100.1"), D("1.001")),
        sim=SimSettings(slippage_bps=D(10))),
    "latency of more than a bar skips one": Case(
        "99 100 98 99 \n 100.1 104 99 103 \n 103 111 102 109",
        [sell(3, "TARGET", "110", "1.1")], "10096.899",
        entry=(2, "ENTRY", "BUY", D(10), D("100.1"), D("1.001")),
        sim=SimSettings(latency=timedelta(minutes=61))),
    "funding is paid on what was held before": Case(
        "100 104 99 103 \n 103 111 102 109", [sell(2, "TARGET", "110", "1.1")], "10096.87",
        funding={1: "0.5", 2: "0.001"}),  # bar 1: nothing held yet; bar 2: 10 × 103 × 0.001
    "a short receives funding": Case(
        "100 101 97 98 \n 98 99 89 91", [buy(2, "TARGET", "90", "0.9")], "10099.08",
        answers=(SHORT,), entry=SOLD, funding={2: "0.001"}),
}  # fmt: skip


@pytest.mark.parametrize("jump", [True, False], ids=["jump", "walk"])
@pytest.mark.parametrize("name", CASES)
def test_table(name: str, jump: bool, tmp_path: Path) -> None:
    case = CASES[name]
    series = candles(f"100 100 100 100\n{case.bars}\n")
    answers = script(*case.answers)  # type: ignore[arg-type]
    funding = None
    if case.funding is not None:
        first, hour = to_milliseconds(START), 3_600_000
        funding = FundingSeries(
            at=np.array([first + bar * hour for bar in case.funding], dtype=np.int64),
            rates=tuple(D(rate) for rate in case.funding.values()),
        )
    result = play(
        series,
        scripted(tmp_path, answers),
        profile("balanced"),
        sim=case.sim,
        funding=funding,
        jump=jump,
    )
    assert fill_rows(result) == ([case.entry] if case.entry else []) + case.fills
    assert result.final_equity == D(case.equity)
    assert result.identity_error == 0
    assert not result.ledger.book.open_orders
