"""Exact numbers: rounding to steps and ticks, quantised cash, and prices that people can read.

Everything is Decimal. Amounts are quantised when they are made (quantity to the step, price to the
tick, cash to 1e-8), so that sums stay exact and every derived row can be refolded for equality.
"""

from decimal import (
    ROUND_CEILING,
    ROUND_DOWN,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Decimal,
    InvalidOperation,
)
from functools import lru_cache

ZERO = Decimal(0)
ONE = Decimal(1)
CASH_QUANTUM = Decimal("1E-8")
BASIS_POINT = Decimal("0.0001")


def to_decimal(value: object) -> Decimal:
    """Convert text, an int or (at an outer edge only) a float to a finite Decimal.

    Raises ValueError for anything else, NaN and infinities included.
    """
    if isinstance(value, Decimal):
        number = value
    elif isinstance(value, bool):
        raise ValueError(f"{value!r} is not a number")
    else:
        try:
            number = Decimal(str(value).strip())
        except InvalidOperation:
            raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def quantize_cash(amount: Decimal) -> Decimal:
    """Round money to 1e-8, half to even: the only rounding that money ever gets."""
    return amount.quantize(CASH_QUANTUM, ROUND_HALF_EVEN)


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` at or below a value ≥ 0 (towards zero for negatives)."""
    multiple = (value / step).to_integral_value(ROUND_DOWN)
    if (
        multiple * step
    ).copy_abs() > value.copy_abs():  # the 28-digit quotient was rounded up to a whole number
        multiple -= 1 if value > 0 else -1
    return multiple * step


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """True when a value is a whole number of steps. False for one too large to tell (28 digits)."""
    try:
        return value % step == 0
    except InvalidOperation:
        return False


def round_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The nearest multiple of `tick`, half to even."""
    return (price / tick).to_integral_value(ROUND_HALF_EVEN) * tick


def floor_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The largest multiple of `tick` at or below a price."""
    floored = (price / tick).to_integral_value(ROUND_FLOOR) * tick
    return floored if floored <= price else floored - tick  # the 28-digit quotient was rounded up


def ceil_to_tick(price: Decimal, tick: Decimal) -> Decimal:
    """The smallest multiple of `tick` at or above a price."""
    raised = (price / tick).to_integral_value(ROUND_CEILING) * tick
    return raised if raised >= price else raised + tick  # the 28-digit quotient was rounded down


@lru_cache(maxsize=4096)
def plain(value: Decimal) -> str:
    """A Decimal as canonical text: no exponent, no trailing zeros, never `-0`."""
    if value == 0:
        return "0"
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def significant(value: Decimal, digits: int = 5) -> str:
    """A number for people: at least `digits` significant digits, never fewer than it holds before
    the point, never an exponent, never `-0`.

    >>> significant(Decimal("0.00001234567")), significant(Decimal("46377.04")), significant(Decimal("-0.0"))
    ('0.000012346', '46377', '0')
    """
    if value == 0:
        return "0"
    places = max(0, digits - 1 - value.adjusted())
    return plain(value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN))


def price_text(price: Decimal, tick: Decimal | None = None) -> str:
    """A price as prompts and pages show it: every digit of its tick, and at least five significant ones.

    Without a tick the price is shown exactly, so two different prices never print equal.
    """
    if tick is None or price % tick != 0:
        return plain(price)
    digits_of_tick = max(0, -int(tick.normalize().as_tuple().exponent))
    text = format(price.quantize(Decimal(1).scaleb(-digits_of_tick)), "f")
    return text.removeprefix("-") if price == 0 else text
