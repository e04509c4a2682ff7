"""What the limits said of a decision's wishes, in plain words with the code beside them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from bots.pages.codes import denial_words
from bots.queries.feed import SentOrder
from bots.queries.history import CycleLine
from bots.templatetags.figures import leverage, money, quantity
from market.domain.enums import OrderPurpose, OrderStatus
from risk.domain import Code


class VerdictKind(StrEnum):
    """What the limits did to a wish that they did not let pass as it was."""

    CLAMPED = "clamped"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a limit said, in words and as its code with its numbers: `MAX_LEVERAGE wanted=25 allowed=10`."""

    kind: VerdictKind
    symbol: str
    words: str
    code: str

    @property
    def name(self) -> str:
        """The code alone."""
        return self.code.partition(" ")[0]


CLAMPED: Final[Mapping[Code, str]] = {
    Code.MAX_LEVERAGE: "Wanted a leverage of {before}, held to {after}.",
    Code.RISK_PER_TRADE: "Wanted a size of {before}, held to {after}: what its stop may lose.",
    Code.POSITION_NOTIONAL: "Wanted a size of {before}, held to {after}: the largest position allowed.",
    Code.GROSS_EXPOSURE: "Wanted a size of {before}, held to {after}: longs and shorts together.",
    Code.NET_EXPOSURE: "Wanted a size of {before}, held to {after}: longs less shorts.",
    Code.CORRELATED_EXPOSURE: "Wanted a size of {before}, held to {after}: assets that move together.",
    Code.MARGIN_USED: "Wanted a size of {before}, held to {after}: the margin that may be used.",
    Code.AVAILABLE_MARGIN: "Wanted a size of {before}, held to {after}: the cash that is free.",
    Code.MAX_QUANTITY: "Wanted a size of {before}, held to {after}: the venue takes no more at once.",
    Code.REDUCE_ONLY: "Wanted to close {before}, held to {after}: no more is held.",
    Code.FLIP: "Wanted to turn what is held around, held to closing it.",
}
"""What was made smaller, with its numbers."""


def verdicts_of(cycle: CycleLine, orders: Sequence[SentOrder]) -> tuple[Verdict, ...]:
    """The limits that decided in a cycle: what was held to one, what was denied, and what was stopped at the
    last check before it left. Of a wish that was denied, what had been taken off before says nothing."""
    denied = (*_denied(cycle), *_stopped_at_the_claim(orders))
    gone = {one.symbol for one in denied}
    return (*(one for one in _clamped(cycle) if one.symbol not in gone), *denied)


def _clamped(cycle: CycleLine) -> Iterator[Verdict]:
    for clamp in cycle.clamps:
        code, before, after = clamp["code"], Decimal(clamp["before"]), Decimal(clamp["after"])
        shown = leverage if code == Code.MAX_LEVERAGE else _size
        words = CLAMPED.get(code, "Wanted {before}, held to {after}.")
        yield Verdict(
            kind=VerdictKind.CLAMPED,
            symbol=clamp["symbol"],
            words=words.format(before=shown(before), after=shown(after)),
            code=f"{code} wanted={clamp['before']} allowed={clamp['after']}",
        )


def _size(value: Decimal) -> str:
    return quantity(value) if value < 1000 else money(value)


def _denied(cycle: CycleLine) -> Iterator[Verdict]:
    for denial in cycle.denials:
        context = denial["context"]
        numbers = (f"{name}={value}" for name, value in context.items())
        code = " ".join((denial["code"], *numbers))
        yield _denial(denial["symbol"], code, denial["code"], context)


def _stopped_at_the_claim(orders: Sequence[SentOrder]) -> Iterator[Verdict]:
    """Denied by limits over all bots; the order's reason is that denial's text."""
    for order in orders:
        if order.status is OrderStatus.DENIED and order.purpose is OrderPurpose.ENTRY:
            name, *pairs = order.reason.split(" ")
            context = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
            yield _denial(order.symbol, order.reason, name, context)


def _denial(symbol: str, code: str, name: str, context: Mapping[str, str]) -> Verdict:
    return Verdict(
        kind=VerdictKind.DENIED, symbol=symbol, words=denial_words(name, context), code=code
    )
