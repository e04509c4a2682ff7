"""The examples of docs/check-decision.md through a whole cycle: prompt, reply, plan, verdict, orders, record.

What the page says would become of a reply is what becomes of it.
"""

import json
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from bots.cycle import run_cycle
from bots.domain.records import CycleRecord
from llm.providers.scripted import ScriptedChat
from llm.traders.llm_trader import LLMTrader
from market.domain.enums import OrderPurpose
from market.domain.instruments import Instrument, margin_tiers
from market.venues.default_instruments import default_instrument
from risk.domain import Limits
from risk.profiles import profile
from tests.bots.desks import Stand, stand

pytestmark = pytest.mark.usefixtures("either_ledger")
EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
SELLS = json.dumps(
    {"decisions": [{"symbol": ETH, "action": "sell_to_enter", "confidence": 0.8, "notional": 3404.21,
                    "leverage": 10, "stop_loss": 1150, "take_profit": 900}]}
)  # fmt: skip


def reply(example: str) -> str:
    return (EXAMPLES / example / "reply.json").read_text(encoding="utf-8")


def listed(symbol: str, **changes: Any) -> Instrument:
    """The built-in instrument with some fields otherwise."""
    known = default_instrument(symbol)
    names = known.__dataclass_fields__
    return Instrument(**{name: getattr(known, name) for name in names} | changes)


def desk_of(limits: Limits, prices: dict[Instrument, str], *replies: str) -> Stand:
    """A desk whose model gives these replies, one a cycle."""
    s = stand(limits, prices=prices)
    object.__setattr__(s.desk, "trader", LLMTrader(chat=ScriptedChat(lines=replies)))
    return s


def denied(record: CycleRecord) -> list[str]:
    assert record.verdict is not None
    return [str(one) for one in record.verdict.denials]


@pytest.mark.parametrize(("fee", "ratio"), [("0", D("0.1")), ("0.0005", D(0))])
def test_a_target_that_is_not_worth_its_risk(fee, ratio) -> None:
    """Entry 100,000, stop 99,000, target 100,100, and 2 for 1 is asked."""
    btc = listed(BTC, taker_fee=D(fee))
    s = desk_of(profile("conservative"), {btc: "100000"}, reply("reward-to-risk"))

    record = run_cycle(s.desk, "1")

    assert record.verdict is not None
    [denial] = record.verdict.denials
    assert (denial.code, denial.context["needed"]) == ("REWARD_RISK", "2")
    assert round(D(denial.context["ratio"]), 3) == ratio
    assert [code for _, code in codes(s)] == ["REWARD_RISK"]
    assert not s.ledger.orders and not s.broker.submitted and not s.ledger.book.positions


def test_a_stop_past_liquidation() -> None:
    """A short of 3.03 at 1123.5, 10×, which is liquidated at 1176.68: a stop at 1178.69 would sleep through it.

    (C + M) ÷ (q (1 + r)) = (3404.205 + 340.4205) ÷ (3.03 × 1.050285) = 1176.68.
    """
    eth = listed(ETH, margin_tiers=margin_tiers((None, "0.050285")), taker_fee=D("0.0005"))
    limits = profile(
        "aggressive", stop_to_liquidation_fraction=None, risk_per_trade_fraction="0.05"
    )
    s = desk_of(limits, {eth: "1123.5"}, reply("stop-past-liquidation"))

    record = run_cycle(s.desk, "1")

    [said] = denied(record)
    assert said.startswith("STOP_PAST_LIQUIDATION stop=1178.69 liquidation=1176.68")
    assert not s.ledger.orders and not s.broker.submitted


def test_a_good_close_beside_a_bad_entry() -> None:
    prices = {listed(BTC): "100000", listed(ETH): "1123.5"}
    s = desk_of(profile("aggressive"), prices, SELLS, reply("close-and-bad-entry"))
    run_cycle(s.desk, "1")
    held = s.ledger.book.positions[ETH].quantity
    assert held < 0
    s.tick()

    record = run_cycle(s.desk, "2")

    assert denied(record) == ["STOP_WRONG_SIDE stop=101000 mark=100000"]
    assert not s.ledger.book.positions and not s.ledger.book.open_orders
    [close] = [one for one in s.ledger.orders.values() if one.purpose is OrderPurpose.CLOSE]
    assert close.filled_quantity == -held and close.reduce_only
    assert record.order_ids == (close.client_order_id,)
    assert [(symbol, code) for symbol, code in codes(s)] == [(BTC, "STOP_WRONG_SIDE")]


def codes(s: Stand) -> list[tuple[str, str]]:
    """What the ledger keeps of denials."""
    return [(denial.symbol, denial.code) for _, denial in s.ledger.denials]
