"""The page of a new bot: its choices as rows, and in one paragraph what will happen. No query but the form's."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django.forms import BoundField

from bots.forms import INTERVALS, PARAMS, RULES, SIMULATED, TIMEFRAMES, Mind, NewBotForm
from bots.pages.wishes import base_of
from bots.services import BotWish
from bots.templatetags.figures import leverage, money, multiple, percent
from risk.models import RiskProfile
from risk.profiles import describe

_EVERY: Final = dict(INTERVALS)
_CANDLES: Final = dict(TIMEFRAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRow:
    """A field of a baseline's parameter, and the unit beside it."""

    bound: BoundField
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MindRow:
    """Who may decide, and the fields that belong to them."""

    mind: Mind
    is_chosen: bool
    rows: tuple[FieldRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRow:
    """A risk profile: its main limits in a line, and all of them as (sentence, value)."""

    value: str
    name: str
    text: str
    is_chosen: bool
    limits: tuple[tuple[str, str], ...]


def form_context(form: NewBotForm) -> dict[str, Any]:
    """Everything that the page shows of its form."""
    return {
        "form": form,
        "minds": tuple(_minds(form)),
        "asks_words": "owner_words" in form.fields,
        "profiles": tuple(_profiles(form)),
        "summary": summary(form),
        "errors": {name: [str(one) for one in form.errors.get(name, ())] for name in form.fields},
    }


def _minds(form: NewBotForm) -> Iterator[MindRow]:
    chosen = form["mind"].value()
    for mind in form.minds:
        rows = (
            FieldRow(bound=form[name], unit=PARAMS.get(name.partition("-")[2], ("", ""))[1])
            for name in mind.fields
            if "-" in name
        )
        yield MindRow(
            mind=mind,
            is_chosen=mind.value == chosen,
            rows=tuple(rows),
        )


def _profiles(form: NewBotForm) -> Iterator[ProfileRow]:
    chosen = str(form["risk"].value())
    for value, row in form.profiles.items():
        yield ProfileRow(
            value=value,
            name=row.name.capitalize() if row.is_preset else row.name,
            text=limits_in_words(row),
            is_chosen=value == chosen,
            limits=describe(row.limits()),
        )


def limits_in_words(row: RiskProfile) -> str:
    """The limits that a trader asks about first: 10× at most, 1% risk a trade, halts at 15% drawdown."""
    if row.raw:
        return "no limit but margin and the venue's own: to see a strategy without a hand on it"
    said: tuple[tuple[Decimal | None, str], ...] = (
        (row.max_leverage, "{leverage} at most"),
        (row.risk_per_trade_fraction, "{percent} at risk a trade"),
        (row.max_gross_exposure, "{multiple} of equity held"),
        (row.hard_drawdown_fraction, "halts at {percent} drawdown"),
    )
    return ", ".join(
        text.format(leverage=leverage(value), percent=_share(value), multiple=multiple(value, 0))
        for value, text in said
        if value is not None
    )


def _share(fraction: Decimal) -> str:
    return percent(fraction, 0 if fraction * 100 % 1 == 0 else 1)


def summary(form: NewBotForm) -> str:
    """What will happen, in a paragraph; "" while something is wrong, or nothing was checked yet."""
    if not form.is_bound or not form.is_valid():
        return ""
    wish = form.wish()
    return " ".join(_sentences(wish))


def _sentences(wish: BotWish) -> Iterator[str]:
    profile = wish.risk_profile
    who = (
        f"follows the rule {RULES[wish.trader][0]}" if wish.trader else f"asks {wish.model_profile}"
    )
    name = wish.name or "The bot"
    place = "the simulated market" if wish.venue == SIMULATED else f"public prices of {wish.venue}"
    bases = [base_of(symbol) for symbol in wish.symbols]
    traded = ", ".join(bases[:-1]) + (" and " if bases[1:] else "") + bases[-1]
    yield (
        f"{name} {who}: every {_EVERY[wish.interval_seconds].removeprefix('1 ')} it looks at {traded}, in candles of "
        f"{_CANDLES[wish.timeframe_seconds]} from {place}."
    )
    yield f"It trades {money(wish.capital, 0)} of paper money: orders fill at a simulated venue."
    if profile.raw:
        yield "No limit holds it but its margin."
    else:
        yield from _limits(profile)
    if wish.model_profile is not None:
        yield "What the model costs is taken from its equity."


def _limits(profile: RiskProfile) -> Iterator[str]:
    if profile.stop_required:
        yield "Every position has its stop resting at the venue."
    if profile.max_daily_loss_fraction is not None:
        yield (
            f"After a loss of {_share(profile.max_daily_loss_fraction)} in a day it opens nothing "
            "until the next."
        )
    if profile.hard_drawdown_fraction is not None:
        yield (
            f"{_share(profile.hard_drawdown_fraction)} below its peak everything is closed, and it "
            "waits for you."
        )
