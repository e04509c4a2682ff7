"""The parts that pages are made of, each drawn by one template of templates/_components.

Here is what a template can't compute: lengths, which of three states a meter is in, the words of a state.
Lengths that depend on data become attributes of SVG in percent, since the content security policy allows
no style attribute. The trap: a mark drawn off its rail, or a bar past its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import template
from django.forms import BoundField
from django.template.context import RequestContext
from django.utils.http import urlencode

from bots.domain.bot import BotMode, BotStatus
from bots.templatetags.figures import price, terms_that_add_up
from bots.templatetags.shell import state_mark
from market.domain.enums import PositionSide
from market.domain.numbers import ONE, ZERO
from risk.domain import TradingState

register = template.Library()

NEAR: Final = Decimal("0.75")
"""The share of a limit from which its meter says "nearly full"."""
_END: Final = Decimal(3)
"""Where a rail begins and ends, in percent of its width: marks at the ends stay inside."""


def length(fraction: Decimal) -> str:
    """A share of a width as an SVG length, held between nothing and all: 0.394 is "39.4%"."""
    return f"{min(max(fraction, ZERO), ONE) * 100:.1f}%"


# --- Meter -----------------------------------------------------------------------------------------


@register.inclusion_tag("_components/meter.html")
def meter(used: Decimal | None, label: str, *, soft: Decimal | None = None) -> dict[str, Any]:
    """A bar of how much of a limit is used. `used` and `soft` (a stroke) are shares of the limit."""
    share = used if used is not None else ZERO
    return {
        "label": label,
        "state": meter_state(share),
        "now": int(min(max(share, ZERO), ONE) * 100),
        "width": length(share),
        "soft": None if soft is None else length(soft),
    }


def meter_state(used: Decimal) -> str:
    """The class of a meter: "near" from three quarters, "hit" at the limit, else ""."""
    return "hit" if used >= ONE else "near" if used >= NEAR else ""


@register.inclusion_tag("_components/limit.html")
def limit(
    name: str, used: Decimal | None, now: str, of: str = "", *, soft: Decimal | None = None
) -> dict[str, Any]:
    """A named limit over its meter: how much of it is used, in words and as a bar.

    `now` and `of` are texts, such as "13.0%" and "40%"; `used` is the share that the bar shows.
    """
    return meter(used, f"{name}, share of its limit", soft=soft) | {
        "name": name,
        "value": now,
        "of": of,
    }


# --- Rail ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rail:
    """Where the marks of a rail stand, as SVG lengths. `entry` and `mark` are held inside the rail."""

    entry: str
    mark: str
    gains: bool


def rail_of(
    side: PositionSide, *, stop: Decimal, target: Decimal, entry: Decimal, mark: Decimal
) -> Rail | None:
    """The rail from stop (left) to target (right), for longs and shorts alike; None where the stop is not
    on the losing side of the target."""
    way = 1 if side is PositionSide.LONG else -1
    span = (target - stop) * way
    if span <= 0:
        return None

    def at(value: Decimal) -> str:
        share = min(max((value - stop) * way / span, ZERO), ONE)
        return length((_END + share * (100 - 2 * _END)) / 100)

    return Rail(entry=at(entry), mark=at(mark), gains=(mark - entry) * way >= 0)


@register.inclusion_tag("_components/rail.html")
def rail(
    side: PositionSide,
    entry: Decimal,
    mark: Decimal | None,
    stop: Decimal | None,
    target: Decimal | None,
    *,
    tick: Decimal | None = None,
) -> dict[str, Any]:
    """Where the mark stands between stop and target, drawn and in words.

    Without a mark or a target only the words are shown; without a stop the words say so.
    """
    drawn = None
    if mark is not None and stop is not None and target is not None:
        drawn = rail_of(side, stop=stop, target=target, entry=entry, mark=mark)
    return {
        "rail": drawn,
        "stop": None if stop is None else price(stop, tick),
        "target": None if target is None else price(target, tick),
        "to_stop": away(mark, stop),
        "to_target": away(mark, target),
        "is_close": _is_close(mark, stop),
    }


def away(mark: Decimal | None, level: Decimal | None) -> Decimal | None:
    """How far the price has to go to a level, as a signed share of the price."""
    return None if not mark or level is None else level / mark - 1


def _is_close(mark: Decimal | None, stop: Decimal | None) -> bool:
    distance = away(mark, stop)
    return distance is not None and abs(distance) < Decimal("0.01")


# --- Sum -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of a sum, rounded so that all of them add up in sight. `href` explains it."""

    name: str
    value: Decimal
    href: str = ""


@register.inclusion_tag("_components/sum.html")
def sum_of(
    terms: Iterable[tuple[str, Decimal]],
    total_name: str,
    *,
    label: str = "",
    classes: str = "",
    total_sign: bool = True,
    places: int = 2,
) -> dict[str, Any]:
    """How a number is made: its terms with their signs, and their total.

    The total is the sum of the terms, so what is shown adds up to the last digit shown.
    """
    named = list(terms)
    rounded = terms_that_add_up([value for _, value in named], places)
    return {
        "terms": [
            Term(name=name, value=value) for (name, _), value in zip(named, rounded, strict=True)
        ],
        "total": sum(rounded, ZERO),
        "total_name": total_name,
        "label": label or f"How “{total_name}” adds up",
        "classes": classes,
        "total_sign": total_sign,
        "places": places,
    }


# --- States, modes, verdicts -----------------------------------------------------------------------

_BADGES: Final = {
    "": ("ok", "play", "Active"),
    "warn": ("warn", "warn", "Reducing"),
    "bad": ("bad", "halt", "Halted"),
}
_OFF: Final = {
    BotStatus.PAUSED: ("", "pause", "Paused"),
    BotStatus.DRAFT: ("", "", "Draft"),
    BotStatus.ARCHIVED: ("", "", "Archived"),
}


@register.inclusion_tag("_components/badge.html")
def badge(text: str, kind: str = "", drawn: str = "") -> dict[str, Any]:
    """A state. `kind`: ok, warn, bad, info, or "" for grey; `drawn`: the name of an icon."""
    return {"text": text, "kind": kind, "icon": drawn}


@register.inclusion_tag("_components/badge.html")
def bot_badge(
    status: BotStatus, trading_state: TradingState | None, is_halted: bool
) -> dict[str, Any]:
    """The state of a bot: what its owner wants, over what breakers and halts allow."""
    dot, _ = state_mark(status, trading_state, is_halted=is_halted)
    kind, drawn, text = _OFF[status] if dot == "off" else _BADGES[dot]
    return badge(text, kind, drawn)


@register.inclusion_tag("_components/tag.html")
def mode_tag(mode: BotMode) -> dict[str, Any]:
    """PAPER as an outline, LIVE filled: with whose money."""
    return {"kind": str(mode).lower(), "text": str(mode)}


_VERDICTS: Final = {
    "approved": ("approved", "check"),
    "clamped": ("clamped", "cut"),
    "denied": ("denied", "ban"),
    "held": ("", "hold"),
    "skipped": ("", "clock"),
    "failed": ("denied", "warn"),
}


@register.inclusion_tag("_components/verdict.html")
def verdict(word: str, text: str = "") -> dict[str, Any]:
    """What the limits did: approved, clamped, denied, held, skipped or failed. `text` in place of the word."""
    kind, drawn = _VERDICTS[word.lower()]
    return {"kind": kind, "icon": drawn, "text": text or word.lower()}


# --- Forms -----------------------------------------------------------------------------------------


@register.inclusion_tag("_components/field.html")
def field(
    bound: BoundField, *, label: str = "", help_text: str = "", unit: str = "", classes: str = ""
) -> dict[str, Any]:
    """A labelled input with its help and, beside it, what is wrong in words.

    For text, number, e-mail, password, select and textarea; `unit` stands inside the input at its right.
    `classes`: more classes of the field, such as "c6".
    """
    said = help_text or bound.help_text
    ids = [f"{bound.id_for_label}-help"] if said else []
    ids += [f"{bound.id_for_label}-error"] if bound.errors else []
    attrs: dict[str, Any] = {"class": "input", "placeholder": False}
    attrs |= {"aria-describedby": " ".join(ids)} if ids else {}
    return {
        "field": bound,
        "widget": bound.as_widget(attrs=attrs),
        "label": label or bound.label,
        "help_text": said,
        "unit": unit,
        "classes": classes,
    }


# --- Nothing here, and more ------------------------------------------------------------------------


@register.inclusion_tag("_components/empty.html")
def empty(
    title: str, text: str = "", *, drawn: str = "info", href: str = "", action: str = ""
) -> dict[str, Any]:
    """Nothing here yet: what this is, and (with `href` and `action`) the next step."""
    return {"title": title, "text": text, "icon": drawn, "href": href, "action": action}


@register.inclusion_tag("_components/pager.html", takes_context=True)
def pager(
    context: RequestContext, next_page: str | None, *, text: str = "Older", name: str = "after"
) -> dict[str, Any]:
    """A link to the next page of this address; nothing on the last one. `next_page`: `Page.next`."""
    request = context["request"]
    kept = {key: value for key, value in request.GET.items() if key != name}
    return {"href": f"?{urlencode({**kept, name: next_page})}" if next_page else "", "text": text}
