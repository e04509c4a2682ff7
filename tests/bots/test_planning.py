"""The decision table of TRADING, row by row: held × said → done."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bots.planning import plan_decision
from llm.domain import Decision, DecisionAction, DecisionItem
from market.domain.account import Account
from market.domain.data import Quote
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.positions import Position
from risk.domain import (
    HeldProtection,
    Limits,
    OrderIntent,
    ProtectionIntent,
    RiskContext,
    TradingState,
)
from risk.profiles import profile
from tests.scenarios.tables import SYMBOL, instrument

D = Decimal
NOW = datetime(2022, 1, 3, tzinfo=UTC)
ACTIONS = DecisionAction


def context(held: str = "0", *, price: str = "100") -> RiskContext:
    traded = instrument()
    quantity = D(held)
    positions = {}
    if quantity:
        cost = abs(quantity) * 100
        positions[SYMBOL] = Position(
            symbol=SYMBOL,
            quantity=quantity,
            entry_cost=cost,
            margin=cost / 5,
            leverage=D(5),
            opened_at=NOW,
        )
    quote = Quote(
        symbol=SYMBOL,
        at=NOW,
        bid=D(price) - D("0.1"),
        ask=D(price) + D("0.1"),
        last=D(price),
        mark=D(price),
    )
    account = Account(
        cash=D(10_000), positions=positions, instruments={SYMBOL: traded}, marks={SYMBOL: D(price)}
    )
    return RiskContext(
        now=NOW, state=TradingState.ACTIVE, account=account, equity=D(10_000), quotes={SYMBOL: quote},
        prompt_marks={SYMBOL: D(price)}, instruments={SYMBOL: traded},
        protection={SYMBOL: HeldProtection(stop_price=D(95), target_price=D(110), opened_at=NOW)},
    )  # fmt: skip


def plan(item: dict, held: str = "0", limits: Limits | None = None):
    values = {
        key: D(value) if isinstance(value, str) and key != "action" else value
        for key, value in item.items()
    }
    decision = Decision(trader="t", items=(DecisionItem(symbol=SYMBOL, **values),))  # type: ignore[arg-type]
    return plan_decision(decision, context(held), limits or profile("balanced"))


ENTRY = {"notional": "1500", "leverage": "5", "stop_loss": "95", "take_profit": "110"}


@pytest.mark.parametrize(
    ("action", "side", "reference"),
    [
        (ACTIONS.BUY_TO_ENTER, PositionSide.LONG, "100.1"),
        (ACTIONS.SELL_TO_ENTER, PositionSide.SHORT, "99.9"),
    ],
)
def test_flat_enters_on_its_side_of_the_book(action, side, reference) -> None:
    (intent,) = plan({"action": action, **ENTRY}).intents
    assert isinstance(intent, OrderIntent)
    assert (intent.purpose, intent.side) == (OrderPurpose.ENTRY, side)
    assert intent.reference_price == D(reference)
    assert intent.quantity == (1500 / D(reference)).quantize(D("0.01"), rounding="ROUND_DOWN")
    assert (intent.stop_price, intent.target_price, intent.leverage) == (D(95), D(110), D(5))


def test_risk_and_notional_take_the_smaller() -> None:
    by_risk = plan(
        {"action": ACTIONS.BUY_TO_ENTER, **ENTRY, "notional": None, "risk_fraction": "0.005"}
    )
    both = plan({"action": ACTIONS.BUY_TO_ENTER, **ENTRY, "risk_fraction": "0.005"})
    risk_unit = (
        D("5.1") + D("0.1001") + D("0.095") + D("0.25025")
    )  # entry 100.1, stop 95, fees, 25 bps
    expected = (50 / risk_unit).quantize(D("0.01"), rounding="ROUND_DOWN")
    assert by_risk.intents[0].quantity == expected
    assert both.intents[0].quantity == min(expected, by_risk.intents[0].quantity)


def test_the_same_side_again_is_stated_for_the_veto_to_judge() -> None:
    (intent,) = plan({"action": ACTIONS.BUY_TO_ENTER, **ENTRY}, held="10").intents
    assert (intent.purpose, intent.side) == (OrderPurpose.ENTRY, PositionSide.LONG)


def test_the_other_side_is_stated_as_it_is_while_flips_are_off() -> None:
    (intent,) = plan({"action": ACTIONS.SELL_TO_ENTER, **ENTRY}, held="10").intents
    assert (intent.purpose, intent.side) == (OrderPurpose.ENTRY, PositionSide.SHORT)


def test_the_other_side_closes_now_where_flips_are_allowed() -> None:
    limits = profile("balanced", allow_flips=True)
    made = plan({"action": ACTIONS.SELL_TO_ENTER, **ENTRY}, held="10", limits=limits)
    (intent,) = made.intents
    assert (intent.purpose, intent.side, intent.quantity) == (
        OrderPurpose.CLOSE,
        PositionSide.LONG,
        D(10),
    )
    assert "next cycle" in made.notes[0]


@pytest.mark.parametrize(
    ("held", "said", "note"),
    [
        ("10", {}, None),
        ("10", {"stop_loss": "95"}, None),
        ("10", {"stop_loss": "96"}, "stop 96"),
        ("10", {"stop_loss": "96", "take_profit": "120"}, "stop 96 and target 120"),
        ("0", {"stop_loss": "96"}, None),
    ],
)
def test_hold_moves_nothing_and_notes_what_differs(held, said, note) -> None:
    made = plan({"action": ACTIONS.HOLD, **said}, held=held)
    assert made.intents == ()
    assert bool(made.notes) == bool(note)
    assert note is None or note in made.notes[0]


@pytest.mark.parametrize("action", [ACTIONS.CLOSE, ACTIONS.REDUCE, ACTIONS.ADJUST])
def test_nothing_held_is_a_recorded_noop(action) -> None:
    made = plan({"action": action, "reduce_fraction": "0.5", "stop_loss": "95"})
    assert made.intents == ()
    assert "NOOP" in made.notes[0]


@pytest.mark.parametrize(
    ("held", "side", "price"), [("10", "LONG", "99.9"), ("-10", "SHORT", "100.1")]
)
def test_close_takes_everything_at_the_other_side_of_the_book(held, side, price) -> None:
    (intent,) = plan({"action": ACTIONS.CLOSE}, held=held).intents
    assert (intent.purpose, intent.side, intent.quantity) == (OrderPurpose.CLOSE, side, D(10))
    assert intent.reference_price == D(price)


@pytest.mark.parametrize(
    ("held", "fraction", "purpose", "quantity"),
    [
        ("10", "0.5", OrderPurpose.REDUCE, "5"),
        ("10", "0.3333", OrderPurpose.REDUCE, "3.33"),  # floored to the step
        ("-10", "0.25", OrderPurpose.REDUCE, "2.5"),
        ("10", "1", OrderPurpose.CLOSE, "10"),
        ("10", "0.999", OrderPurpose.CLOSE, "10"),  # 0.01 would be left: under the minimum notional
    ],
)
def test_reduce(held, fraction, purpose, quantity) -> None:
    (intent,) = plan({"action": ACTIONS.REDUCE, "reduce_fraction": fraction}, held=held).intents
    assert (intent.purpose, intent.quantity) == (purpose, D(quantity))


@pytest.mark.parametrize("fraction", [None, "0.0001"])
def test_a_reduce_of_nothing_is_a_noop(fraction) -> None:
    made = plan({"action": ACTIONS.REDUCE, "reduce_fraction": fraction}, held="10")
    assert made.intents == ()
    assert "NOOP" in made.notes[0]


def test_adjust_moves_stop_and_target_and_no_leverage() -> None:
    made = plan(
        {"action": ACTIONS.ADJUST, "stop_loss": "97", "take_profit": None, "leverage": "9"},
        held="10",
    )
    assert made.intents == (ProtectionIntent(symbol=SYMBOL, stop_price=D(97)),)
    assert "leverage" in made.notes[0]


def test_an_empty_adjust_is_a_noop() -> None:
    made = plan({"action": ACTIONS.ADJUST}, held="10")
    assert made.intents == ()
    assert "NOOP" in made.notes[0]


def test_a_void_symbol_is_left_alone() -> None:
    decision = Decision(
        trader="t", void=(SYMBOL,), items=(DecisionItem(symbol=SYMBOL, action=ACTIONS.CLOSE),)
    )
    made = plan_decision(decision, context("10"), profile("balanced"))
    assert made.intents == ()
    assert "void" in made.notes[0]


def test_raw_spends_a_fraction_of_equity_and_lets_the_venue_count() -> None:
    (intent,) = plan({"action": ACTIONS.BUY_TO_ENTER}, limits=profile("raw", size=D("0.5"))).intents
    assert (intent.quantity, intent.quote_quantity) == (D(0), D(5000))
