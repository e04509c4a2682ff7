"""Figures as text: the one place that decides how an amount, a price, a share or a span of time reads.

Pure functions of Decimals, used as filters and by whoever writes sentences. What is not known (None) and
what is not a number reads as a dash. The traps: "−0.00" for what rounds to nothing; a price cut to "0.00"
because it is small; a hyphen where a minus is meant; terms of a sum that, rounded one by one, no longer
add up to it. Shares are fractions (0.05 reads as 5%).
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext
from typing import Final

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from market.domain.numbers import ZERO, plain

register = template.Library()

MINUS: Final = "−"
UNKNOWN: Final = "—"
LEAST_DIGITS: Final = 5
"""Significant digits of a price, at least."""
MOST_DIGITS: Final = 8
"""Significant digits of a price that was computed, at most: an average has 28."""

Number = Decimal | int | None


# --- Text ------------------------------------------------------------------------------------------


@register.filter
def money(amount: Number, places: int = 2) -> str:
    """An amount in its currency, such as 15,281.83 or −14.31."""
    return _text(amount, places)


@register.filter
def signed_money(amount: Number, places: int = 2) -> str:
    """An amount that came or went: +22.88, −14.31, and 0.00 without a sign."""
    return _text(amount, places, signed=True)


@register.filter
def cost(amount: Number) -> str:
    """A small price for a service, such as 1.64, 0.022 or 0.0004: cents, or two digits below them."""
    number = _number(amount)
    if number is None:
        return UNKNOWN
    if not number:
        return "0.00"
    return _text(number, max(2, min(8, 1 - number.adjusted())))


@register.filter
def price(value: Number, tick: Decimal | None = None) -> str:
    """A price: every digit of its tick, and five significant ones whatever its scale (0.000012346, 183.06).

    One that is no multiple of the tick (an average, a liquidation) keeps up to eight significant digits.
    """
    number = _number(value)
    if number is None:
        return UNKNOWN
    if not number:
        return "0"
    wanted = max(0, LEAST_DIGITS - 1 - number.adjusted(), _places(tick) if tick else 0)
    held = _places(number)
    kept = max(0, MOST_DIGITS - 1 - number.adjusted())
    return _text(number, max(wanted, min(held, kept)))


@register.filter
def quantity(value: Number) -> str:
    """How much of something, exactly: 0.051, 1,200. No trailing zeros."""
    number = _number(value)
    if number is None:
        return UNKNOWN
    return _text(number, _places(number))


@register.filter
def count(value: int | None) -> str:
    """A whole number: 3,915."""
    return _text(value, 0)


@register.filter
def percent(fraction: Number, places: int = 1) -> str:
    """A share or a level: 0.394 is 39.4%, −0.03 is −3.0%."""
    return _percent(fraction, places, signed=False)


@register.filter
def signed_percent(fraction: Number, places: int = 2) -> str:
    """A change: 0.0188 is +1.88%, and 0.00% without a sign."""
    return _percent(fraction, places, signed=True)


@register.filter
def multiple(value: Number, places: int = 2) -> str:
    """How many times: 0.79×."""
    text = _text(value, places)
    return text if text == UNKNOWN else f"{text}×"


@register.filter
def leverage(value: Number) -> str:
    """A leverage: 5×, 2.5×."""
    number = _number(value)
    return UNKNOWN if number is None else f"{quantity(_rounded(number, 2))}×"


@register.filter
def duration(span: timedelta | Decimal | int | None) -> str:
    """How long, in its two largest units, cut and never rounded up: 38 s, 51 min, 5 h 06 min, 3 d 4 h."""
    if span is None:
        return UNKNOWN
    seconds = int(span.total_seconds()) if isinstance(span, timedelta) else int(span)
    sign, seconds = (MINUS, -seconds) if seconds < 0 else ("", seconds)
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if not minutes:
        return f"{sign}{seconds} s"
    if not hours:
        return f"{sign}{minutes} min"
    if not days:
        return f"{sign}{hours} h {minutes % 60:02d} min"
    return f"{sign}{_text(days, 0)} d {hours % 24} h"


def direction(value: Number, places: int = 2) -> str:
    """The class of a signed figure: up, down, or even for what rounds to nothing at these places."""
    number = _number(value)
    rounded = ZERO if number is None else _rounded(number, places)
    return "even" if not rounded else "up" if rounded > 0 else "down"


# --- Marked-up figures -----------------------------------------------------------------------------


@register.simple_tag
def amount(value: Number, *, places: int = 2, arrow: bool = True, extra: str = "") -> SafeString:
    """What came or went, coloured by its sign: <span class="up arrow">+22.88</span>. `extra`: more classes."""
    return _figure(signed_money(value, places), direction(value, places), arrow, extra)


@register.simple_tag
def change(fraction: Number, *, places: int = 2, arrow: bool = True, extra: str = "") -> SafeString:
    """A change as a share, coloured by its sign. For facts of the ledger; an estimate stays plain."""
    sign = direction(fraction, places + 2)
    return _figure(signed_percent(fraction, places), sign, arrow, extra)


@register.simple_tag
def big_money(value: Number, *, places: int = 2) -> SafeString:
    """A balance whose part behind the point steps back: 15,281<span class="dec">.83</span>."""
    whole, point, rest = money(value, places).partition(".")
    return format_html('<span class="fresh">{}{}</span>', whole, _dec(point + rest))


@register.simple_tag
def when(at: datetime | None, show: str = "auto") -> SafeString | str:
    """An instant as <time>, its text in UTC until the page's script puts it into the reader's zone.

    `show`: "time" 14:36 · "seconds" 14:36:12 · "day" 22 Nov · "date" 22 Nov 2026 · "full" 22 Nov 2026, 14:36 ·
    "auto" the time today, the day and the time this year, else all of it.
    """
    if at is None:
        return UNKNOWN
    here = at.astimezone(UTC)
    return format_html(
        '<time datetime="{}" data-show="{}">{}</time>',
        here.strftime("%Y-%m-%dT%H:%M:%SZ"),
        show,
        instant(here, show),
    )


def instant(at: datetime, show: str = "auto") -> str:
    """An instant as text in its own zone; see `when`."""
    if show == "auto":
        now = timezone.now().astimezone(at.tzinfo)
        show = "time" if at.date() == now.date() else "short" if at.year == now.year else "full"
    day, time = f"{at.day} {at:%b}", f"{at:%H:%M}"
    texts = {
        "time": time,
        "seconds": f"{at:%H:%M:%S}",
        "day": day,
        "short": f"{day}, {time}",
        "date": f"{day} {at.year}",
        "full": f"{day} {at.year}, {time}",
    }
    return texts[show]


# --- Sums ------------------------------------------------------------------------------------------


def terms_that_add_up(terms: Sequence[Decimal], places: int = 2) -> tuple[Decimal, ...]:
    """The terms rounded so that they add up to their rounded sum, each by less than one unit of the last
    place: all are rounded down, and the units that are missing go to those that lost most."""
    with localcontext() as context:
        context.prec = 60
        unit = Decimal(1).scaleb(-places)
        floors = [term.quantize(unit, ROUND_FLOOR) for term in terms]
        total = sum(terms, ZERO).quantize(unit, ROUND_HALF_EVEN)
        missing = int((total - sum(floors, ZERO)) / unit)
        lost = sorted(range(len(terms)), key=lambda i: (floors[i] - terms[i], i))
        for index in lost[:missing]:
            floors[index] += unit
    return tuple(floors)


# --- Inside ----------------------------------------------------------------------------------------


def _number(value: object) -> Decimal | None:
    """What was given, as a finite Decimal; None for all else, a float included."""
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _places(value: Decimal) -> int:
    """Digits behind the point, trailing zeros left out."""
    return len(plain(value).partition(".")[2])


def _rounded(value: Decimal, places: int) -> Decimal:
    with localcontext() as context:
        context.prec = 60
        return value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN)


def _text(value: Number, places: int, *, signed: bool = False) -> str:
    number = _number(value)
    if number is None:
        return UNKNOWN
    rounded = _rounded(number, places)
    sign = "" if not rounded else MINUS if rounded < 0 else "+" if signed else ""
    return f"{sign}{rounded.copy_abs():,f}"


def _percent(fraction: Number, places: int, *, signed: bool) -> str:
    number = _number(fraction)
    if number is None:
        return UNKNOWN
    return f"{_text(number * 100, places, signed=signed)}%"


def _figure(text: str, sign: str, arrow: bool, extra: str) -> SafeString:
    classes = " ".join(name for name in (sign, "arrow" if arrow else "", extra) if name)
    return format_html('<span class="{}">{}</span>', classes, text)


def _dec(text: str) -> SafeString | str:
    return format_html('<span class="dec">{}</span>', text) if text else ""
