"""Numbers as a prompt shows them: legible at any scale, the same text for the same number.

At least five significant digits, no exponents, never `-0`, `NaN` or an invented zero: what is missing
is `n/a`. Floats come from indicators only and end here. The trap avoided: two decimals for every
price, which shows a sub-cent coin as 0.00 and an entry equal to its liquidation price.
"""

from collections.abc import Sequence
from decimal import Decimal

from market.domain.numbers import plain, price_text, significant

NOT_AVAILABLE = "n/a"
DIGITS = 5
MOST_DIGITS = 12
_MOST_ADJUSTED = 20


def figure(value: float, digits: int = DIGITS, dust: float = 0.0) -> str:
    """A float of an indicator; `dust` is the size below which it is a rounding error of zero."""
    if value - value != 0:  # NaN or infinite
        return NOT_AVAILABLE
    if -dust <= value <= dust:
        return "0"
    text = f"{value:#.{digits}g}"
    if "e" not in text:
        return text.removesuffix(".")
    return f"{value:.0f}" if abs(value) >= 1 else format(Decimal(text), "f")


def decimal_text(value: Decimal | None, digits: int = DIGITS) -> str:
    """A Decimal with at least `digits` significant digits, or all it has before the point."""
    if value is None or not value.is_finite():
        return NOT_AVAILABLE
    if value.adjusted() > _MOST_ADJUSTED:
        return plain(value)
    return significant(value, digits)


def money(value: Decimal | None) -> str:
    """An amount of account currency: cents, and below one unit five significant digits."""
    if value is None or not value.is_finite():
        return NOT_AVAILABLE
    return decimal_text(value, max(DIGITS, value.adjusted() + 3))


def percent(fraction: Decimal | None) -> str:
    """A fraction as a percentage, `0.0123` as `1.23%`."""
    if fraction is None or not fraction.is_finite():
        return NOT_AVAILABLE
    return decimal_text(fraction * 100, 4) + "%"


def price(value: Decimal | None, tick: Decimal | None, digits: int = DIGITS) -> str:
    """A price: exact on its tick, else with enough digits to tell ticks apart."""
    if value is None or not value.is_finite():
        return NOT_AVAILABLE
    if tick is not None and abs(value.adjusted()) <= _MOST_ADJUSTED and value % tick == 0:
        return _padded(price_text(value, tick))
    return _padded(decimal_text(value, max(digits, digits_of(value, tick))))


def digits_of(value: Decimal, tick: Decimal | None) -> int:
    """How many digits a price of this size has down to its tick: at least 5, at most 12."""
    if tick is None or value == 0:
        return DIGITS
    return max(DIGITS, min(MOST_DIGITS, value.adjusted() - tick.adjusted() + 1))


def prices_apart(values: Sequence[Decimal | None], tick: Decimal | None) -> list[str]:
    """Prices shown beside each other: different ones never print equal, however close they are."""
    different = len(set(values))
    texts = [price(value, tick) for value in values]
    digits = DIGITS
    while len(set(texts)) < different and digits < 28:
        digits += 2
        texts = [_padded(decimal_text(value, digits)) for value in values]
    if len(set(texts)) < different:
        texts = [NOT_AVAILABLE if value is None else plain(value) for value in values]
    return texts


def scaled(value: int, exponent: int) -> str:
    """A whole number ≥ 0 times 10^exponent, exactly: a price as its candle holds it."""
    if exponent >= 0:
        return _padded(str(value * 10**exponent))
    digits = str(value).zfill(1 - exponent)
    return _padded(f"{digits[:exponent]}.{digits[exponent:]}")


def _padded(text: str) -> str:
    """Zeros behind a short price, so that it too shows five significant digits: `0.5` → `0.50000`."""
    missing = DIGITS - len(text.lstrip("-0.").replace(".", ""))
    if missing <= 0 or missing == DIGITS or text == NOT_AVAILABLE:
        return text
    return text + ("" if "." in text else ".") + "0" * missing
