"""What of a user's bots a person should look at: halts, breakers, stops that are not known to rest. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from bots.domain.bot import BotMode
from bots.queries import BotLine, HaltLine, OpenPosition
from risk.domain import TradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """Something that a person should look at. `mode`: whose money it is about; None: all there is."""

    kind: str
    title: str
    text: str
    href: str
    mode: BotMode | None = None
    at: datetime | None = None


def matters_of(
    lines: Sequence[BotLine], positions: Sequence[OpenPosition], halts: Sequence[HaltLine]
) -> Iterator[Matter]:
    """Halts in force, bots that their breakers hold back, positions whose stop is not known to rest: of all
    bots, whichever money is shown."""
    known = {line.id: line for line in lines}
    for halt in halts:
        if halt.bot_id is None or halt.bot_id in known:
            yield _of_halt(halt, None if halt.bot_id is None else known[halt.bot_id])
    for line in lines:
        if line.trading_state is not TradingState.ACTIVE:
            is_halted = line.trading_state is TradingState.HALTED
            yield Matter(
                mode=line.mode,
                kind="halt" if is_halted else "warn",
                title=f"{line.name} {'has halted itself' if is_halted else 'may only close'}",
                text="It fell too far below its peak: resume it by hand."
                if is_halted
                else "A limit on losses or data holds it back; exits and stops work.",
                href=reverse("bot", args=[line.id]),
            )
    for one in positions:
        if one.held.stop_price is not None and not one.stop_rests:
            yield Matter(
                mode=known[one.bot_id].mode,
                kind="warn",
                title=f"{one.bot}: the stop of {one.held.base} is not known to rest",
                text="The desk places it again with its next look, or closes the position.",
                href=reverse("bot", args=[one.bot_id]),
            )


def _of_halt(halt: HaltLine, line: BotLine | None) -> Matter:
    return Matter(
        mode=None if line is None else line.mode,
        kind="halt",
        title=f"{'All bots' if line is None else line.name} halted by {halt.halted_by}",
        text=halt.reason or "Nothing that opens a position leaves until a person resumes.",
        href=reverse("bots") if line is None else reverse("bot", args=[line.id]),
        at=halt.halted_at,
    )
