"""What may be asked of a bot as it stands: its buttons, the first of them the one to press next.

It offers; the services decide. The trap avoided: a button for what would be refused.
"""

from dataclasses import dataclass, field
from uuid import uuid4

from django.urls import reverse

from bots import models
from bots.domain.bot import STATUS_MOVES, BotStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """A button. `is_post` False: a link to a page that asks first. `kind`: primary, danger or plain.
    `request_id`: pressed twice, it is done once."""

    name: str
    href: str
    icon: str
    kind: str = ""
    is_post: bool = True
    request_id: str = field(default_factory=lambda: uuid4().hex)


def start_of(bot: models.Bot) -> Control | None:
    """The first start of a draft, the next step of its page; None for any other bot, and for one of a cohort,
    which starts with the others."""
    if bot.status != BotStatus.DRAFT or bot.cohort is not None:
        return None
    href = reverse("start_bot", args=[bot.pk])
    return Control(name="Start", href=href, icon="play", kind="primary")


def controls_of(bot: models.Bot, *, holds: bool, is_stopped: bool) -> tuple[Control, ...]:
    """The start of a draft is not among them: it stands with the words that say so. `holds`: something is
    held, or an order may still fill. `is_stopped`: a halt or a breaker covers it."""
    status = BotStatus(bot.status)

    def to(name: str) -> str:
        return reverse(name, args=[bot.pk])

    found = []
    if status is not BotStatus.DRAFT and BotStatus.ACTIVE in STATUS_MOVES[status]:
        found.append(Control(name="Start again", href=to("start_bot"), icon="play", kind="primary"))
    if status is BotStatus.ACTIVE:
        found.append(Control(name="Run now", href=to("run_bot"), icon="play"))
        found.append(Control(name="Pause", href=to("pause_bot"), icon="pause", is_post=False))
    if holds:
        found.append(
            Control(
                name="Flatten", href=to("flatten_bot"), icon="flat", kind="danger", is_post=False
            )
        )
    if is_stopped:
        resume = f"{reverse('resume')}?bot={bot.pk}"
        found.append(Control(name="Resume", href=resume, icon="play", is_post=False))
    elif status is BotStatus.ACTIVE:
        halt = f"{reverse('halt')}?bot={bot.pk}"
        found.append(Control(name="Halt bot", href=halt, icon="halt", kind="danger", is_post=False))
    if BotStatus.ARCHIVED in STATUS_MOVES[status] and not holds:
        found.append(Control(name="Archive", href=to("archive_bot"), icon="x", is_post=False))
    return tuple(found)
