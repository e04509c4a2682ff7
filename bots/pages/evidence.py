"""A decision as a story: what it saw, what it said, what the limits did, what was executed, what it cost.

Pure: it reads the audit record as it was stored, in JSON's own types, and shows nothing that is not there. The
trap avoided: a record of another shape (an older one, a rule's, one of a cycle that asked nobody) that takes the
page down; what is missing is left out and said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from bots.pages.codes import clamp_words, denial_words
from bots.pages.wishes import base_of
from bots.queries.decision import DecisionDetail, Executed
from bots.templatetags.figures import leverage, price, quantity
from llm.domain import DecisionAction, DecisionOutcome
from market.domain.enums import OrderPurpose, OrderStatus, PositionSide
from market.domain.numbers import ZERO, plain
from risk.domain import Code, Limits

Record = Mapping[str, Any]

BPS: Final = 10_000
SHOWN_INDICATORS: Final = ("RSI14", "EMA20", "RSI7", "MACD", "ATR14")
MOST_INDICATORS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Saw:
    """An instrument as it was shown. `figures`: (name, value) of the indicators that the table names."""

    symbol: str
    mark: str
    figures: tuple[tuple[str, str], ...]
    trend: str
    funding: str
    open_interest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for of one instrument; None: not said."""

    title: str
    confidence: Decimal | None
    risk: Decimal | None
    notional: Decimal | None
    leverage: Decimal | None
    stop: Decimal | None
    target: Decimal | None
    fraction: Decimal | None
    gives_up_when: str
    why: str
    step: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One thing that a limit did: its code with its numbers, words, and the change where there is one."""

    code: str
    numbers: str
    words: str
    before: str = ""
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RulingShown:
    """What became of one wish: approved, clamped or denied."""

    word: str
    title: str
    note: str
    cuts: tuple[Cut, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """An order and what came of it. `fee` in the currency of its fills; `slippage_bps` above zero: worse than
    the price that was judged."""

    executed: Executed
    name: str
    base: str
    price: Decimal | None
    fee: Decimal | None
    fee_currency: str
    slippage_bps: Decimal | None
    state: str
    kind: str
    drawn: str
    step: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What asking cost, over all tries. `cost` None: the price is not known."""

    tries: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: Decimal | None
    seconds: Decimal
    model: str


def saw(record: Record) -> tuple[tuple[str, ...], tuple[Saw, ...]]:
    """(names of the indicators, what was shown of each instrument), read off the facts of a prompt."""
    shown = _facts(record).get("instruments") or []
    labels = [label for item in shown for label, _ in item.get("now") or []]
    names = tuple(one for one in SHOWN_INDICATORS if one in labels)[:MOST_INDICATORS]
    return names, tuple(_saw(item, names) for item in shown)


def left_out(record: Record) -> tuple[tuple[str, str], ...]:
    """(symbol, why) of the instruments whose data could not be used."""
    return tuple((symbol, reason) for symbol, reason in _facts(record).get("unusable") or [])


def marks(record: Record) -> tuple[tuple[str, str], ...]:
    """(symbol, mark) that a rule's wish was judged beside: a rule keeps no facts of a prompt."""
    seen = (record.get("context") or {}).get("prompt_marks") or {}
    return tuple((symbol, price(Decimal(mark))) for symbol, mark in sorted(seen.items()))


def account(record: Record) -> tuple[tuple[str, str], ...]:
    """(name, figure) of the account as it was shown; nothing for a rule."""
    found: Mapping[str, Any] = _facts(record).get("account") or {}
    return tuple(
        (name, _grouped(found[key]))
        for key, name in _OF_ACCOUNT.items()
        if found.get(key) not in (None, "")
    )


_OF_ACCOUNT: Final[Mapping[str, str]] = {
    "equity": "Equity",
    "available": "Cash free",
    "total_return": "Return so far",
    "fees_paid": "Fees paid",
    "funding": "Funding",
    "llm_cost": "Model",
}


def wishes(record: Record, steps: Mapping[str, Decimal]) -> tuple[Wish, ...]:
    """Every item of the decision, in its order."""
    return tuple(_wish(item, steps) for item in _decision(record).get("items") or [])


def noted(record: Record) -> tuple[str, ...]:
    """What was only noted: by the reader of the answer, and by the plan."""
    plan = record.get("plan") or {}
    return (*(_decision(record).get("notes") or []), *(plan.get("notes") or []))


def rulings(record: Record, steps: Mapping[str, Decimal]) -> tuple[RulingShown, ...]:
    """What the limits did, in the order in which it was to be sent."""
    limits = _limits(record)
    verdict = record.get("verdict") or {}
    return tuple(_ruling(one, limits, steps) for one in verdict.get("rulings") or [])


def done(detail: DecisionDetail) -> tuple[Done, ...]:
    """The orders of the decision against the prices that they were judged at, each with its protection."""
    judged = _references(detail.record or {})
    symbols = list(dict.fromkeys(one.order.symbol for one in detail.orders))
    in_order = sorted(
        detail.orders,
        key=lambda one: (symbols.index(one.order.symbol), one.order.purpose.is_protection),
    )
    return tuple(_done(one, judged, detail.steps) for one in in_order)


def asked(record: Record) -> Asked | None:
    """What the model was asked and what it cost; None where no model was."""
    tries = _decision(record).get("completions") or []
    if not tries:
        return None
    costs = [one["cost"] for one in tries]
    used = [one["usage"] for one in tries]
    known = [Decimal(cost) for cost in costs if cost is not None]
    return Asked(
        tries=len(tries),
        input_tokens=sum(one["input_tokens"] for one in used),
        output_tokens=sum(one["output_tokens"] for one in used),
        cached_tokens=sum(one["cached_tokens"] for one in used),
        cost=sum(known, ZERO) if len(known) == len(costs) else None,
        seconds=Decimal(sum(one["latency_ms"] for one in tries)) / 1000,
        model=str(tries[-1]["model"]),
    )


def prompts(record: Record) -> tuple[tuple[Mapping[str, Any], Mapping[str, Any] | None], ...]:
    """Each prompt with the answer it got; None where it got none."""
    said = _decision(record)
    answers = said.get("completions") or []
    return tuple(
        (prompt, answers[index] if index < len(answers) else None)
        for index, prompt in enumerate(said.get("prompts") or [])
    )


HELD_BECAUSE: Final[Mapping[DecisionOutcome, str]] = {
    DecisionOutcome.UNREADABLE: "Its answer could not be read, so everything was held.",
    DecisionOutcome.REFUSED: "The model refused to answer, so everything was held.",
    DecisionOutcome.TIMED_OUT: "The model did not answer in time, so everything was held.",
    DecisionOutcome.UNAVAILABLE: "The model could not be asked, so everything was held.",
    DecisionOutcome.OVER_BUDGET: "The prompt does not fit the model's budget, so everything was held.",
}


# --- What it saw and said ----------------------------------------------------------------------------


def _decision(record: Record) -> Mapping[str, Any]:
    return record.get("decision") or {}


def _facts(record: Record) -> Mapping[str, Any]:
    return _decision(record).get("facts") or {}


def _saw(item: Mapping[str, Any], names: Sequence[str]) -> Saw:
    now = dict(item.get("now") or [])
    return Saw(
        symbol=item["symbol"],
        mark=_grouped(item.get("mark")),
        figures=tuple((name, _grouped(now.get(name))) for name in names),
        trend=_trend(item.get("context")),
        funding=_rate(item.get("funding_rate")),
        open_interest=_grouped(item.get("open_interest")),
    )


def _trend(context: Mapping[str, Any] | None) -> str:
    """How far the short average of the longer candles stands above the long one."""
    now = dict((context or {}).get("now") or [])
    short, long = _number(now.get("EMA20")), _number(now.get("EMA50"))
    if short is None or not long:
        return ""
    return f"{(short / long - 1) * 100:+.2f}%".replace("-", "−")


def _rate(text: object) -> str:
    rate = _number(text)
    return "" if rate is None else f"{rate * 100:+.4f}%".replace("-", "−")


def _grouped(text: object) -> str:
    """A figure of the facts as it was shown, its thousands apart."""
    number = _number(text)
    if number is None:
        return "" if text is None else str(text)
    sign = "−" if number < 0 else ""
    whole, point, rest = plain(abs(number)).partition(".")
    return f"{sign}{int(whole):,}{point}{rest}"


def _number(text: object) -> Decimal | None:
    try:
        found = None if text is None else Decimal(str(text))
    except ArithmeticError:
        return None
    return found if found is not None and found.is_finite() else None


_TITLES: Final[Mapping[DecisionAction, str]] = {
    DecisionAction.BUY_TO_ENTER: "Buy {base}",
    DecisionAction.SELL_TO_ENTER: "Sell {base} short",
    DecisionAction.HOLD: "Hold {base}",
    DecisionAction.CLOSE: "Close {base}",
    DecisionAction.REDUCE: "Reduce {base}",
    DecisionAction.ADJUST: "Adjust {base}",
}


def _wish(item: Mapping[str, Any], steps: Mapping[str, Decimal]) -> Wish:
    title = _TITLES[DecisionAction(item["action"])].format(base=base_of(item["symbol"]))
    return Wish(
        title=title,
        confidence=_number(item["confidence"]),
        risk=_number(item["risk_fraction"]),
        notional=_number(item["notional"]),
        leverage=_number(item["leverage"]),
        stop=_number(item["stop_loss"]),
        target=_number(item["take_profit"]),
        fraction=_number(item["reduce_fraction"]),
        gives_up_when=item["invalidation_condition"],
        why=item["justification"],
        step=steps.get(item["symbol"]),
    )


# --- What the limits did -----------------------------------------------------------------------------


def _limits(record: Record) -> Limits | None:
    try:
        return TypeAdapter(Limits).validate_python(record.get("limits"))
    except ValidationError:
        return None


def _ruling(
    one: Mapping[str, Any], limits: Limits | None, steps: Mapping[str, Decimal]
) -> RulingShown:
    intent, approved = one["intent"], one["approved"]
    denials = [denial for denial in (one["denial"], *one["refused_parts"]) if denial is not None]
    clamps = (
        () if approved is None else tuple(_clamp(clamp, intent, limits) for clamp in one["clamps"])
    )
    word = "denied" if approved is None else "clamped" if clamps or denials else "approved"
    return RulingShown(
        word=word,
        title=_intent_title(intent, steps.get(intent["symbol"])),
        note=_NOTES[word],
        cuts=(*clamps, *(_denial(denial) for denial in denials)),
    )


_NOTES: Final = {
    "approved": "as it was asked for",
    "clamped": "allowed, but not all of it",
    "denied": "nothing was sent",
}


def _intent_title(intent: Mapping[str, Any], step: Decimal | None) -> str:
    base = base_of(intent["symbol"])
    if "purpose" not in intent:
        moved = [
            f"{name} to {price(Decimal(intent[key]), step)}"
            for name, key in (("stop", "stop_price"), ("target", "target_price"))
            if intent[key] is not None
        ]
        return f"Move the {' and the '.join(moved)} of {base}"
    size = intent["quote_quantity"] or intent["quantity"]
    is_short = PositionSide(intent["side"]) is PositionSide.SHORT
    match OrderPurpose(intent["purpose"]):
        case OrderPurpose.ENTRY:
            verb = "Sell" if is_short else "Buy"
            return f"{verb} {quantity(Decimal(size))} {base}{' short' if is_short else ''}"
        case OrderPurpose.CLOSE:
            return f"Close the {'short' if is_short else 'long'} of {base}"
        case _:
            return f"Close {quantity(Decimal(size))} of the {'short' if is_short else 'long'} of {base}"


def _clamp(clamp: Mapping[str, Any], intent: Mapping[str, Any], limits: Limits | None) -> Cut:
    code, before, after = clamp["code"], Decimal(clamp["before"]), Decimal(clamp["after"])
    if code == Code.MAX_LEVERAGE:
        shown = (leverage(before), leverage(after))
    else:
        shown = (quantity(before), f"{quantity(after)} {base_of(intent['symbol'])}")
    return Cut(
        code=code,
        numbers=f"wanted={plain(before)} allowed={plain(after)}",
        words=clamp_words(code, limits),
        before=shown[0],
        after=shown[1],
    )


def _denial(denial: Mapping[str, Any]) -> Cut:
    context = denial["context"]
    return Cut(
        code=denial["code"],
        numbers=" ".join(f"{name}={value}" for name, value in context.items()),
        words=denial_words(denial["code"], context),
    )


# --- What was executed -------------------------------------------------------------------------------


def _references(record: Record) -> Mapping[tuple[str, str], Decimal]:
    """The price that each approved order was judged at, by symbol and purpose."""
    found = {}
    for one in (record.get("verdict") or {}).get("rulings") or []:
        intent = one["approved"]
        if intent is not None and "purpose" in intent:
            found[intent["symbol"], intent["purpose"]] = Decimal(intent["reference_price"])
    return found


_NAMES: Final[Mapping[OrderPurpose, str]] = {
    OrderPurpose.ENTRY: "to open",
    OrderPurpose.REDUCE: "to reduce",
    OrderPurpose.CLOSE: "to close",
    OrderPurpose.STOP: "stop",
    OrderPurpose.TARGET: "target",
}
_STATES: Final[Mapping[OrderStatus, tuple[str, str, str]]] = {
    OrderStatus.FILLED: ("Filled", "ok", "check"),
    OrderStatus.PARTIALLY_FILLED: ("Filled in part", "ok", "check"),
    OrderStatus.ACCEPTED: ("Resting", "ok", "check"),
    OrderStatus.TRIGGERED: ("Triggered", "ok", "check"),
    OrderStatus.UNKNOWN: ("Not answered yet", "warn", "warn"),
    OrderStatus.REJECTED: ("Refused by the venue", "bad", "ban"),
    OrderStatus.DENIED: ("Denied before it left", "bad", "ban"),
    OrderStatus.NEVER_ARRIVED: ("Never arrived", "warn", "warn"),
    OrderStatus.CANCELED: ("Cancelled", "", "x"),
    OrderStatus.EXPIRED: ("Ended unfilled", "", "x"),
}


def _done(
    one: Executed, judged: Mapping[tuple[str, str], Decimal], steps: Mapping[str, Decimal]
) -> Done:
    order = one.order
    filled = order.average_price
    reference = judged.get((order.symbol, order.purpose))
    slippage = None
    if filled is not None and reference:
        slippage = (filled / reference - 1) * order.side.sign * BPS
    state, kind, drawn = _STATES.get(order.status, ("On its way", "", "send"))
    if order.status in (OrderStatus.CANCELED, OrderStatus.EXPIRED) and order.filled_quantity:
        state, kind, drawn = "Filled in part", "ok", "check"
    currencies = {fill.fee_currency for fill in one.fills}
    return Done(
        executed=one,
        name=f"{order.side.capitalize()} {_NAMES[order.purpose]}",
        base=base_of(order.symbol),
        price=filled or order.trigger_price or order.price,
        fee=sum((fill.fee for fill in one.fills), ZERO) if len(currencies) == 1 else None,
        fee_currency=next(iter(currencies), ""),
        slippage_bps=slippage,
        state=state,
        kind=kind,
        drawn=drawn,
        step=steps.get(order.symbol),
    )


def recomputable(record: Record) -> tuple[str, ...]:
    """The stages whose inputs stand in the record, so that they can be computed anew."""
    said = _decision(record)
    prompted = ("prompt", "reading") if said.get("prompts") and said.get("facts") else ()
    judged = ("plan", "verdict") if record.get("context") else ()
    return (*prompted, *judged)


def fees_of(shown: Sequence[Done]) -> dict[str, Decimal]:
    """What all fills took, by currency."""
    total: dict[str, Decimal] = {}
    for one in shown:
        if one.fee is not None:
            total[one.fee_currency] = total.get(one.fee_currency, ZERO) + one.fee
    return total
