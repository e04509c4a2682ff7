"""Rules of the single order against prices: market moved, spread, stop, target, confidence, reward.

"Market price" is mark for stops and targets, and the expected fill on our side of the book for what an
entry costs and may win. A stop or target must lie on the right side of both.
"""

from decimal import Context
from typing import Final

from market.domain.numbers import BASIS_POINT, ZERO
from risk.domain import Code, Denial
from risk.rules.entry import Entry, reward_risk


def no_flip(entry: Entry) -> Denial | None:
    """Nothing is opened against what is held, rests or was just approved on the symbol."""
    symbol, sign = entry.intent.symbol, entry.sign
    against = (
        entry.held * sign < 0
        or any(r.symbol == symbol and r.side.sign != sign for r in entry.context.resting_entries)
        or any(s.is_new and s.symbol == symbol and s.quantity * sign < 0 for s in entry.book)
    )
    return entry.deny(Code.FLIP, held=entry.held) if against else None


def no_adding(entry: Entry) -> Denial | None:
    """Nothing is added to what is held, rests or was just approved on the symbol, unless allowed."""
    if entry.limits.allow_adding:
        return None
    symbol = entry.intent.symbol
    if entry.held or any(s.symbol == symbol and s.quantity and not s.is_dust for s in entry.book):
        return entry.deny(Code.ADD_NOT_ALLOWED, held=entry.held)
    return None


def price_drift(entry: Entry) -> Denial | None:
    """|mark now − the mark that the trader saw| ÷ the latter is at most so many basis points."""
    allowed = entry.limits.max_price_drift_bps
    if allowed is None:
        return None
    seen = entry.context.prompt_marks.get(entry.intent.symbol)
    if seen is None or seen <= 0:
        return entry.deny(Code.PRICE_MOVED, seen="unknown", mark=entry.mark)
    if abs(entry.mark - seen) <= allowed * BASIS_POINT * seen:
        return None
    return entry.deny(Code.PRICE_MOVED, seen=seen, mark=entry.mark, allowed_bps=allowed)


def spread(entry: Entry) -> Denial | None:
    """(ask − bid) ÷ the middle of both is at most so many basis points."""
    allowed = entry.limits.max_spread_bps
    bid, ask = entry.quote.bid, entry.quote.ask
    if allowed is None or (ask - bid) * 2 <= allowed * BASIS_POINT * (ask + bid):
        return None
    return entry.deny(Code.SPREAD, bid=bid, ask=ask, allowed_bps=allowed)


def slippage(entry: Entry) -> Denial | None:
    """The expected fill is at most so many basis points worse than the best price on our side."""
    allowed = entry.limits.max_slippage_bps
    if allowed is None:
        return None
    best = entry.quote.ask if entry.sign > 0 else entry.quote.bid
    if entry.sign * (entry.price - best) <= allowed * BASIS_POINT * best:
        return None
    return entry.deny(Code.SLIPPAGE, expected=entry.price, best=best, allowed_bps=allowed)


def stop_present(entry: Entry) -> Denial | None:
    """Every entry brings its stop, where the profile requires one."""
    if entry.intent.stop_price is None and entry.limits.stop_required:
        return entry.deny(Code.STOP_REQUIRED)
    return None


def stop_side(entry: Entry) -> Denial | None:
    """The stop is below mark and expected fill for a long, above both for a short."""
    stop = entry.intent.stop_price
    if stop is None:
        return None
    if entry.sign * (entry.mark - stop) > 0 and entry.sign * (entry.price - stop) > 0:
        return None
    return entry.deny(Code.STOP_WRONG_SIDE, stop=stop, mark=entry.mark)


def target_side(entry: Entry) -> Denial | None:
    """The target is above mark and expected fill for a long, below both for a short."""
    target = entry.intent.target_price
    if target is None:
        return None
    if entry.sign * (target - entry.mark) > 0 and entry.sign * (target - entry.price) > 0:
        return None
    return entry.deny(Code.TARGET_WRONG_SIDE, target=target, mark=entry.mark)


def confidence(entry: Entry) -> Denial | None:
    """The stated confidence is at least the minimum; none stated counts as 0."""
    needed = entry.limits.min_confidence
    stated = entry.intent.confidence or ZERO
    if needed is None or stated >= needed:
        return None
    said = "none" if entry.intent.confidence is None else stated
    return entry.deny(Code.MIN_CONFIDENCE, stated=said, needed=needed)


_SHORT: Final = Context(prec=4)
"""For a ratio that people read."""


def reward_to_risk(entry: Entry) -> Denial | None:
    """(target − p − costs) ÷ (p − stop + costs) is at least the minimum; p is the expected fill, costs
    are both taker fees."""
    needed = entry.limits.min_reward_risk
    if needed is None:
        return None
    stop, target = entry.intent.stop_price, entry.intent.target_price
    if target is None:
        return entry.deny(Code.NO_TARGET, needed=needed)
    if stop is None:
        return entry.deny(Code.STOP_REQUIRED, reason="reward:risk needs a stop")
    reward, risk = reward_risk(entry, stop, target)
    if risk > 0 and reward >= needed * risk:
        return None
    ratio = _SHORT.divide(reward, risk) if risk > 0 else "none"
    return entry.deny(Code.REWARD_RISK, ratio=ratio, reward=reward, risk=risk, needed=needed)


POSITION_RULES: Final = (no_flip, no_adding)
PRICE_RULES: Final = (
    price_drift,
    spread,
    slippage,
    stop_present,
    stop_side,
    target_side,
    confidence,
    reward_to_risk,
)
