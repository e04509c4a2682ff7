"""Sentences about what a bot did: true to what came of its wishes, for every action, fate, code and outcome."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.domain.entries import ClosedTrade, ExitReason
from bots.domain.records import CycleOutcome
from bots.pages.stories import HELD, Story, exit_story, feed, fold, stories_of, story_of
from bots.pages.verdicts import CLAMPED, VerdictKind, verdicts_of
from bots.queries.feed import Doings, SentOrder
from bots.queries.history import CycleLine
from llm.domain import DecisionOutcome
from market.domain.enums import OrderPurpose, OrderSide, OrderStatus, PositionSide
from risk.domain import Code, TradingState

BOT, OTHER = UUID(int=1), UUID(int=2)
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"


def cycle(minute: int = 0, **values: Any) -> CycleLine:
    at = AT + minute * MINUTE
    usual: dict[str, Any] = {
        "id": uuid4(), "slot": str(minute), "status": "DONE", "outcome": CycleOutcome.DECIDED, "reason": "",
        "trading_state": TradingState.ACTIVE, "started_at": at, "ended_at": at + MINUTE / 2, "trader": "t",
        "decision": "DECIDED", "summary": "", "actions": (), "denials": (), "clamps": (), "order_ids": (),
        "equity": D(1), "llm_cost": D(0), "profile": "balanced v1",
    }  # fmt: skip
    return CycleLine(**{**usual, **values})


def wish(action: str, symbol: str = BTC, **said: Any) -> dict[str, Any]:
    return {"symbol": symbol, "action": action, "confidence": "0.7", **said}


def denial(code: str, symbol: str = BTC, **context: str) -> dict[str, Any]:
    return {"symbol": symbol, "code": code, "context": context}


def order(purpose: str = "ENTRY", symbol: str = BTC, **values: Any) -> SentOrder:
    usual: dict[str, Any] = {
        "symbol": symbol, "base": symbol[:3], "purpose": OrderPurpose(purpose), "side": OrderSide.BUY,
        "status": OrderStatus.FILLED, "reason": "", "quantity": D("0.12"), "filled": D("0.12"),
        "leverage": D(5), "stop": D(41200), "target": D(45000),
    }  # fmt: skip
    return SentOrder(**{**usual, **values})


def trade(
    minute: int = 0, reason: str = "CLOSE", net: str = "12.3", symbol: str = BTC
) -> ClosedTrade:
    at = AT + minute * MINUTE
    return ClosedTrade(
        symbol=symbol, side=PositionSide.LONG, opened_at=at - MINUTE, closed_at=at, quantity=D(1),
        entry_price=D(1), exit_price=D(1), realized_pnl=D(net), fees=D(0), funding=D(0),
        adjustments=D(0), net_pnl=D(net), exit_reason=ExitReason(reason),
    )  # fmt: skip


NOT_FILLED: dict[str, Any] = {"filled": D(0), "status": OrderStatus.EXPIRED}

WISHES: list[tuple[str, list[Any], list[Any], list[Any], list[Any]]] = [
    ("Opened a long of 0.12 BTC at 5×, stop 41,200, target 45,000",
     [wish("buy_to_enter")], [order()], [], []),
    ("Opened a short of 0.12 BTC", [wish("sell_to_enter")],
     [order(leverage=D(1), stop=None, target=None)], [], []),
    ("Opened a long of 0.05 of 0.12 BTC at 5×, stop 41,200, target 45,000",
     [wish("buy_to_enter")], [order(filled=D("0.05"), status=OrderStatus.EXPIRED)], [], []),
    ("Wanted to open a long of BTC, denied", [wish("buy_to_enter")], [], [denial("REWARD_RISK")], []),
    ("Wanted to open a short of BTC, and nothing came of it", [wish("sell_to_enter")], [], [], []),
    ("Tried to open a long of BTC, and nothing filled at its price",
     [wish("buy_to_enter")], [order(**NOT_FILLED)], [], []),
    ("Tried to open a long of BTC, the venue refused: MIN_NOTIONAL", [wish("buy_to_enter")],
     [order(filled=D(0), status=OrderStatus.REJECTED, reason="MIN_NOTIONAL")], [], []),
    ("Closed BTC to turn it into a short", [wish("sell_to_enter")], [order("CLOSE")], [], []),
    ("Closed the long of BTC, +12.30", [wish("close")], [order("CLOSE", side=OrderSide.SELL)], [], [trade()]),
    ("Closed the short of BTC", [wish("close")], [order("CLOSE")], [], []),
    ("Closed 0.05 of the long of BTC", [wish("close")],
     [order("CLOSE", side=OrderSide.SELL, filled=D("0.05"))], [], []),
    ("Wanted to close BTC, denied", [wish("close")], [], [denial("MIN_HOLD")], []),
    ("Tried to close BTC, and nothing filled at its price", [wish("close")], [order("CLOSE", **NOT_FILLED)], [], []),
    ("Closed 0.12 of the long of BTC", [wish("reduce", fraction="0.5")],
     [order("REDUCE", side=OrderSide.SELL)], [], []),
    ("Wanted to reduce BTC, and nothing came of it", [wish("reduce", fraction="0.5")], [], [], []),
    ("Moved the stop of BTC to 41,200 and its target to 45,000",
     [wish("adjust", stop="41200", target="45000", approved=True)], [], [], []),
    ("Moved the target of BTC to 45,000; wanted its stop at 41,200, denied",
     [wish("adjust", stop="41200", target="45000", approved=True)], [], [denial("STOP_WIDENED")], []),
    ("Wanted to move the stop of BTC to 41,200, denied",
     [wish("adjust", stop="41200", approved=False)], [], [denial("STOP_WIDENED")], []),
    ("Wanted to move the stop of BTC to 41,200, and nothing came of it", [wish("adjust", stop="41200")], [], [], []),
    ("Wanted to adjust BTC, and nothing came of it", [wish("adjust")], [], [], []),
    ("Closed the long of ETH; opened a long of 0.12 BTC at 5×, stop 41,200, target 45,000",
     [wish("buy_to_enter"), wish("close", ETH)], [order(), order("CLOSE", ETH, side=OrderSide.SELL)], [], []),
    (HELD, [], [], [], []),
]  # fmt: skip


@pytest.mark.parametrize(("title", "actions", "orders", "denials", "trades"), WISHES)
def test_what_came_of_a_wish(title, actions, orders, denials, trades):
    told = story_of(BOT, cycle(actions=tuple(actions), denials=tuple(denials)), orders, trades)

    assert told.title == title
    assert told.act == title[0].lower() + title[1:]
    assert told.is_quiet is (title == HELD)


@pytest.mark.parametrize("status", list(OrderStatus))
def test_an_entry_that_filled_nothing_is_never_told_as_opened(status):
    told = story_of(
        BOT, cycle(actions=(wish("buy_to_enter"),)), [order(filled=D(0), status=status)]
    )

    assert told.title.startswith(
        ("Tried to open a long of BTC, ", "Wanted to open a long of BTC, ")
    )


@pytest.mark.parametrize("outcome", list(CycleOutcome))
@pytest.mark.parametrize("decision", ["", *DecisionOutcome])
def test_every_outcome_has_words(outcome, decision):
    told = story_of(BOT, cycle(outcome=outcome, decision=decision, reason="because of rain"))

    assert told.title != HELD or (outcome, decision) == ("DECIDED", "DECIDED")
    assert told.why == "because of rain"
    assert told.is_quiet


def test_what_a_late_decision_wanted_is_not_told_as_done():
    late = cycle(outcome=CycleOutcome.VENUE_UNAVAILABLE, actions=(wish("buy_to_enter"),))

    assert story_of(BOT, late).title == "Decided, but the venue did not answer any more"


def test_a_cycle_that_was_cut_off():
    gone = cycle(outcome=None, status="ABANDONED", decision="", reason="whoever ran it is gone")

    told = story_of(BOT, gone)

    assert (told.title, told.why) == (
        "Was cut off before its decision was done",
        "whoever ran it is gone",
    )


def test_who_may_only_close_says_so():
    told = story_of(BOT, cycle(trading_state=TradingState.REDUCING))

    assert told.why == "It may only close positions for now."


def test_reasons_are_made_readable():
    summary = "BTC/USDT:USDT: EMA5 crossed below EMA20 at the close of 2026-11-27T11:15:00Z"

    told = story_of(BOT, cycle(actions=(wish("close"),), summary=summary), [order("CLOSE")])

    assert told.why == "BTC: EMA5 crossed below EMA20 at the close of 27 Nov, 11:15 UTC"


# --- what the limits said ----------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(Code))
def test_every_denial_has_plain_words_and_its_code(code):
    denied = cycle(denials=(denial(code, wanted="25", allowed="10"),))

    (said,) = verdicts_of(denied, ())

    assert said.kind is VerdictKind.DENIED
    assert said.code == f"{code} wanted=25 allowed=10"
    assert said.name == code
    assert said.words.endswith(".") and str(code) not in said.words


@pytest.mark.parametrize("code", [*CLAMPED, "SOMETHING_NEW"])
def test_every_clamp_tells_both_numbers(code):
    clamp = {"symbol": BTC, "code": code, "before": "2500", "after": "10"}

    (said,) = verdicts_of(cycle(clamps=(clamp,)), ())

    assert (said.kind, said.code) == (VerdictKind.CLAMPED, f"{code} wanted=2500 allowed=10")
    assert code == "FLIP" or ("2,500" in said.words and "10" in said.words)


def test_a_leverage_reads_as_one():
    clamp = {"symbol": BTC, "code": "MAX_LEVERAGE", "before": "25", "after": "10"}

    (said,) = verdicts_of(cycle(clamps=(clamp,)), ())

    assert said.words == "Wanted a leverage of 25×, held to 10×."


def test_what_was_denied_needs_no_word_of_what_was_clamped_before():
    clamps = tuple(
        {"symbol": one, "code": "MARGIN_USED", "before": "2", "after": "1"} for one in (BTC, ETH)
    )
    told = cycle(clamps=clamps, denials=(denial("MIN_SIZE", BTC),))

    assert [(one.symbol, one.kind) for one in verdicts_of(told, ())] == [
        (ETH, "clamped"),
        (BTC, "denied"),
    ]


def test_limits_over_all_bots_speak_through_the_order():
    text = "ACCOUNT_GROSS_EXPOSURE wanted=1200 allowed=1000"
    sent = order(status=OrderStatus.DENIED, filled=D(0), reason=text)

    told = story_of(BOT, cycle(actions=(wish("buy_to_enter"),)), [sent])

    assert told.title == "Wanted to open a long of BTC, denied"
    (said,) = told.verdicts
    assert (said.code, said.words) == (
        text,
        "All your bots together would have come to 1,200; 1,000 is the most.",
    )
    assert not told.acted


# --- exits without a decision ------------------------------------------------------------------------


@pytest.mark.parametrize("reason", list(ExitReason))
def test_every_way_out_has_words_and_its_result(reason):
    told = exit_story(BOT, trade(reason=reason, net="-23.1"))

    assert "BTC" in told.title and told.title.endswith(", −23.10")
    assert told.cycle_id is None and told.acted


def test_a_stop_is_told_as_one():
    assert exit_story(BOT, trade(reason="STOP", net="-23.1")).title == "Stopped out of BTC, −23.10"


def test_a_trade_that_a_decision_ended_is_told_once():
    closing = cycle(5, actions=(wish("close"),))
    orders = {closing.id: (order("CLOSE", side=OrderSide.SELL),)}

    told = stories_of(BOT, [closing], orders, [trade(5), trade(2, "STOP", "-1")])

    assert [one.title for one in told] == [
        "Closed the long of BTC, +12.30",
        "Stopped out of BTC, −1.00",
    ]


@pytest.mark.parametrize(
    "orders",
    [(), (order("CLOSE", ETH),), (order("CLOSE", **NOT_FILLED),), (order("ENTRY"),)],
)
def test_a_trade_that_ended_beside_a_decision_is_its_own_story(orders):
    beside = cycle(5)

    told = stories_of(BOT, [beside], {beside.id: orders}, [trade(5, "STOP")])

    assert "Stopped out of BTC, +12.30" in [one.title for one in told]


# --- rows of the same ----------------------------------------------------------------------------------


def titles(stories: list[Story]) -> list[tuple[str, int]]:
    return [(one.title, one.times) for one in stories]


def test_holds_in_a_row_fold_into_one():
    cycles = [cycle(minute, summary=f"reason {minute}") for minute in (9, 6, 3)]

    (told,) = fold([story_of(BOT, one) for one in cycles])

    assert (told.times, told.why) == (3, "reason 9")
    assert (told.at, told.since) == (AT + 9 * MINUTE, AT + 3 * MINUTE)
    assert told.cycle_id == cycles[0].id


def test_the_same_denial_again_and_again_folds_whatever_its_numbers():
    cycles = [
        cycle(minute, actions=(wish("buy_to_enter"),), denials=(denial("SPREAD", bid=str(minute)),))
        for minute in (6, 3)
    ]

    assert titles(fold([story_of(BOT, one) for one in cycles])) == [
        ("Wanted to open a long of BTC, denied", 2)
    ]


def test_another_limit_is_another_story():
    codes = ("SPREAD", "COOLDOWN")
    cycles = [cycle(actions=(wish("buy_to_enter"),), denials=(denial(code),)) for code in codes]

    assert len(fold([story_of(BOT, one) for one in cycles])) == 2


def test_what_was_done_never_folds():
    twice = [
        story_of(BOT, cycle(minute, actions=(wish("buy_to_enter"),)), [order()])
        for minute in (3, 0)
    ]

    assert len(fold(twice)) == 2


def doings(
    *cycles: tuple[UUID, CycleLine], trades: Any = (), orders: Mapping[UUID, Any] | None = None,
    complete_since: datetime | None = None,
) -> Doings:  # fmt: skip
    return Doings(cycles=cycles, orders=orders or {}, trades=trades, complete_since=complete_since)


def test_a_feed_of_several_bots_folds_each_apart_and_puts_the_latest_first():
    did = doings(*((bot, cycle(minute)) for minute in (9, 6, 3) for bot in (BOT, OTHER)))

    told = feed(did)

    assert titles(told) == [(HELD, 3), (HELD, 3)]
    assert {one.bot_id for one in told} == {BOT, OTHER}


def test_a_row_whose_beginning_may_be_missing_is_counted_from_below():
    bought = cycle(0, actions=(wish("buy_to_enter"),))
    did = doings(
        *((BOT, cycle(minute)) for minute in (12, 9)), (BOT, bought), (OTHER, cycle(8)),
        orders={bought.id: (order(stop=None, target=None),)}, complete_since=cycle(8).started_at,
    )  # fmt: skip

    mine = [one for one in feed(did) if one.bot_id == BOT]

    assert [(one.title, one.again) for one in mine] == [
        (HELD, "at least 2 times in a row"),
        ("Opened a long of 0.12 BTC at 5×", ""),
    ]


def test_only_the_oldest_row_may_have_begun_before():
    acted = cycle(6, actions=(wish("buy_to_enter"),))
    twice = (
        [(BOT, cycle(minute)) for minute in (12, 9)],
        [(BOT, cycle(minute)) for minute in (3, 0)],
    )
    orders = {acted.id: (order(),)}
    all_there = doings(*twice[0], (BOT, acted), *twice[1], orders=orders)
    cut = doings(
        *twice[0], (BOT, acted), *twice[1], orders=orders, complete_since=cycle(0).started_at
    )

    assert [one.again for one in feed(all_there)] == ["2 times in a row", "", "2 times in a row"]
    assert [one.again for one in feed(cut)] == [
        "2 times in a row",
        "",
        "at least 2 times in a row",
    ]


@pytest.mark.parametrize(
    ("holding", "title"),
    [((), "Stayed out of the market"), ((BTC,), "Kept BTC"), ((BTC, ETH), "Kept BTC and ETH"),
     ((BTC, ETH, "SOL/USDT:USDT"), "Kept BTC, ETH and SOL")],
)  # fmt: skip
def test_what_is_kept_now_is_named(holding, title):
    assert feed(doings((BOT, cycle(3)), (BOT, cycle(0))), {BOT: holding})[0].title == title


def test_what_was_kept_before_an_act_is_not_guessed():
    opened = cycle(3, actions=(wish("buy_to_enter"),))
    did = doings(
        (BOT, cycle(6)),
        (BOT, opened),
        (BOT, cycle(0)),
        orders={opened.id: (order(stop=None, target=None),)},
    )

    assert [one.title for one in feed(did, {BOT: (BTC,)})] == [
        "Kept BTC",
        "Opened a long of 0.12 BTC at 5×",
        HELD,
    ]
