"""Profile raw: margin, the venue's filters and reduce-only, and nothing else."""

from datetime import timedelta

import pytest

from risk.domain import Code, Tempo, TradingState
from risk.engine import review
from risk.profiles import profile
from risk.sizing import EntryWish, size_entry
from tests.risk.build import (
    BTC,
    ETH,
    LONG,
    NOW,
    SHORT,
    SPOT,
    D,
    context,
    entry,
    instrument,
    leave,
    open_limits,
    position,
    quote,
    resting,
    rule_on,
)

FEE = D("0.001")
COSTLY = {BTC: instrument(taker_fee=FEE), ETH: instrument(ETH, taker_fee=FEE)}


def raw_entry(where, side=LONG, symbol=BTC, size="1", **wish):
    limits = profile("raw", size=size)
    intent = size_entry(EntryWish(symbol=symbol, side=side, **wish), where, limits)
    return intent, rule_on(intent, where, limits)


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_all_equity_at_one_times_passes_exactly(side):
    intent, ruling = raw_entry(context(instruments=COSTLY), side)

    assert ruling.approved == intent
    assert (intent.quote_quantity, intent.quantity, intent.leverage) == (10_000, 0, 1)
    assert ruling.clamps == ()


@pytest.mark.parametrize(
    ("size", "leverage"), [("0.25", 1), ("1", 1), ("1.1", 2), ("2", 2), ("2.5", 3)]
)
def test_leverage_carries_the_size(size, leverage):
    _, ruling = raw_entry(context(instruments=COSTLY), size=size)

    assert ruling.approved.leverage == leverage
    assert Code.MAX_LEVERAGE not in [clamp.code for clamp in ruling.clamps]


@pytest.mark.parametrize("money", ["0", "-5"])
def test_no_money_is_no_size(money):
    wish = entry(quantity="0", quote_quantity=D(money), leverage=D(1))

    assert rule_on(wish, context(), profile("raw")).denial.code is Code.NO_SIZE


def test_the_leverage_of_a_raw_entry_follows_from_the_size_alone():
    wish = entry(quantity="0", quote_quantity=D(100), leverage=D(1))

    ruling = rule_on(wish, context(), profile("raw", size="3"))

    assert (ruling.approved.leverage, ruling.clamps) == (3, ())


def test_leverage_is_at_most_the_instrument_s():
    where = context(instruments={BTC: instrument(max_leverage=D(2))})

    _, ruling = raw_entry(where, size="5")

    assert ruling.approved.leverage == 2
    assert ruling.approved.quote_quantity == 20_000
    assert [str(clamp) for clamp in ruling.clamps] == [
        "MAX_LEVERAGE wanted=5 allowed=2",
        "AVAILABLE_MARGIN wanted=50000 allowed=20000",
    ]


def test_money_is_held_to_what_margin_and_fee_can_pay():
    _, ruling = raw_entry(context(instruments=COSTLY), size="3")

    money = ruling.approved.quote_quantity or D(0)
    notional = money / (1 + FEE)
    assert 0 <= 10_000 - (notional / 3 + notional * FEE) < D("1E-7")
    assert [clamp.code for clamp in ruling.clamps] == [Code.AVAILABLE_MARGIN]


def test_nothing_that_is_no_fact_stands_in_the_way():
    where = context(
        [position(1, ETH)],
        quotes={s: quote(s, at=NOW - timedelta(days=1), ask=D(200)) for s in (BTC, ETH)},
        prompt_marks={},
        tempo=Tempo(entries_today=999, opens_this_cycle=99, stopped_at={BTC: NOW}),
    )

    intent, ruling = raw_entry(where, size="0.5", stop_price=D(1), target_price=D(1))

    assert ruling.approved == intent


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (context(state=TradingState.HALTED), Code.BOT_NOT_ACTIVE),
        (context(equity=D(0)), Code.NO_EQUITY),
        (context(quotes={}), Code.STALE),
        (context(unusable={BTC: "frozen"}), Code.INSTRUMENT_UNUSABLE),
        (context([position(-1)]), Code.FLIP),
        (context(cash=0, equity=D(100)), Code.AVAILABLE_MARGIN),
        (context(cash=4), Code.MIN_SIZE),
        (context(instruments={BTC: instrument(max_quantity=D(99))}), Code.MAX_QUANTITY),
        (context(resting_entries=(resting(LONG, "1", is_unresolved=True),)), Code.ORDER_UNRESOLVED),
    ],
)
def test_facts_do(where, code):
    assert raw_entry(where)[1].denial.code is code


def test_spot_has_no_shorts_and_no_leverage():
    assert raw_entry(context(), SHORT, SPOT)[1].denial.code is Code.SIDE_NOT_ALLOWED
    assert raw_entry(context(), LONG, SPOT)[1].approved.leverage == 1


def test_adding_is_allowed_while_money_lasts():
    where = context([position(50, leverage=1)])

    intent, ruling = raw_entry(where, size="0.5")
    assert ruling.approved == intent
    _, ruling = raw_entry(where)
    assert ruling.approved.quote_quantity == 5_000


def test_two_entries_share_the_cash():
    where, limits = context(instruments=COSTLY), profile("raw", size="0.75")
    intents = [
        size_entry(EntryWish(symbol=symbol, side=LONG), where, limits) for symbol in (BTC, ETH)
    ]

    first, second = review(intents, where, limits).rulings

    assert first.approved == intents[0]
    assert abs((second.approved.quote_quantity or 0) - 2_500) < D("1E-6")


def test_a_raw_entry_by_quantity_is_held_to_cash():
    ruling = rule_on(entry(quantity="2000", leverage=D(10)), context(), profile("raw"))

    assert ruling.approved.quantity == 1000


def test_a_close_is_reduce_only_under_raw_too():
    ruling = rule_on(leave("5"), context([position(3)]), profile("raw"))

    assert ruling.approved == leave("3")


def test_money_is_a_size_under_other_profiles_too():
    wish = entry(quantity="0", quote_quantity=D(1_001), leverage=D(5))

    approved = rule_on(wish, context(instruments=COSTLY), open_limits()).approved

    assert (approved.quantity, approved.quote_quantity) == (10, None)  # 1,000 and the fee of 1
