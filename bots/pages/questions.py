"""What a person is asked before something grave is done: in numbers, with the way out in front.

It counts at the latest prices and changes nothing. The trap avoided: a confirmation that says "are you sure"
and not what will happen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from django.urls import reverse

from bots import models, queries
from bots.queries import BotLine, HaltLine, Total
from bots.templatetags.figures import count, money
from risk.domain import TradingState
from tradingagent.accounts.models import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Button:
    """A way to answer; with `name`, the field and value that it sends. `kind`: sure, danger or plain."""

    text: str
    icon: str = ""
    kind: str = ""
    name: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the facts behind it, and its answers. `reason`: the label of the reason's field; "" asks
    for none. `stay`: the way out, which has the focus, and `stay_href` where it leads."""

    title: str
    facts: tuple[str, ...]
    action: str
    buttons: tuple[Button, ...]
    stay: str
    stay_href: str
    reason: str = ""
    hidden: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What some bots have at stake: one total for each kind of money, and entries that may still fill."""

    bots: tuple[BotLine, ...]
    totals: tuple[Total, ...]
    entries: int

    @property
    def positions(self) -> int:
        return sum(total.open_positions for total in self.totals)


def stakes_of(user: User, bot: models.Bot | None = None) -> Stakes:
    """What a bot, or (None) all bots of a user have at stake. Seven queries."""
    found = queries.portfolio(user)
    lines = tuple(line for line in found.bots if bot is None or line.id == bot.pk)
    staked = queries.at_stake([line.stand for line in lines], found.prices)
    return Stakes(bots=lines, totals=queries.totals_of(lines), entries=staked.entries)


def ask_halt(stakes: Stakes, bot: models.Bot | None) -> Question:
    """Halt one bot, or all of the user's?"""
    held = stakes.positions
    whom = _bots(len(stakes.bots)) if bot is None else bot.name
    keeps = "its stop" if held == 1 else "their stops"
    facts = [f"Nothing that opens a position leaves any more: {whom}, until you resume."]
    if held:
        facts.append(
            f"{_worth(stakes)}: kept with {keeps} resting, or closed at market if you choose so."
        )
    if stakes.entries:
        facts.append(f"{_entries(stakes.entries)}: cancelled if you close everything.")
    facts.append("Stops, targets and closes go on.")
    close = Button(
        text=f"Halt and close {_positions(held)}",
        icon="flat",
        kind="danger",
        name="flatten",
        value="1",
    )
    return Question(
        title="Halt all trading?" if bot is None else f"Halt {bot.name}?",
        facts=tuple(facts),
        action=reverse("halt"),
        buttons=(
            Button(text="Halt", icon="halt", kind="danger sure"),
            *((close,) if held or stakes.entries else ()),
        ),
        stay="Keep trading",
        stay_href=_page_of(bot),
        reason="Reason, for the audit trail",
        hidden={} if bot is None else {"bot": str(bot.pk)},
    )


def ask_flatten(stakes: Stakes, bot: models.Bot) -> Question:
    """Close everything of one bot?"""
    facts = [f"Closes {_worth(stakes)} at market, reduce-only."] if stakes.positions else []
    if stakes.entries:
        facts.append(f"Cancels {_entries(stakes.entries)}.")
    if not facts:
        facts.append("Nothing is held and no entry waits: there is nothing to close now.")
    facts.append("It goes on deciding afterwards; pause it if it is to stay out of the market.")
    return Question(
        title=f"Close everything of {bot.name}?",
        facts=tuple(facts),
        action=reverse("flatten_bot", args=[bot.pk]),
        buttons=(
            Button(text=f"Close {_positions(stakes.positions)}", icon="flat", kind="danger sure"),
        ),
        stay="Keep it as it is",
        stay_href=_page_of(bot),
    )


def ask_pause(stakes: Stakes, bot: models.Bot) -> Question:
    """Let a bot decide nothing until it is started again?"""
    held = stakes.positions
    facts = ["It decides and opens nothing until you start it again."]
    if held:
        keeps = "its stop" if held == 1 else "their stops"
        facts.append(
            f"{_worth(stakes)}: kept with {keeps} resting, or closed at market if you choose so."
        )
    if stakes.entries:
        facts.append(f"{_entries(stakes.entries)}: cancelled if you close everything.")
    close = Button(
        text=f"Pause and close {_positions(held)}",
        icon="flat",
        kind="danger",
        name="flatten",
        value="1",
    )
    return Question(
        title=f"Pause {bot.name}?",
        facts=tuple(facts),
        action=reverse("pause_bot", args=[bot.pk]),
        buttons=(
            Button(text="Pause", icon="pause", kind="primary"),
            *((close,) if held or stakes.entries else ()),
        ),
        stay="Keep it running",
        stay_href=_page_of(bot),
    )


def ask_archive(bot: models.Bot) -> Question:
    """Put a bot away for good?"""
    return Question(
        title=f"Archive {bot.name}?",
        facts=(
            "It never decides or trades again, and can't be taken back.",
            "Its history stays: decisions, orders and books can still be read.",
        ),
        action=reverse("archive_bot", args=[bot.pk]),
        buttons=(Button(text="Archive", icon="x", kind="danger sure"),),
        stay="Keep it",
        stay_href=_page_of(bot),
    )


def ask_resume(stakes: Stakes, halts: Sequence[HaltLine], bot: models.Bot | None) -> Question:
    """Let bots open positions again? `halts`: those in force, as the user may see them."""
    mine = [
        one for one in halts if one.scope != models.HaltScope.ALL and one.bot_id == (bot and bot.pk)
    ]
    stopped = bot is not None and any(
        line.trading_state is TradingState.HALTED for line in stakes.bots
    )
    facts = list(_why(mine, halts, is_stopped=stopped))
    their = "their" if bot is None else "its"
    if mine or stopped:
        facts.append(f"From then on {their} decisions open positions again, within {their} limits.")
    return Question(
        title="Resume trading?" if bot is None else f"Resume {bot.name}?",
        facts=tuple(facts),
        action=reverse("resume"),
        buttons=(Button(text="Resume", icon="play", kind="primary"),) if mine or stopped else (),
        stay="Stay halted" if mine or stopped else "Back",
        stay_href=_page_of(bot),
        reason="Why now, for the audit trail" if mine or stopped else "",
        hidden={} if bot is None else {"bot": str(bot.pk)},
    )


def _why(mine: Sequence[HaltLine], halts: Sequence[HaltLine], *, is_stopped: bool) -> Iterator[str]:
    """What holds these bots back, and who alone can end it."""
    for halt in mine:
        whom = "all bots" if halt.bot_id is None else "this bot"
        yield f"{_who_halted(halt, whom)}."
    if is_stopped:
        yield "It halted itself at its hard drawdown; its peak starts anew at what it is worth now."
    if not mine and not is_stopped:
        yield "Nothing that you could resume is halted here."
    for halt in halts:
        if halt.scope == models.HaltScope.ALL:
            yield f"{_who_halted(halt, 'everyone')}: only the operator can resume that."


def _who_halted(halt: HaltLine, whom: str) -> str:
    reason = f" (“{halt.reason}”)" if halt.reason else ""
    return f"{halt.halted_by} halted {whom} on {halt.halted_at:%d %b %Y, %H:%M} UTC{reason}"


def _page_of(bot: models.Bot | None) -> str:
    return reverse("dashboard") if bot is None else reverse("bot", args=[bot.pk])


def _bots(number: int) -> str:
    return "1 bot" if number == 1 else f"{count(number)} bots"


def _positions(number: int) -> str:
    return "everything" if not number else f"{count(number)} position{'' if number == 1 else 's'}"


def _entries(number: int) -> str:
    return f"{count(number)} waiting entr{'y' if number == 1 else 'ies'}"


def _worth(stakes: Stakes) -> str:
    """5 paper positions worth 12,310.20 USDT and 1 live position worth 900.00 USDT."""
    return " and ".join(
        f"{count(total.open_positions)} {total.mode.lower()} position"
        f"{'' if total.open_positions == 1 else 's'} worth {money(total.gross_exposure)} {total.currency}"
        for total in queries.by_rank(stakes.totals)
        if total.open_positions
    )
