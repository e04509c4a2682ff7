"""What came of each wish of a decision, in words: "opened a long of 0.12 BTC at 5×, stop 41,200". Pure.

Without a subject and without a capital letter, so that sentences can be made of them. The trap avoided: an
entry that was approved and not filled, told as opened.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from bots.domain.entries import ClosedTrade
from bots.domain.records import CycleOutcome
from bots.queries.feed import SentOrder
from bots.queries.history import CycleLine
from bots.templatetags.figures import leverage, price, quantity, signed_money
from llm.domain import DecisionAction
from market.domain.enums import OrderPurpose, OrderSide, OrderStatus
from market.domain.numbers import ONE, ZERO
from market.domain.orders import OPEN_STATUSES
from risk.domain import Code

_OF_STOP: Final = frozenset({Code.STOP_WRONG_SIDE, Code.STOP_WIDENED, Code.STOP_PAST_LIQUIDATION})
_OF_TARGET: Final = frozenset({Code.TARGET_WRONG_SIDE})
_NOT_LET: Final[Mapping[str, str]] = {
    Code.BOT_NOT_ACTIVE.value: "and was paused or halted before it left",
    "LIVE_TRADING_NOT_ALLOWED": "and real money may not be traded here",
}


def base_of(symbol: str) -> str:
    """BTC of BTC/USDT:USDT."""
    return symbol.partition("/")[0]


def facts_of(
    cycle: CycleLine, orders: Sequence[SentOrder], trades: Sequence[ClosedTrade]
) -> list[str]:
    """What came of each wish of a cycle, exits first, as they are sent. `trades`: those that its exits
    ended. Nothing where no wish was carried out, or none was had."""
    if not cycle.decision or cycle.outcome is not CycleOutcome.DECIDED:
        return []
    wishes = sorted(cycle.actions, key=lambda wish: DecisionAction(wish["action"]).is_entry)
    ended = {trade.symbol: trade for trade in trades}
    return [
        _fact(
            wish,
            [order for order in orders if order.symbol == wish["symbol"]],
            ended.get(wish["symbol"]),
            {denial["code"] for denial in cycle.denials if denial["symbol"] == wish["symbol"]},
        )
        for wish in wishes
    ]


def _fact(
    wish: Mapping[str, Any],
    orders: Sequence[SentOrder],
    trade: ClosedTrade | None,
    denials: set[str],
) -> str:
    base = base_of(wish["symbol"])
    match DecisionAction(wish["action"]):
        case DecisionAction.BUY_TO_ENTER:
            return _entry("long", base, orders, denials)
        case DecisionAction.SELL_TO_ENTER:
            return _entry("short", base, orders, denials)
        case DecisionAction.CLOSE:
            return _exit("close", base, orders, trade, denials)
        case DecisionAction.REDUCE:
            return _exit("reduce", base, orders, trade, denials)
        case DecisionAction.ADJUST:
            return _adjustment(wish, base, denials)
        case DecisionAction.HOLD:
            return f"kept {base}"


# --- Entries ---------------------------------------------------------------------------------------


def _entry(side: str, base: str, orders: Sequence[SentOrder], denials: set[str]) -> str:
    entry = next((one for one in orders if one.purpose is OrderPurpose.ENTRY), None)
    closed = next((one for one in orders if one.purpose is OrderPurpose.CLOSE), None)
    if entry is None and closed is not None:  # it opens in the next cycle, if it is said again
        done = "closed" if closed.filled else "tried to close"
        return f"{done} {base} to turn it into a {side}"
    if entry is None:
        return _refused(f"open a {side} of {base}", denials)
    if entry.filled:
        part = f" of {quantity(entry.quantity)}" if entry.filled < entry.quantity else ""
        return f"opened a {side} of {quantity(entry.filled)}{part} {base}{_terms(entry)}"
    if entry.status is OrderStatus.DENIED:
        return f"wanted to open a {side} of {base}, denied"
    return f"tried to open a {side} of {base}, {_fate(entry)}"


def _terms(entry: SentOrder) -> str:
    terms = f" at {leverage(entry.leverage)}" if entry.leverage > ONE else ""
    if entry.stop is not None:
        terms += f", stop {price(entry.stop)}"
    if entry.target is not None:
        terms += f", target {price(entry.target)}"
    return terms


# --- Exits and changes -----------------------------------------------------------------------------


def _exit(
    verb: str,
    base: str,
    orders: Sequence[SentOrder],
    trade: ClosedTrade | None,
    denials: set[str],
) -> str:
    sent = [one for one in orders if one.purpose in (OrderPurpose.CLOSE, OrderPurpose.REDUCE)]
    if not sent:
        return _refused(f"{verb} {base}", denials)
    filled = sum((one.filled for one in sent), ZERO)
    if not filled:
        return f"tried to {verb} {base}, {_fate(sent[0])}"
    was = "long" if sent[0].side is OrderSide.SELL else "short"
    if trade is not None:
        return f"closed the {was} of {base}, {signed_money(trade.net_pnl)}"
    if verb == "close" and filled >= sum((one.quantity for one in sent), ZERO):
        return f"closed the {was} of {base}"
    return f"closed {quantity(filled)} of the {was} of {base}"


def _adjustment(wish: Mapping[str, Any], base: str, denials: set[str]) -> str:
    moved: list[tuple[str, str]] = []
    refused: list[tuple[str, str]] = []
    for name, codes in (("stop", _OF_STOP), ("target", _OF_TARGET)):
        if name in wish:
            is_refused = not wish.get("approved") or bool(codes & denials)
            (refused if is_refused else moved).append((name, price(Decimal(wish[name]))))
    if not moved and not refused:
        return _refused(f"adjust {base}", denials)
    if not moved:
        return _refused(f"move {_levels(refused, base)}", denials)
    text = f"moved {_levels(moved, base)}"
    if not refused:
        return text
    (name, level), *_ = refused
    return f"{text}; wanted its {name} at {level}, denied"


def _levels(levels: Sequence[tuple[str, str]], base: str) -> str:
    """The stop of BTC to 41,200 and its target to 45,000."""
    (name, level), *others = levels
    return " and ".join(
        (f"the {name} of {base} to {level}", *(f"its {name} to {level}" for name, level in others))
    )


# --- What did not happen ---------------------------------------------------------------------------


def _refused(what: str, denials: set[str]) -> str:
    return f"wanted to {what}, {'denied' if denials else 'and nothing came of it'}"


def _fate(order: SentOrder) -> str:
    """What became of an order that filled nothing."""
    match order.status:
        case OrderStatus.DENIED:
            return "denied before it left"
        case OrderStatus.REJECTED:
            return f"the venue refused: {order.reason}" if order.reason else "the venue refused"
        case OrderStatus.UNKNOWN:
            return "and the venue has not said yet what became of it"
        case OrderStatus.NEVER_ARRIVED:
            return "and the order never arrived"
        case OrderStatus.INITIALIZED:
            return "and it has not left yet"
        case OrderStatus.CANCELED if order.reason in _NOT_LET:
            return _NOT_LET[order.reason]
        case status if status in OPEN_STATUSES:
            return "and it waits at the venue"
        case _:
            return "and nothing filled at its price"
