"""Exact numbers: rounding never goes the wrong way, text never lies."""

# mypy: disable-error-code="comparison-overlap"

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.numbers import (
    ceil_to_tick,
    floor_to_step,
    floor_to_tick,
    is_multiple,
    plain,
    price_text,
    quantize_cash,
    round_to_tick,
    significant,
    to_decimal,
)

STEPS = st.sampled_from([D("0.001"), D("0.1"), D(1), D(5), D("0.00000001"), D("0.3"), D("7E-5")])
VALUES = st.decimals(min_value=D(0), max_value=D("1E12"), places=12)


@given(VALUES, STEPS)
def test_quantities_are_rounded_down_and_never_up(value: D, step: D) -> None:
    floored = floor_to_step(value, step)
    assert floored <= value < floored + step
    assert is_multiple(floored, step)
    assert floor_to_step(-value, step) == -floored


@given(VALUES, STEPS)
def test_ticks_bracket_the_price(price: D, tick: D) -> None:
    low, near, high = (
        floor_to_tick(price, tick),
        round_to_tick(price, tick),
        ceil_to_tick(price, tick),
    )
    assert low <= price <= high
    assert high - low in (0, tick)
    assert near in (low, high)
    assert abs(price - near) <= tick / 2
    assert all(is_multiple(one, tick) for one in (low, near, high))


def test_a_quotient_of_28_digits_does_not_round_across_a_step() -> None:
    """0.999…(29 nines) ÷ 1 rounds to 1 in 28 digits; the floor is still 0, the ceiling of 1.00…1 is 2."""
    almost = D("0." + "9" * 29)
    assert floor_to_step(almost, D(1)) == 0
    assert floor_to_tick(almost, D(1)) == 0
    assert ceil_to_tick(D("1." + "0" * 28 + "1"), D(1)) == 2


def test_an_absurd_value_is_no_multiple() -> None:
    assert not is_multiple(D("1E+40"), D("0.001"))


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("0.000000005", "0"),
        ("0.000000015", "2E-8"),
        ("-0.000000005", "0"),
        ("1.234567891", "1.23456789"),
    ],
)
def test_cash_is_rounded_half_to_even(amount: str, rounded: str) -> None:
    assert quantize_cash(D(amount)) == D(rounded)


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.5", "1.5"), (" 2 ", "2"), (3, "3"), (0.1, "0.1"), (D("1E-7"), "1E-7"), ("-0", "0")],
)
def test_to_decimal(value: object, number: str) -> None:
    assert to_decimal(value) == D(number)


@pytest.mark.parametrize(
    "value", ["", "abc", "1,5", "nan", "inf", float("nan"), D("-Infinity"), True, None, [1]]
)
def test_what_is_no_number(value: object) -> None:
    with pytest.raises(ValueError, match="not a"):
        to_decimal(value)


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=10, min_value=-(10**15), max_value=10**15
    )
)
def test_plain_text_is_the_number_and_nothing_else(value: D) -> None:
    text = plain(value)
    assert D(text) == value
    assert "E" not in text
    assert text != "-0"
    assert not ("." in text and text.endswith("0"))
    assert text == plain(value * 1)
    assert plain(value + D("0.0000000000")) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        ("0.00001234567", 5, "0.000012346"),
        ("46377.04", 5, "46377"),
        ("-0.0", 5, "0"),
        ("0.1", 5, "0.1"),
        ("99999.7", 5, "100000"),
        ("123456789", 5, "123456789"),
        ("-1.23456", 3, "-1.23"),
    ],
)
def test_significant_digits(value: str, digits: int, text: str) -> None:
    assert significant(D(value), digits) == text


@given(
    st.decimals(min_value=D("1E-12"), max_value=D("1E9"), places=12).filter(lambda value: value > 0)
)
def test_five_significant_digits_at_any_scale(value: D) -> None:
    assert abs(D(significant(value)) - value) <= abs(value) * D("0.00005")


@pytest.mark.parametrize(
    ("price", "tick", "text"),
    [
        ("46377", "0.1", "46377.0"),
        ("46377.04", "0.1", "46377.04"),
        ("0.5", None, "0.5"),
        ("50", "5", "50"),
        ("-0.0", "0.1", "0.0"),
    ],
)
def test_prices_show_every_digit_of_their_tick(price: str, tick: str | None, text: str) -> None:
    assert price_text(D(price), None if tick is None else D(tick)) == text
