"""The dashboard: what of it moves, as parts that are the same on the page, by polling and on the socket.

It shows the bots of one kind of money at a time: with whose, in which currency. All parts are made of one
look, so that figures, sums and positions agree. The trap avoided: a total over what can't be added.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from bots import models, queries
from bots.domain.bot import BotMode, BotStatus
from bots.live.topics import Part, Topic, register
from bots.pages.bot_lists import groups_of, with_sparks
from bots.pages.figures_of_all import drawdown_of, exposure_of, model_cost_of, terms_of
from bots.pages.matters import matters_of
from bots.pages.stories import Story, feed
from bots.queries import BotLine, Money, OpenPosition, Today, Total
from bots.templatetags.parts import away
from market.domain.numbers import ZERO, round_to_tick
from tradingagent.accounts.access import NotYours, visible
from tradingagent.accounts.models import User

KIND: Final = "dashboard"
STORIES: Final = 12
QUIET_STORIES: Final = 4
"""Bots that just hold, shown among the stories, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """Whose dashboard, and of which money; None: the first there is, real money before simulated."""

    user: User
    money: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyTab:
    """A link to the dashboard of one kind of money."""

    name: str
    bots: int
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPosition:
    """A position and what its row needs beside it: the liquidation price on the tick, and shares of the price
    and of the margin."""

    one: OpenPosition
    close_url: str
    liquidation: Decimal | None
    liquidation_away: Decimal | None
    pnl_of_margin: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStory:
    """A story with the name of its bot, where it leads, and how its time is shown. `id`: the same while the
    story is told again and again."""

    id: str
    story: Story
    bot: str
    href: str
    show: str


# --- Whose, and which money ------------------------------------------------------------------------


def key_of(money: Money) -> str:
    """A kind of money in an address: paper-usdt."""
    mode, currency = money
    return f"{mode}-{currency}".lower()


def find(user: Any, key: str = "") -> Dashboard:
    """The user's dashboard; `key` as `key_of` writes it, or "" for the first. One query with a key. Raises
    NotYours for nobody, and for money that no bot of theirs has."""
    if not getattr(user, "is_authenticated", False):
        raise NotYours("nobody has no dashboard")
    if not key:
        return Dashboard(user=user)
    for mode, currency in mine(user).values_list("mode", "currency").distinct():
        money = (BotMode(mode), currency)
        if key_of(money) == key:
            return Dashboard(user=user, money=money)
    raise NotYours(f"no bot has money of the kind {key}")


def mine(user: Any) -> Any:
    """The user's bots but the archived ones."""
    return visible(models.Bot, user).exclude(status=BotStatus.ARCHIVED)


def bots_of(subject: Dashboard) -> tuple[UUID, ...]:
    """Every bot that the dashboard shows. One query."""
    return tuple(mine(subject.user).order_by("pk").values_list("pk", flat=True))


# --- What it shows ---------------------------------------------------------------------------------


def moving(subject: Dashboard) -> dict[str, Any]:
    """What all parts of the dashboard show. Sixteen queries; two for a user without a bot."""
    portfolio = queries.portfolio(subject.user)
    totals = queries.by_rank(portfolio.totals)
    if not totals:
        return {"total": None, "halts": queries.halts_over(subject.user)}
    chosen = next((one for one in totals if one.money == subject.money), totals[0])
    money = chosen.money
    lines = [line for line in portfolio.bots if line.money == money]
    now = timezone.now()
    days = queries.today_of(
        [line.stand for line in portfolio.bots], queries.midnight(subject.user.time_zone, now)
    )
    today = sum((days[line.id] for line in lines), Today())
    staked = queries.at_stake([line.stand for line in portfolio.bots], portfolio.prices)
    ids = {line.id for line in lines}
    held = [one for one in staked.positions if one.bot_id in ids]
    halts = queries.halts_over(subject.user)
    return {
        "total": chosen,
        "lines": lines,
        "moneys": _tabs(totals, money),
        "today": today,
        "terms": terms_of(today, lines),
        "exposure": exposure_of(lines, chosen),
        "net_exposure": abs(chosen.net_exposure) / chosen.equity if chosen.equity > 0 else ZERO,
        "drawdown": drawdown_of(lines),
        "model": model_cost_of(lines, today),
        "models": sum(line.asks_model for line in lines),
        "positions": tuple(_position(one) for one in held),
        "all_stops_rest": all(one.stop_rests for one in held),
        "stories": _stories(lines),
        "bot_groups": groups_of(portfolio.bots, with_sparks(portfolio.bots, days, now)),
        "halts": halts,
        "matters": tuple(matters_of(portfolio.bots, staked.positions, halts)),
        "chart_version": _version(lines, chosen),
    }


def _tabs(totals: Sequence[Total], money: Money) -> tuple[MoneyTab, ...]:
    """One for each kind of money; the currency is named where there are several of one mode."""
    names = [one.mode.capitalize() for one in totals]
    return tuple(
        MoneyTab(
            name=name if names.count(name) == 1 else f"{name} {one.currency}",
            bots=one.bots,
            href=f"?money={key_of(one.money)}",
            is_current=one.money == money,
        )
        for name, one in zip(names, totals, strict=True)
    )


def _position(one: OpenPosition) -> ShownPosition:
    held = one.held
    liquidation = away(held.mark_price, held.liquidation_price)
    staked, gained = held.margin or held.entry_cost, held.unrealized_pnl
    return ShownPosition(
        one=one,
        close_url=f"{reverse('close_position', args=[one.bot_id])}?"
        + urlencode({"symbol": held.symbol, "next": reverse("dashboard")}),
        liquidation=_on_tick(held.liquidation_price, held.price_step),
        liquidation_away=None if liquidation is None else abs(liquidation),
        pnl_of_margin=None if gained is None or staked <= 0 else gained / staked,
    )


def _on_tick(value: Decimal | None, tick: Decimal | None) -> Decimal | None:
    return value if value is None or not tick else round_to_tick(value, tick)


def _stories(lines: Sequence[BotLine]) -> tuple[ShownStory, ...]:
    """What happened last: every act, and of those who just hold the latest few."""
    names = {line.id: line.name for line in lines}
    holding = {line.id: [one.symbol for one in line.stand.held] for line in lines}
    latest: set[UUID] = set()
    shown: list[Story] = []
    quiet = 0
    for story in feed(queries.doings_of(list(names)), holding):
        is_latest = story.bot_id not in latest
        latest.add(story.bot_id)
        if story.is_quiet:
            quiet += 1
            if not is_latest or quiet > QUIET_STORIES:
                continue
        shown.append(story)
    first = shown[0].at if shown else None
    return tuple(
        ShownStory(
            id=_id_of(story),
            story=story,
            bot=names[story.bot_id],
            href=reverse("bot", args=[story.bot_id])
            if story.cycle_id is None
            else reverse("decision", args=[story.bot_id, story.cycle_id]),
            show="time" if first is None or first - story.at < timedelta(hours=20) else "day",
        )
        for story in shown[:STORIES]
    )


def _id_of(story: Story) -> str:
    """Two exits may fall into one instant, so theirs tells what ended, too."""
    what = "" if story.cycle_id else f"-{zlib.crc32(story.title.encode()):x}"
    return f"story-{story.bot_id.hex}-{story.since.timestamp():.0f}{what}"


def _version(lines: Sequence[BotLine], total: Total) -> str:
    """A text that changes with whatever the chart shows."""
    booked = sum(line.stand.bot.state.sequence for line in lines)
    stamp = "" if total.as_of is None else f"{total.as_of:%Y%m%dT%H%M%S}"
    return f"{len(lines)}-{booked}-{stamp}"


PARTS: Final = ("totals", "matters", "feed", "positions", "bots")


def register_topic() -> None:
    """Make the dashboard's parts known. Once, when the app is ready."""
    register(
        Topic(
            kind=KIND,
            find=find,
            bots_of=bots_of,
            parts={name: Part(template=f"dashboard.html#{name}", context=moving) for name in PARTS},
        )
    )
