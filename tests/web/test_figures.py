"""How figures read, in tables; and that rounded terms add up to their rounded sum."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from bots.templatetags import figures

MINUS = "\u2212"
NOTHING = [None, D("NaN"), D("Infinity"), D("-Infinity"), 0.5, True, "5", ""]


@pytest.mark.parametrize("value", NOTHING)
@pytest.mark.parametrize(
    "show",
    [
        figures.money,
        figures.signed_money,
        figures.cost,
        figures.price,
        figures.quantity,
        figures.count,
        figures.percent,
        figures.signed_percent,
        figures.multiple,
        figures.leverage,
    ],
)
def test_what_is_no_number_reads_as_a_dash(show, value):
    assert show(value) == "\u2014"


@pytest.mark.parametrize(
    ("value", "places", "expected"),
    [
        ("15281.83", 2, "15,281.83"),
        ("15281.825", 2, "15,281.82"),  # half to even
        ("15281.835", 2, "15,281.84"),
        ("999.999", 2, "1,000.00"),
        ("0", 2, "0.00"),
        ("-0", 2, "0.00"),
        ("-0.004", 2, "0.00"),
        ("-0.005", 2, "0.00"),
        ("-0.006", 2, f"{MINUS}0.01"),
        ("-14.31", 2, f"{MINUS}14.31"),
        ("-1234567.8", 2, f"{MINUS}1,234,567.80"),
        ("1E+6", 2, "1,000,000.00"),
        ("1234.5678", 4, "1,234.5678"),
        ("1234.5", 0, "1,234"),
        ("123456789012345678901234567890.129", 2, "123,456,789,012,345,678,901,234,567,890.13"),
    ],
)
def test_money(value, places, expected):
    assert figures.money(D(value), places) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("22.88", "+22.88"),
        ("-14.31", f"{MINUS}14.31"),
        ("0", "0.00"),
        ("0.004", "0.00"),
        ("-0.004", "0.00"),
        ("12345", "+12,345.00"),
    ],
)
def test_money_that_came_or_went(value, expected):
    assert figures.signed_money(D(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.64", "1.64"),
        ("0.022", "0.022"),
        ("0.0216", "0.022"),
        ("0.00041", "0.00041"),
        ("0.000004", "0.0000040"),
        ("0.0000000001", "0.00000000"),
        ("0", "0.00"),
        ("12", "12.00"),
    ],
)
def test_cost(value, expected):
    assert figures.cost(D(value)) == expected


@pytest.mark.parametrize(
    ("value", "tick", "expected"),
    [
        # On its tick: every digit of it.
        ("102391.4", "0.1", "102,391.4"),
        ("100420", "0.1", "100,420.0"),
        ("3398.1", "0.01", "3,398.10"),
        ("183.06", "0.01", "183.06"),
        ("0.00001234", "0.00000001", "0.000012340"),
        # Five significant digits, whatever the scale and the tick.
        ("100", None, "100.00"),
        ("5", "1", "5.0000"),
        ("0.5", None, "0.50000"),
        ("0.00001", None, "0.000010000"),
        ("102391", None, "102,391"),
        ("12345", None, "12,345"),
        # An average is cut to eight, unless its tick has more digits.
        ("101846.23333333333333333333", "0.1", "101,846.23"),
        ("101846.23333333333333333333", "0.0001", "101,846.2333"),
        ("0.000012345678912345", None, "0.000012345679"),
        ("0.33333333333333333333333333", None, "0.33333333"),
        ("99999.9999999999", None, "100,000.000"),
        # Signs and nothing.
        ("-183.06", "0.01", f"{MINUS}183.06"),
        ("0", "0.1", "0"),
        ("-0.0", None, "0"),
    ],
)
def test_price(value, tick, expected):
    assert figures.price(D(value), D(tick) if tick else None) == expected


@given(
    st.decimals("1E-12", "1E+9", allow_nan=False, allow_infinity=False),
    st.sampled_from([None, D("0.1"), D("0.00001"), D(1), D(10)]),
)
def test_a_price_keeps_five_digits_and_reads_as_itself(value, tick):
    text = figures.price(value, tick).replace(",", "")
    digits = text.replace(".", "").lstrip("0")

    assert len(digits) >= figures.LEAST_DIGITS
    assert abs(D(text) - value) <= abs(value) * D("0.00005")
    assert "E" not in text and "-" not in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.051", "0.051"),
        ("1.2400", "1.24"),
        ("1200", "1,200"),
        ("1E+3", "1,000"),
        ("0", "0"),
        ("-0.00", "0"),
        ("-1.5", f"{MINUS}1.5"),
        ("0.00000001", "0.00000001"),
    ],
)
def test_quantity(value, expected):
    assert figures.quantity(D(value)) == expected


def test_count():
    assert figures.count(3915) == "3,915"
    assert figures.count(0) == "0"


@pytest.mark.parametrize(
    ("fraction", "places", "expected"),
    [
        ("0.394", 1, "39.4%"),
        ("1", 0, "100%"),
        ("-0.03", 1, f"{MINUS}3.0%"),
        ("-0.0004", 1, "0.0%"),
        ("12.5", 1, "1,250.0%"),
    ],
)
def test_percent(fraction, places, expected):
    assert figures.percent(D(fraction), places) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        ("0.0188", "+1.88%"),
        ("-0.0528", f"{MINUS}5.28%"),
        ("0", "0.00%"),
        ("-0.00004", "0.00%"),
        ("0.00005", "0.00%"),
        ("0.00006", "+0.01%"),
    ],
)
def test_a_change(fraction, expected):
    assert figures.signed_percent(D(fraction)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("5", "5×"), ("10", "10×"), ("2.50", "2.5×"), ("0.333", "0.33×"), ("1E+1", "10×")],
)
def test_leverage(value, expected):
    assert figures.leverage(D(value)) == expected


def test_multiple():
    assert figures.multiple(D("0.786")) == "0.79×"
    assert figures.multiple(D(2)) == "2.00×"


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (timedelta(minutes=51, seconds=59), "51 min"),
        (timedelta(hours=2, minutes=14), "2 h 14 min"),
        (timedelta(hours=5, minutes=6), "5 h 06 min"),
        (timedelta(hours=23, minutes=59, seconds=59), "23 h 59 min"),
        (timedelta(days=3, hours=4, minutes=59), "3 d 4 h"),
        (timedelta(days=1234), "1,234 d 0 h"),
        (timedelta(minutes=-5), f"{MINUS}5 min"),
        (D("11.4"), "11 s"),
        (None, "\u2014"),
    ],
)
def test_duration(span, expected):
    assert figures.duration(span) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("22.88", '<span class="up arrow">+22.88</span>'),
        ("-14.31", f'<span class="down arrow">{MINUS}14.31</span>'),
        ("0.004", '<span class="even arrow">0.00</span>'),
        (None, '<span class="even arrow">\u2014</span>'),
    ],
)
def test_an_amount_is_coloured_by_the_sign_that_it_shows(value, expected):
    assert figures.amount(value if value is None else D(value)) == expected


def test_an_amount_without_its_arrow():
    assert figures.amount(D(1), arrow=False, extra="fresh") == '<span class="up fresh">+1.00</span>'


@pytest.mark.parametrize(
    ("fraction", "places", "expected"),
    [
        ("0.0188", 2, '<span class="up arrow">+1.88%</span>'),
        ("-0.000049", 2, '<span class="even arrow">0.00%</span>'),
        ("0.004", 0, '<span class="even arrow">0%</span>'),
        ("0.006", 0, '<span class="up arrow">+1%</span>'),
    ],
)
def test_a_change_is_coloured_by_the_sign_that_it_shows(fraction, places, expected):
    assert figures.change(D(fraction), places=places) == expected


def test_a_balance_lets_its_cents_step_back():
    expected = '<span class="fresh">15,281<span class="dec">.83</span></span>'

    assert figures.big_money(D("15281.83")) == expected
    assert figures.big_money(None) == '<span class="fresh">\u2014</span>'


NOW = "2026-11-22T14:36:12Z"
MOMENTS = [
    ("2026-11-22T09:05:07", "auto", "09:05"),
    ("2026-11-21T23:59:59", "auto", "21 Nov, 23:59"),
    ("2025-11-22T09:05:07", "auto", "22 Nov 2025, 09:05"),
    ("2026-11-02T09:05:07", "time", "09:05"),
    ("2026-11-02T09:05:07", "seconds", "09:05:07"),
    ("2026-11-02T09:05:07", "day", "2 Nov"),
    ("2026-11-02T09:05:07", "short", "2 Nov, 09:05"),
    ("2026-11-02T09:05:07", "date", "2 Nov 2026"),
    ("2026-11-02T09:05:07", "full", "2 Nov 2026, 09:05"),
]


@time_machine.travel(NOW, tick=False)
@pytest.mark.parametrize(("at", "show", "expected"), MOMENTS)
def test_an_instant_in_utc(at, show, expected):
    tag = figures.when(datetime.fromisoformat(at).replace(tzinfo=UTC), show)

    assert tag == f'<time datetime="{at}Z" data-show="{show}">{expected}</time>'


def test_an_instant_of_another_zone_is_put_into_utc():
    tag = figures.when(datetime.fromisoformat("2026-11-02T01:30:00+02:00"), "full")

    assert "2026-11-01T23:30:00Z" in tag and ">1 Nov 2026, 23:30<" in tag


def test_an_instant_that_has_not_come():
    assert figures.when(None) == "\u2014"


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (["64.2", "-14.314", "-2.313"], ["64.20", "-14.32", "-2.31"]),
        (["0.004", "0.004"], ["0.01", "0.00"]),
        (["0.005", "-0.005"], ["0.01", "-0.01"]),
        (["1", "2"], ["1.00", "2.00"]),
        ([], []),
    ],
)
def test_rounded_terms(terms, expected):
    assert [str(term) for term in figures.terms_that_add_up([D(t) for t in terms])] == expected


@given(st.lists(st.decimals("-1E9", "1E9", places=8), max_size=12))
def test_rounded_terms_add_up(terms):
    rounded = figures.terms_that_add_up(terms)

    assert sum(rounded, D(0)) == sum(terms, D(0)).quantize(D("0.01"))
    assert all(abs(a - b) < D("0.01") for a, b in zip(rounded, terms, strict=True))
