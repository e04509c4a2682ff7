"""From what a trader said to what the desk wants: the decision table of TRADING, and nothing more.

It sizes and states intents; it refuses nothing but what can't be said as an intent. Adding to a
position and flips are stated as they are, so that the veto denies them with its own codes.
"""

from collections.abc import Sequence
from decimal import Decimal

from bots.domain.records import Plan
from llm.domain import Decision, DecisionAction, DecisionItem
from market.domain.enums import OrderPurpose, PositionSide
from market.domain.numbers import ONE, plain
from market.domain.positions import Position
from risk.domain import Intent, Limits, OrderIntent, ProtectionIntent, RiskContext
from risk.sizing import EntryWish, size_entry


def plan_decision(decision: Decision, context: RiskContext, limits: Limits) -> Plan:
    """The intents of a decision, in the order of its items. Pure; the same inputs give the same plan."""
    intents: list[Intent] = []
    notes: list[str] = [
        f"{symbol}: contradictory items, all of it void" for symbol in decision.void
    ]
    for item in decision.items:
        if item.symbol in decision.void:
            continue
        wanted, note = _plan_item(item, context, limits)
        intents.extend(wanted)
        if note:
            notes.append(f"{item.symbol}: {note}")
    return Plan(intents=tuple(intents), notes=tuple(notes))


def in_two(intents: Sequence[Intent]) -> tuple[tuple[Intent, ...], tuple[Intent, ...]]:
    """Exits and changes of protection, then entries: these are judged when those have been sent, against
    the book as it then stands, for a close that does not fill makes no room."""
    later = tuple(one for one in intents if _is_entry(one))
    return tuple(one for one in intents if not _is_entry(one)), later


def _is_entry(intent: Intent) -> bool:
    return isinstance(intent, OrderIntent) and intent.purpose is OrderPurpose.ENTRY


def _plan_item(
    item: DecisionItem, context: RiskContext, limits: Limits
) -> tuple[Sequence[Intent], str]:
    position = context.account.positions.get(item.symbol)
    held = position if position is not None and position.quantity else None
    if item.action is DecisionAction.HOLD:
        return (), _difference_noted(item, context) if held else ""
    if item.action.is_entry:
        return _entry(item, held, context, limits)
    if held is None:
        return (), f"NOOP, nothing is held to {item.action}"
    if item.action is DecisionAction.CLOSE:
        return (_exit(held, OrderPurpose.CLOSE, abs(held.quantity), context),), ""
    if item.action is DecisionAction.REDUCE:
        return _reduce(item, held, context)
    return _adjust(item, held)


def _entry(
    item: DecisionItem, held: Position | None, context: RiskContext, limits: Limits
) -> tuple[Sequence[Intent], str]:
    side = PositionSide.LONG if item.action is DecisionAction.BUY_TO_ENTER else PositionSide.SHORT
    if held is not None and held.side is not side and limits.allow_flips:
        return (
            (_exit(held, OrderPurpose.CLOSE, abs(held.quantity), context),),
            "flip: closed now, opened in the next cycle if it is said again",
        )
    wish = EntryWish(
        symbol=item.symbol,
        side=side,
        risk_fraction=item.risk_fraction,
        notional=item.notional,
        leverage=item.leverage,
        stop_price=item.stop_loss,
        target_price=item.take_profit,
        confidence=item.confidence,
    )
    return (size_entry(wish, context, limits),), ""


def _exit(
    position: Position, purpose: OrderPurpose, quantity: Decimal, context: RiskContext
) -> OrderIntent:
    quote = context.quotes.get(position.symbol)
    if quote is not None:
        price = quote.bid if position.quantity > 0 else quote.ask
    else:
        price = position.entry_cost / abs(position.quantity)
    return OrderIntent(
        symbol=position.symbol,
        purpose=purpose,
        side=position.side,
        quantity=quantity,
        leverage=position.leverage,
        reference_price=price,
    )


def _reduce(
    item: DecisionItem, held: Position, context: RiskContext
) -> tuple[Sequence[Intent], str]:
    fraction = item.reduce_fraction
    if fraction is None:
        return (), "NOOP, a reduce without a fraction"
    instrument = context.instruments[item.symbol]
    whole = abs(held.quantity)
    quantity = instrument.round_quantity(whole * min(fraction, ONE))
    mark = context.account.marks.get(item.symbol, held.entry_cost / whole)
    if instrument.is_dust(whole - quantity, mark):
        return (
            (_exit(held, OrderPurpose.CLOSE, whole, context),),
            f"what {plain(fraction)} would leave is below the minimum: closed",
        )
    if quantity == 0 or instrument.is_dust(quantity, mark):
        return (), f"NOOP, {plain(fraction)} of {plain(whole)} is below the minimum"
    return (_exit(held, OrderPurpose.REDUCE, quantity, context),), ""


def _adjust(item: DecisionItem, held: Position) -> tuple[Sequence[Intent], str]:
    if item.stop_loss is None and item.take_profit is None:
        return (), "NOOP, an adjust without a stop or a target"
    note = ""
    if item.leverage is not None and item.leverage != held.leverage:
        note = "the leverage of an open position does not change"
    intent = ProtectionIntent(
        symbol=item.symbol, stop_price=item.stop_loss, target_price=item.take_profit
    )
    return (intent,), note


def _difference_noted(item: DecisionItem, context: RiskContext) -> str:
    resting = context.protection.get(item.symbol)
    said = [
        f"{name} {plain(value)}"
        for name, value, now in (
            ("stop", item.stop_loss, resting.stop_price if resting else None),
            ("target", item.take_profit, resting.target_price if resting else None),
        )
        if value is not None and value != now
    ]
    return f"hold moves nothing; it named {' and '.join(said)}" if said else ""
