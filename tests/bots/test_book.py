"""P1 on the book: whatever the venue reports, the identity is exact and a refold finds no difference."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.cycle import mark
from bots.domain.book import Book, fold_new_orders, fold_order_report, fold_status
from bots.domain.bot import client_order_id
from bots.domain.entries import EntryKind, ExitReason, NoticeKind
from bots.memory_ledger import MemoryLedger, scaled_equity
from market.domain.account import Account
from market.domain.enums import (
    FillReason,
    InstrumentKind,
    OrderPurpose,
    OrderSide,
    OrderStatus,
    OrderType,
)
from market.domain.orders import (
    Adjustment,
    Fill,
    FundingPayment,
    IllegalTransition,
    Order,
    OrderReport,
    VenueReport,
)
from tests.bots.desks import START, stand
from tests.scenarios.tables import SYMBOL, instrument

TRADED = {SYMBOL: instrument()}
MINUTE = timedelta(minutes=1)


def fill(
    number: int, side: str, quantity: str, price: str, *, fee: str = "0", order: str | None = None,
    reason: FillReason = FillReason.ORDER,
) -> OrderReport:  # fmt: skip
    made = Fill(
        venue_trade_id=f"t{number}", client_order_id=order, symbol=SYMBOL, side=OrderSide(side),
        quantity=D(quantity), price=D(price), fee=D(fee), fee_currency="USDT",
        at=START + number * MINUTE, reason=reason,
    )  # fmt: skip
    return OrderReport(at=made.at, symbol=SYMBOL, client_order_id=order, fill=made)


steps = st.one_of(
    st.tuples(
        st.just("fill"),
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 5000),
        st.integers(100, 20000),
        st.integers(-500, 5000),
    ),
    st.tuples(st.just("funding"), st.integers(-(10**9), 10**9)),
    st.tuples(st.just("adjustment"), st.integers(-(10**9), 10**9)),
    st.tuples(st.just("llm"), st.integers(0, 10**7)),
    st.tuples(st.just("again"), st.integers(0, 50)),
)


@given(st.lists(steps, max_size=40), st.integers(100, 20000))
def test_the_identity_is_exact_after_anything(made: list[tuple], mark: int) -> None:
    ledger = stand().ledger
    sent: list[VenueReport] = []
    report: VenueReport
    for number, step in enumerate(made):
        if step[0] == "fill":
            _, side, quantity, price, fee = step
            report = fill(
                number, side, str(D(quantity) / 100), str(D(price) / 10), fee=str(D(fee).scaleb(-8))
            )
        elif step[0] == "funding":
            report = FundingPayment(
                at=START + number * MINUTE,
                symbol=SYMBOL,
                amount=D(step[1]).scaleb(-8),
                rate=D(0),
                mark_price=D(1),
            )
        elif step[0] == "adjustment":
            report = Adjustment(
                at=START, symbol=SYMBOL, amount=D(step[1]).scaleb(-8), kind="FEE", key=str(number)
            )
        elif step[0] == "llm":
            ledger.charge_llm(START, D(step[1]).scaleb(-8), ok=True, key=str(number))
            continue
        else:  # a report delivered twice is booked once
            if sent:
                before = ledger.book
                ledger.apply([sent[step[1] % len(sent)]], TRADED)
                assert ledger.book == before
            continue
        sent.append(report)
        ledger.apply([report], TRADED)
    book = ledger.book
    account = Account(
        cash=book.cash, positions=book.positions, instruments=TRADED, marks={SYMBOL: D(mark) / 10}
    )
    totals = book.totals
    assert account.equity == (
        totals.deposits - totals.withdrawals + totals.realized_pnl - totals.fees + totals.funding
        + totals.adjustments - totals.llm_cost + account.unrealized_pnl
    )  # fmt: skip
    assert book.cash == sum(entry.amount for entry in ledger.entries)
    assert [entry.sequence for entry in ledger.entries] == list(range(1, len(ledger.entries) + 1))
    refolded = ledger.refolded(TRADED)
    assert (refolded.cash, refolded.positions) == (book.cash, book.positions)
    assert refolded.totals == totals
    assert independent_quantity(ledger) == sum((p.quantity for p in book.positions.values()), D(0))
    for trade in ledger.closed_trades:
        assert trade.net_pnl == trade.realized_pnl - trade.fees + trade.funding + trade.adjustments


def independent_quantity(ledger: MemoryLedger) -> D:
    return sum((f.quantity * f.side.sign for f in ledger.fills), D(0))


def test_a_flip_is_a_close_and_an_open() -> None:
    ledger = stand().ledger
    ledger.apply(
        [fill(1, "BUY", "2", "100", fee="0.2"), fill(2, "SELL", "3", "110", fee="0.33")], TRADED
    )
    (trade,) = ledger.closed_trades
    assert (trade.quantity, trade.realized_pnl, trade.fees) == (D(2), D(20), D("0.42"))
    position = ledger.book.positions[SYMBOL]
    assert (position.quantity, position.entry_cost) == (D(-1), D(110))
    assert ledger.book.totals.fees == D("0.53")


def test_a_partial_close_releases_its_share_of_the_cost() -> None:
    ledger = stand().ledger
    ledger.apply([fill(1, "BUY", "3", "100"), fill(2, "SELL", "1", "103")], TRADED)
    position = ledger.book.positions[SYMBOL]
    assert (position.quantity, position.entry_cost) == (D(2), D(200))
    assert ledger.book.totals.realized_pnl == D(3)
    assert not ledger.closed_trades


@pytest.mark.parametrize(
    ("reason", "kind", "exit_reason"),
    [
        (FillReason.LIQUIDATION, NoticeKind.LIQUIDATION, ExitReason.LIQUIDATION),
        (FillReason.ADL, NoticeKind.LIQUIDATION, ExitReason.ADL),
        (FillReason.EXTERNAL_CLOSE, NoticeKind.EXTERNAL_CLOSE, ExitReason.EXTERNAL_CLOSE),
        (FillReason.FOREIGN, NoticeKind.FOREIGN_FILL, ExitReason.EXTERNAL_CLOSE),
    ],
)
def test_exits_made_by_others_keep_their_reason(reason, kind, exit_reason) -> None:
    ledger = stand().ledger
    ledger.apply([fill(1, "BUY", "1", "100"), fill(2, "SELL", "1", "90", reason=reason)], TRADED)
    assert [n.kind for n in ledger.notices] == [kind]
    assert ledger.closed_trades[0].exit_reason is exit_reason


def sent_order(status: OrderStatus = OrderStatus.ACCEPTED) -> Order:
    return Order(
        client_order_id="a", symbol=SYMBOL, side=OrderSide.BUY, order_type=OrderType.MARKET,
        purpose=OrderPurpose.ENTRY, quantity=D(1), created_at=START, status=status,
    )  # fmt: skip


@pytest.mark.parametrize("ended", [OrderStatus.CANCELED, OrderStatus.EXPIRED])
def test_a_late_fill_is_booked_and_told(ended: OrderStatus) -> None:
    folded = fold_order_report(
        Book(),
        fill(1, "BUY", "1", "100", order="a"),
        sent_order(ended),
        TRADED[SYMBOL],
        "2022-01-03",
    )
    assert folded.order is not None
    assert folded.order.status is OrderStatus.FILLED
    assert folded.book.positions[SYMBOL].quantity == D(1)
    assert [n.kind for n in folded.notices] == [NoticeKind.LATE_FILL]


def test_a_report_that_contradicts_the_order_folds_nothing() -> None:
    book = fold_new_orders(Book(), (sent_order(OrderStatus.INITIALIZED),))
    with pytest.raises(IllegalTransition):
        fold_order_report(
            book,
            fill(1, "BUY", "1", "100", order="a"),
            sent_order(OrderStatus.REJECTED),
            TRADED[SYMBOL],
            "d",
        )
    with pytest.raises(IllegalTransition):
        fold_status(book, sent_order(OrderStatus.FILLED), OrderStatus.SUBMITTED)
    with pytest.raises(ValueError, match="filled 2 of 1"):
        fold_order_report(
            book, fill(1, "BUY", "2", "100", order="a"), sent_order(), TRADED[SYMBOL], "d"
        )


def test_the_venue_wins_over_our_row_and_a_person_is_told() -> None:
    ledger = stand().ledger
    ledger.write_orders([sent_order(OrderStatus.INITIALIZED)])
    ledger.claim([ledger.orders["a"]])
    ledger.apply(
        [fill(1, "BUY", "1", "100", order="a"), fill(2, "BUY", "1", "101", order="a")], TRADED
    )
    assert ledger.book.positions[SYMBOL].quantity == D(2)
    assert ledger.orders["a"].filled_quantity == D(1)
    assert [n.kind for n in ledger.notices] == [NoticeKind.CONTRADICTION]
    assert ledger.refolded(TRADED).positions == ledger.book.positions


def test_a_late_fill_knows_where_to_be_protected() -> None:
    entry = replace(
        sent_order(OrderStatus.EXPIRED), stop_price=D(95), target_price=D(110), note="below 90"
    )
    folded = fold_order_report(
        Book(), fill(1, "BUY", "1", "100", order="a"), entry, TRADED[SYMBOL], "2022-01-03"
    )
    plan = folded.book.plans[SYMBOL]
    assert (plan.stop_price, plan.target_price, plan.invalidation_condition) == (
        D(95),
        D(110),
        "below 90",
    )


def test_entries_are_counted_by_the_owners_day() -> None:
    book, day = Book(), "2022-01-03"
    first = fold_order_report(
        book, fill(1, "BUY", "0.5", "100", order="a"), sent_order(), TRADED[SYMBOL], day
    )
    assert first.order is not None
    again = fold_order_report(
        first.book, fill(2, "BUY", "0.5", "100", order="a"), first.order, TRADED[SYMBOL], day
    )
    assert (first.book.entries_today, again.book.entries_today) == (1, 1)
    tomorrow = fold_order_report(
        again.book,
        fill(3, "BUY", "1", "100", order="a"),
        sent_order(),
        TRADED[SYMBOL],
        "2022-01-04",
    )
    assert (tomorrow.book.entries_today, tomorrow.book.day) == (1, "2022-01-04")


def test_order_ids_are_derived_and_distinct() -> None:
    bot = stand().desk.bot.id
    made = {
        client_order_id(bot, origin, leg, attempt)
        for origin in ("cycle:1", "cycle:2", "position:x")
        for leg in ("A:ENTRY:1", "A:STOP:1")
        for attempt in (1, 2)
    }
    assert len(made) == 12
    assert all(len(order_id) == 32 and order_id.isalnum() for order_id in made)
    assert client_order_id(bot, "cycle:1", "A", 1) == client_order_id(bot, "cycle:1", "A", 1)


def test_an_equity_too_large_for_the_curve_is_refused() -> None:
    assert scaled_equity(D("92233720368.54775807")) == 2**63 - 1
    with pytest.raises(OverflowError, match="63 bits"):
        scaled_equity(D("92233720368.54775808"))


def test_zero_amounts_write_no_entry() -> None:
    ledger = stand().ledger
    ledger.apply([fill(1, "BUY", "1", "100"), fill(2, "SELL", "1", "100")], TRADED)
    assert [entry.kind for entry in ledger.entries] == [EntryKind.DEPOSIT]
    assert START.tzinfo is UTC and isinstance(ledger.opened_at, datetime)


def test_costs_belong_to_the_day_on_which_they_were_booked() -> None:
    s = stand()
    s.tick()
    mark(s.desk)
    tomorrow = START + timedelta(days=1)
    s.ledger.charge_llm(START, D(1), ok=True, key="a")
    s.ledger.charge_llm(tomorrow, D(2), ok=True, key="b")
    assert s.ledger.book.breakers.llm_cost_today == D(2)
    payment = FundingPayment(at=tomorrow, symbol=SYMBOL, amount=D(-3), rate=D(0), mark_price=D(1))
    s.ledger.apply([payment], TRADED)
    assert s.ledger.book.breakers.funding_today == D(-3)


def test_dust_that_is_sold_in_part_keeps_its_rest() -> None:
    coin = instrument(
        symbol="TEST/USDT", kind=InstrumentKind.SPOT, max_leverage=D(1), margin_tiers=(),
        liquidation_fee=D(0), min_quantity=D("0.5"),
    )  # fmt: skip
    book = Book(cash=D(1000))
    for number, side, quantity in ((1, "BUY", "1"), (2, "SELL", "0.8"), (3, "SELL", "0.15")):
        report = fill(number, side, quantity, "100")
        assert report.fill is not None
        made = replace(report.fill, symbol=coin.symbol)
        report = replace(report, symbol=coin.symbol, fill=made)
        book = fold_order_report(book, report, None, coin, "2022-01-03").book
    assert not book.positions
    assert (book.dust[coin.symbol].quantity, book.dust[coin.symbol].entry_cost) == (D("0.05"), D(5))
