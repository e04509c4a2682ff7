"""Rules for moving the stop or the target of an open position. Both are judged apart.

What is refused leaves the old one resting; a missing stop removes nothing. Under every profile a
trigger on the wrong side of mark is refused, because it would fire at once.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from market.domain.account import Account
from market.domain.instruments import Instrument
from market.domain.positions import Position
from risk.domain import Code, Denial, HeldProtection, Limits
from risk.rules.entry import deny
from risk.rules.size import stop_before_liquidation


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A new trigger price, on the tick, for a position that is held, and what rests there now."""

    price: Decimal
    position: Position
    instrument: Instrument
    mark: Decimal
    resting: HeldProtection
    limits: Limits
    account: Account

    @property
    def sign(self) -> int:
        return 1 if self.position.quantity > 0 else -1

    def deny(self, code: Code, **context: Decimal | int | str) -> Denial:
        return deny(self.position.symbol, code, **context)


def stop_side(change: Change) -> Denial | None:
    """The stop is below mark for a long, above it for a short."""
    if change.sign * (change.mark - change.price) > 0:
        return None
    return change.deny(Code.STOP_WRONG_SIDE, stop=change.price, mark=change.mark)


def stop_not_widened(change: Change) -> Denial | None:
    """The stop moves no further from the market than the one that rests, unless allowed."""
    old = change.resting.stop_price
    if old is None or change.limits.stop_may_widen:
        return None
    if change.sign * (change.price - old) >= 0:
        return None
    return change.deny(Code.STOP_WIDENED, stop=change.price, resting=old)


def stop_inside_liquidation(change: Change) -> Denial | None:
    """The stop uses at most the allowed fraction of the way from entry to the liquidation price."""
    if change.limits.raw:
        return None
    return stop_before_liquidation(
        change.position, change.price, change.instrument, change.limits, change.account
    )


def target_side(change: Change) -> Denial | None:
    """The target is above mark for a long, below it for a short."""
    if change.sign * (change.price - change.mark) > 0:
        return None
    return change.deny(Code.TARGET_WRONG_SIDE, target=change.price, mark=change.mark)


ChangeRule = Callable[[Change], Denial | None]
STOP_RULES: Final[tuple[ChangeRule, ...]] = (stop_side, stop_not_widened, stop_inside_liquidation)
TARGET_RULES: Final[tuple[ChangeRule, ...]] = (target_side,)
