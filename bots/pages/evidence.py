"""What a decision saw and said, and what asking cost, read off its audit record.

Pure: it reads the audit record as it was stored, in JSON's own types, and shows nothing that is not there. The
trap avoided: a record of another shape (an older one, a rule's, one of a cycle that asked nobody) that takes the
page down; what is missing is left out and said.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from bots.pages.wishes import base_of
from bots.templatetags.figures import price
from llm.checks import Doubt, doubts
from llm.domain import Decision, DecisionAction, DecisionOutcome
from market.domain.numbers import ZERO, plain

Record = Mapping[str, Any]
_DECISION: Final = TypeAdapter(Decision)

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


def doubts_of(record: Record) -> tuple[Doubt, ...]:
    """What does not fit in what a model said; nothing where its record can't be read today."""
    said = record.get("decision")
    if not said or not said.get("completions"):
        return ()
    try:
        return doubts(_DECISION.validate_python(said))
    except (ValidationError, KeyError, TypeError, ValueError):
        return ()


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


def recomputable(record: Record) -> tuple[str, ...]:
    """The stages whose inputs stand in the record, so that they can be computed anew."""
    said = _decision(record)
    prompted = ("prompt", "reading") if said.get("prompts") and said.get("facts") else ()
    judged = ("plan", "verdict") if record.get("context") else ()
    return (*prompted, *judged)


HELD_BECAUSE: Final[Mapping[DecisionOutcome, str]] = {
    DecisionOutcome.UNREADABLE: "Its answer could not be read, so everything was held.",
    DecisionOutcome.REFUSED: "The model refused to answer, so everything was held.",
    DecisionOutcome.TIMED_OUT: "The model did not answer in time, so everything was held.",
    DecisionOutcome.UNAVAILABLE: "The model could not be asked, so everything was held.",
    DecisionOutcome.OVER_BUDGET: "A budget does not allow the call, so nobody was asked and everything was held.",
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
