"""The shell around every page: icons, the theme, the user's bots at the side, the halt in force.

Two queries for who is signed in, none for who is not, and none in what error pages use: those must
render while the database is away. The trap: a figure at the side that no message refreshes; so bots
stand here with their state as of the page, in words, and without figures.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django import template
from django.template.context import Context
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from bots.domain.bot import BotMode, BotStatus
from bots.queries import HaltLine, halts_over
from bots.queries.names import BotName, names_of
from risk.domain import TradingState
from tradingagent.accounts.themes import theme_of

register = template.Library()

MODES: Final = (BotMode.LIVE, BotMode.PAPER)
"""Real money stands first."""
LISTED: Final = 8
"""Bots at the side, of each mode; the page of all bots has the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SideBot:
    """A bot at the side: the class of its dot, and the state in a word where it does not trade freely."""

    href: str
    name: str
    dot: str
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SideGroup:
    """Bots of one mode, `more` beyond those listed; these are at `all_href`."""

    title: str
    bots: tuple[SideBot, ...]
    more: int
    all_href: str


@register.simple_tag
def icon(name: str, size: str = "") -> SafeString:
    """A drawing of static/img/icons.svg, hidden from screen readers; `size` "s" for a small one."""
    return format_html(
        '<svg class="ico{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        " ico-s" if size == "s" else "",
        static("img/icons.svg"),
        name,
    )


@register.simple_tag(takes_context=True)
def theme(context: Context) -> str:
    """The theme that the reader chose, "dark" or "light"; "" follows their system, as without a request."""
    request = context.get("request")
    return theme_of(request) if request is not None else ""


@register.simple_tag
def moment() -> datetime:
    """Now, for what says as of when a page was made."""
    return timezone.now()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An entry of the main menu."""

    name: str
    icon: str
    href: str
    is_current: bool


PLACES: Final = (
    ("Dashboard", "dash", "dashboard", ("/equity/", "/halt/", "/resume/")),
    ("Bots", "bot", "bots", ("/bots/",)),
    ("Arena", "arena", "arenas", ("/arena/",)),
    ("Models", "mind", "models", ("/models/", "/prompts/")),
    ("Alerts", "bell", "alerts", ("/alerts/",)),
    ("Settings", "set", "account_settings", ("/account/", "/limits/")),
)
"""Name, icon, the URL it leads to, and where the addresses of other pages that belong to it begin."""


@register.simple_tag(takes_context=True)
def navigation(context: Context) -> tuple[Place, ...]:
    """The main menu, the place of this page marked."""
    here = context["request"].path
    return tuple(
        Place(
            name=name,
            icon=drawn,
            href=reverse(url),
            is_current=here == reverse(url) or here.startswith(others),
        )
        for name, drawn, url, others in PLACES
    )


@register.simple_tag(takes_context=True)
def side_bots(context: Context) -> tuple[SideGroup, ...]:
    """The user's bots by mode, live ones first. One query."""
    grouped = defaultdict(list)
    for bot in names_of(context["request"].user):
        grouped[bot.mode].append(bot)
    return tuple(
        SideGroup(
            title=str(title).capitalize(),
            bots=tuple(_side_bot(bot) for bot in grouped[title][:LISTED]),
            more=len(grouped[title][LISTED:]),
            all_href=reverse("bots"),
        )
        for title in sorted(grouped, key=MODES.index)
    )


@register.simple_tag(takes_context=True)
def halt_in_force(context: Context) -> HaltLine | None:
    """The latest halt that covers all bots of the user; halts of one bot stand on its own page. One query."""
    wide = (halt for halt in halts_over(context["request"].user) if halt.bot_id is None)
    return next(wide, None)


def _side_bot(bot: BotName) -> SideBot:
    dot, word = state_mark(bot.status, bot.trading_state, is_halted=bot.is_halted)
    return SideBot(href=reverse("bot", args=[bot.id]), name=bot.name, dot=dot, word=word)


def state_mark(
    status: BotStatus, trading_state: TradingState | None, *, is_halted: bool
) -> tuple[str, str]:
    """(class of the dot, word): what its owner wants, over what breakers and halts allow."""
    if status is not BotStatus.ACTIVE:
        return "off", status.lower()
    if is_halted or trading_state is TradingState.HALTED:
        return "bad", "halted"
    if trading_state is TradingState.REDUCING:
        return "warn", "reducing"
    return "", ""
