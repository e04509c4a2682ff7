"""What an entry must pass before any measure is taken, under every profile: who, what, and sound numbers.

A gate answers None when it has nothing to say. What can't be read is refused, never guessed.
"""

from datetime import timedelta
from typing import Final

from market.domain.enums import InstrumentStatus, PositionSide
from risk.domain import Code, Denial, TradingState
from risk.rules.entry import Case, is_sound


def trading_state(case: Case) -> Denial | None:
    """Only an ACTIVE bot opens; the denial carries the code of what made it REDUCING or HALTED."""
    if case.context.state is TradingState.ACTIVE:
        return None
    return case.deny(case.context.state_reason or Code.BOT_NOT_ACTIVE, state=case.context.state)


def equity_above_zero(case: Case) -> Denial | None:
    """Limits are fractions of equity, so without equity above zero nothing is opened."""
    if case.context.equity > 0:
        return None
    return case.deny(Code.NO_EQUITY, equity=case.context.equity)


def instrument_allowed(case: Case) -> Denial | None:
    """The symbol is one of the allowed symbols."""
    if case.limits.allowed_symbols is None or case.intent.symbol in case.limits.allowed_symbols:
        return None
    return case.deny(Code.INSTRUMENT_NOT_ALLOWED)


def instrument_usable(case: Case) -> Denial | None:
    """The instrument is known, trading, not about to be delisted, and its data is sound."""
    instrument = case.context.instruments.get(case.intent.symbol)
    reason = case.context.unusable.get(case.intent.symbol)
    if instrument is None:
        reason = reason or "unknown instrument"
    elif instrument.status is not InstrumentStatus.TRADING:
        reason = reason or f"status {instrument.status}"
    elif instrument.delisting_at is not None:
        reason = reason or f"delisting at {instrument.delisting_at.isoformat()}"
    return case.deny(Code.INSTRUMENT_UNUSABLE, reason=reason) if reason else None


def side_allowed(case: Case) -> Denial | None:
    """Shorts only where the profile allows them, and never on spot."""
    if case.intent.side is PositionSide.LONG:
        return None
    if case.intent.side is PositionSide.FLAT:
        return case.deny(Code.INVALID, side=case.intent.side)
    is_spot = case.context.instruments[case.intent.symbol].is_spot
    if case.limits.allow_shorts and not is_spot:
        return None
    why = "spot has no shorts" if is_spot else "shorts are off"
    return case.deny(Code.SIDE_NOT_ALLOWED, side=case.intent.side, reason=why)


def price_age(case: Case) -> Denial | None:
    """There is a quote with prices above zero, and now − its time is at most the age allowed."""
    quote = case.context.quotes.get(case.intent.symbol)
    if quote is None:
        return case.deny(Code.STALE, reason="no quote")
    if not (0 < quote.bid <= quote.ask and quote.mark > 0):
        return case.deny(Code.STALE, bid=quote.bid, ask=quote.ask, mark=quote.mark)
    allowed = case.limits.max_price_age_seconds
    if allowed is None:
        return None
    age = case.context.now - quote.at
    if age <= timedelta(seconds=allowed):
        return None
    return case.deny(Code.STALE, age=str(age), allowed_seconds=allowed)


def numbers_sound(case: Case) -> Denial | None:
    """Every number is finite, of a size that can be reckoned with, and prices and leverage are above zero."""
    intent = case.intent
    for name, value, above_zero in (
        ("reference_price", intent.reference_price, True),
        ("leverage", intent.leverage, True),
        ("stop_price", intent.stop_price, True),
        ("target_price", intent.target_price, True),
        ("quantity", intent.quantity, False),
        ("quote_quantity", intent.quote_quantity, False),
        ("confidence", intent.confidence, False),
    ):
        if value is not None and not (is_sound(value) and (value > 0 or not above_zero)):
            return case.deny(Code.INVALID, **{name: str(value)})
    if intent.leverage < 1:
        return case.deny(Code.INVALID, leverage=intent.leverage)
    return None


def order_resolved(case: Case) -> Denial | None:
    """No entry on a symbol while the fate of an earlier one there is unknown."""
    for resting in case.context.resting_entries:
        if resting.is_unresolved and resting.symbol == case.intent.symbol:
            return case.deny(Code.ORDER_UNRESOLVED, quantity=resting.quantity)
    return None


GATES: Final = (
    trading_state,
    equity_above_zero,
    instrument_allowed,
    instrument_usable,
    side_allowed,
    price_age,
    numbers_sound,
    order_resolved,
)
