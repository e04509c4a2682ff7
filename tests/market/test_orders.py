"""Orders: the transition table, and reports folded into an order."""

# mypy: disable-error-code="comparison-overlap"

from datetime import UTC, datetime
from decimal import Decimal as D
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.enums import (
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
    PositionSide,
)
from market.domain.orders import (
    OPEN_STATUSES,
    TRANSITIONS,
    Fill,
    IllegalTransition,
    Order,
    OrderReport,
    apply_order_report,
    check_transition,
)

NOW = datetime(2022, 1, 1, tzinfo=UTC)
S = OrderStatus

# The table by hand: from, then everything it may become.
TABLE = """
INITIALIZED: DENIED SUBMITTED CANCELED
DENIED:
SUBMITTED: UNKNOWN ACCEPTED TRIGGERED PENDING_CANCEL PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED
UNKNOWN: ACCEPTED TRIGGERED PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED NEVER_ARRIVED
ACCEPTED: TRIGGERED PENDING_CANCEL PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED
TRIGGERED: PENDING_CANCEL PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED
PENDING_CANCEL: UNKNOWN ACCEPTED TRIGGERED PARTIALLY_FILLED FILLED CANCELED EXPIRED
PARTIALLY_FILLED: PENDING_CANCEL PARTIALLY_FILLED FILLED CANCELED EXPIRED
FILLED:
CANCELED: PARTIALLY_FILLED FILLED
REJECTED:
EXPIRED: PARTIALLY_FILLED FILLED
NEVER_ARRIVED: ACCEPTED TRIGGERED PARTIALLY_FILLED FILLED CANCELED REJECTED EXPIRED
"""
LEGAL = {
    (S(before), S(after))
    for line in TABLE.strip().splitlines()
    for before, _, afters in [line.partition(":")]
    for after in afters.split()
}


def order(status: OrderStatus = S.SUBMITTED, quantity: str = "3", filled: str = "0") -> Order:
    return Order(
        client_order_id="a", symbol="X", side=OrderSide.BUY, order_type=OrderType.MARKET, purpose=OrderPurpose.ENTRY,
        quantity=D(quantity), created_at=NOW, status=status, filled_quantity=D(filled), filled_notional=D(filled) * 100,
    )  # fmt: skip


def fill(quantity: str = "1", price: str = "100", name: str = "t1") -> Fill:
    return Fill(
        venue_trade_id=name, client_order_id="a", symbol="X", side=OrderSide.BUY, quantity=D(quantity), price=D(price),
        fee=D(0), fee_currency="USDT", at=NOW,
    )  # fmt: skip


def report(status: OrderStatus | None = None, **fields: object) -> OrderReport:
    values: dict[str, object] = {"at": NOW, "symbol": "X", "client_order_id": "a", "status": status}
    return OrderReport(**(values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(("before", "after"), list(product(S, S)))
def test_every_move_is_legal_or_refused_as_the_table_says(
    before: OrderStatus, after: OrderStatus
) -> None:
    assert set(TRANSITIONS) == set(S)
    if (before, after) in LEGAL:
        check_transition(before, after)
        if before is not after:
            assert order(before).moved(after, reason="why").status is after
    else:
        with pytest.raises(IllegalTransition, match=f"{before} to {after}"):
            check_transition(before, after)
        if before is after:
            assert order(before).moved(after) == order(before)


@pytest.mark.parametrize("before", [S.CANCELED, S.EXPIRED, S.UNKNOWN])
@pytest.mark.parametrize(("quantity", "after"), [("1", S.PARTIALLY_FILLED), ("3", S.FILLED)])
def test_a_late_fill_wins(before: OrderStatus, quantity: str, after: OrderStatus) -> None:
    late = apply_order_report(order(before), report(fill=fill(quantity)))
    assert (late.status, late.filled_quantity) == (after, D(quantity))


@pytest.mark.parametrize("before", [S.DENIED, S.REJECTED, S.INITIALIZED])
def test_what_never_reached_the_book_can_not_fill(before: OrderStatus) -> None:
    with pytest.raises(IllegalTransition):
        apply_order_report(order(before), report(fill=fill("3")))


def test_open_statuses_are_the_ones_that_may_still_rest_or_arrive() -> None:
    assert {
        S.SUBMITTED, S.UNKNOWN, S.ACCEPTED, S.TRIGGERED, S.PENDING_CANCEL, S.PARTIALLY_FILLED,
    } == OPEN_STATUSES  # fmt: skip
    assert order(S.ACCEPTED).is_open
    assert not order(S.EXPIRED).is_open


def test_a_report_of_nothing_changes_nothing_but_what_it_says() -> None:
    assert apply_order_report(order(), report()) == order()
    named = apply_order_report(order(), report(S.ACCEPTED, venue_order_id="v", reason="r"))
    assert (named.status, named.venue_order_id, named.reason) == (S.ACCEPTED, "v", "r")
    assert apply_order_report(named, report(S.ACCEPTED)) == named


def test_the_venue_restates_the_quantity() -> None:
    sized = apply_order_report(order(quantity="0"), report(S.FILLED, fill=fill("2"), quantity=D(2)))
    assert (sized.quantity, sized.status, sized.remaining_quantity) == (2, S.FILLED, 0)


def test_an_expired_order_with_fills_is_a_fill() -> None:
    half = apply_order_report(order(), report(S.PARTIALLY_FILLED, fill=fill("2", "90")))
    ended = apply_order_report(half, report(S.EXPIRED))
    assert (ended.filled_quantity, ended.average_price, ended.remaining_quantity) == (2, 90, 1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_order_id": "b"}, "does not belong"),
        ({"client_order_id": None}, "does not belong"),
        ({"fill": fill("4")}, "filled 4 of 3"),
    ],
)
def test_reports_that_can_not_be(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        apply_order_report(order(), report(**changes))


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 1000)), min_size=1, max_size=8))
def test_filled_quantity_is_the_sum_of_fills(parts: list[tuple[int, int]]) -> None:
    total = sum(quantity for quantity, _ in parts)
    one = order(quantity=str(total))
    assert one.average_price is None
    for number, (quantity, price) in enumerate(parts):
        one = apply_order_report(one, report(fill=fill(str(quantity), str(price), f"t{number}")))
        assert one.status is (S.FILLED if number == len(parts) - 1 else S.PARTIALLY_FILLED)
    assert one.filled_quantity == total == one.quantity
    assert one.average_price == sum(D(q) * p for q, p in parts) / total


def test_words() -> None:
    assert [side.sign for side in OrderSide] == [1, -1]
    assert OrderSide.BUY.opposite is OrderSide.SELL
    assert OrderSide.SELL.opposite is OrderSide.BUY
    assert [side.sign for side in (PositionSide.LONG, PositionSide.SHORT, PositionSide.FLAT)] == [
        1,
        -1,
        0,
    ]
    assert [kind.is_conditional for kind in OrderType] == [False, False, True, True]
    assert {purpose for purpose in OrderPurpose if purpose.is_protection} == {
        OrderPurpose.STOP,
        OrderPurpose.TARGET,
    }
