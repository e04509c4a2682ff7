"""What a bot did as one sentence for people, with the reason and what the limits said of it.

Pure: it makes words of a cycle's row, of the orders it sent and of trades that ended. The trap avoided: ten
cycles of the same, told ten times.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from bots.domain.entries import ClosedTrade, ExitReason
from bots.domain.records import CycleOutcome
from bots.pages.codes import readable
from bots.pages.verdicts import Verdict, verdicts_of
from bots.pages.wishes import base_of, facts_of
from bots.queries.feed import Doings, SentOrder
from bots.queries.history import CycleLine
from bots.templatetags.figures import count, signed_money
from llm.domain import DecisionOutcome
from market.domain.enums import OrderPurpose, OrderStatus
from risk.domain import TradingState

HELD: Final = "Held: nothing to do"

_NOT_ASKED: Final[Mapping[CycleOutcome, str]] = {
    CycleOutcome.HALTED: "Decided nothing: trading is halted",
    CycleOutcome.NO_MARKET: "Decided nothing: no instrument had usable prices",
    CycleOutcome.VENUE_UNAVAILABLE: "Decided nothing: the venue did not answer",
    CycleOutcome.SKIPPED: "Left a decision out: its desk was in use",
    CycleOutcome.DISCARDED: "Left a decision out: its desk was in use",
}
_NO_DECISION: Final[Mapping[DecisionOutcome, str]] = {
    DecisionOutcome.UNREADABLE: "Held: the reply could not be read",
    DecisionOutcome.REFUSED: "Held: the model refused to answer",
    DecisionOutcome.TIMED_OUT: "Held: the model did not answer in time",
    DecisionOutcome.UNAVAILABLE: "Held: the model could not be asked",
    DecisionOutcome.OVER_BUDGET: "Held: the prompt was over its budget",
}
_TOO_LATE: Final[Mapping[CycleOutcome, str]] = {
    CycleOutcome.VENUE_UNAVAILABLE: "Decided, but the venue did not answer any more",
    CycleOutcome.DISCARDED: "Decided, but its desk was in use by then",
}
_EXITS: Final[Mapping[ExitReason, str]] = {
    ExitReason.STOP: "Stopped out of {base}",
    ExitReason.TARGET: "Hit the target of {base}",
    ExitReason.LIQUIDATION: "Was liquidated in {base}",
    ExitReason.ADL: "Was closed out of {base} by the venue",
    ExitReason.SETTLEMENT: "Was settled out of {base} by the venue",
    ExitReason.EXTERNAL_CLOSE: "Lost {base} to a close from outside",
    ExitReason.CLOSE: "Closed the {side} of {base}",
    ExitReason.REDUCE: "Closed the rest of {base}",
    ExitReason.LADDER: "Took the last profit of {base}",
    ExitReason.TIME_STOP: "Ended the {side} of {base} by its time stop",
    ExitReason.FLIP: "Turned the {side} of {base} around",
    ExitReason.END_OF_DATA: "Closed {base} at the end of the data",
}
_WHY_EXIT: Final[Mapping[ExitReason, str]] = {
    ExitReason.CLOSE: "Asked for by a person, or by a limit that closes everything.",
    ExitReason.LADDER: "Its own rule: the last rung of its ladder closes the rest.",
    ExitReason.TIME_STOP: "Its own rule: it was held for as long as it may be.",
    ExitReason.LIQUIDATION: "Its margin was used up, and the venue closed it.",
    ExitReason.ADL: "The venue closed it to cover the losses of others.",
    ExitReason.EXTERNAL_CLOSE: "It was closed at the venue, and not by this bot.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One thing that a bot did, `times` in a row from `since` to `at`.

    `title`: a sentence in the past tense without its subject. `cycle_id`: the decision behind it, the latest
    of a row; None where none was, as when a stop was hit. `is_quiet`: nothing was wanted. `acted`: an order
    left, or a position ended. `has_more`: the row may have begun before `since`.
    """

    bot_id: UUID
    at: datetime
    since: datetime
    title: str
    why: str = ""
    verdicts: tuple[Verdict, ...] = ()
    cycle_id: UUID | None = None
    is_quiet: bool = False
    acted: bool = False
    times: int = 1
    has_more: bool = False

    @property
    def again(self) -> str:
        """How often in a row; "" for once."""
        if self.times == 1:
            return ""
        return f"{'at least ' if self.has_more else ''}{count(self.times)} times in a row"

    @property
    def act(self) -> str:
        """The title, to stand behind the bot's name."""
        return self.title[:1].lower() + self.title[1:]


# --- One story ---------------------------------------------------------------------------------------


def story_of(
    bot_id: UUID,
    cycle: CycleLine,
    orders: Sequence[SentOrder] = (),
    trades: Sequence[ClosedTrade] = (),
) -> Story:
    """A cycle that has ended, with the orders that it sent and the trades that its exits ended."""
    facts = facts_of(cycle, orders, trades)
    verdicts = verdicts_of(cycle, orders)
    return Story(
        bot_id=bot_id,
        at=cycle.started_at,
        since=cycle.started_at,
        title=_title(cycle, facts),
        why=_why(cycle, facts),
        verdicts=verdicts,
        cycle_id=cycle.id,
        is_quiet=not facts and not verdicts,
        acted=any(order.status is not OrderStatus.DENIED for order in orders),
    )


def exit_story(bot_id: UUID, trade: ClosedTrade) -> Story:
    """A trade that ended without a decision: at its stop or target, or by somebody's hand."""
    words = _EXITS[trade.exit_reason].format(base=base_of(trade.symbol), side=trade.side.lower())
    return Story(
        bot_id=bot_id,
        at=trade.closed_at,
        since=trade.closed_at,
        title=f"{words}, {signed_money(trade.net_pnl)}",
        why=_WHY_EXIT.get(trade.exit_reason, ""),
        acted=True,
    )


def _title(cycle: CycleLine, facts: Sequence[str]) -> str:
    if cycle.outcome is None:
        return "Was cut off before its decision was done"
    if cycle.decision and cycle.outcome in _TOO_LATE:
        return _TOO_LATE[cycle.outcome]
    if not cycle.decision or cycle.outcome is not CycleOutcome.DECIDED:
        return _NOT_ASKED.get(cycle.outcome, "Decided nothing")
    if not facts:
        return _NO_DECISION.get(DecisionOutcome(cycle.decision), HELD)
    text = "; ".join(facts)
    return text[:1].upper() + text[1:]


def _why(cycle: CycleLine, facts: Sequence[str]) -> str:
    """What it said itself; where nothing was done, why not."""
    if facts:
        return _readable(cycle.summary)
    reason = _readable(cycle.reason or cycle.summary)
    if not reason and cycle.trading_state is TradingState.REDUCING:
        return "It may only close positions for now."
    return reason


_SYMBOL: Final = re.compile(r"\b([A-Z0-9]+)/[A-Z0-9]+(?::[A-Z0-9]+)?")
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|\+00:00)")


def _readable(text: str) -> str:
    """A reason with BTC for BTC/USDT:USDT, and with instants as people write them."""
    plain = _SYMBOL.sub(r"\1", text)
    return _INSTANT.sub(lambda found: readable(found[0].replace("Z", "+00:00")), plain)


# --- Many stories ------------------------------------------------------------------------------------


def feed(doings: Doings, holding: Mapping[UUID, Sequence[str]] | None = None) -> list[Story]:
    """Everything that several bots did, the latest first; the same done again and again is one story.

    `holding`: the symbols that each bot holds now, for what it kept in its latest cycles.
    """
    stories: list[Story] = []
    for bot_id in dict.fromkeys(bot for bot, _ in (*doings.cycles, *doings.trades)):
        cycles = [cycle for owner, cycle in doings.cycles if owner == bot_id]
        trades = [trade for owner, trade in doings.trades if owner == bot_id]
        folded = cut_at(
            doings.complete_since, fold(stories_of(bot_id, cycles, doings.orders, trades))
        )
        if holding is not None:
            folded[:1] = [_keeping(one, holding.get(bot_id, ())) for one in folded[:1]]
        stories += folded
    return sorted(stories, key=lambda story: (story.at, story.bot_id), reverse=True)


def stories_of(
    bot_id: UUID,
    cycles: Sequence[CycleLine],
    orders: Mapping[UUID, Sequence[SentOrder]],
    trades: Sequence[ClosedTrade],
) -> list[Story]:
    """What one bot did, the latest first: its cycles, and the trades that ended without one of them."""
    told, rest = [], list(trades)
    for cycle in cycles:
        sent = orders.get(cycle.id, ())
        ended = [trade for trade in rest if _is_of(trade, cycle, sent)]
        rest = [trade for trade in rest if trade not in ended]
        told.append(story_of(bot_id, cycle, sent, ended))
    told += [exit_story(bot_id, trade) for trade in rest]
    return sorted(told, key=lambda story: story.at, reverse=True)


def fold(stories: Sequence[Story]) -> list[Story]:
    """Stories of one bot, the latest first: neighbours that tell the same become one."""
    folded = []
    for _, same in groupby(stories, key=_what_it_tells):
        first, *others = same
        times = sum((one.times for one in others), first.times)
        folded.append(
            replace(first, times=times, since=others[-1].since if others else first.since)
        )
    return folded


def cut_at(since: datetime | None, stories: Sequence[Story]) -> list[Story]:
    """Stories of one bot, the latest first: of the last one since then, the beginning may be missing."""
    if since is None:
        return list(stories)
    number = sum(story.since >= since for story in stories)
    return [
        replace(story, has_more=not story.acted) if index == number - 1 else story
        for index, story in enumerate(stories)
    ]


def _what_it_tells(story: Story) -> object:
    """Equal for stories that may be folded: nothing left in them, and the same limits spoke."""
    if story.acted:
        return story.at, story.cycle_id, story.title
    return story.title, tuple((one.symbol, one.name) for one in story.verdicts)


def _keeping(story: Story, symbols: Sequence[str]) -> Story:
    """What a bot held while it did nothing: of its latest cycles this is known."""
    if story.title != HELD:
        return story
    *others, last = [base_of(symbol) for symbol in symbols] or [""]
    kept = f"{', '.join(others)} and {last}" if others else last
    return replace(story, title=f"Kept {kept}" if kept else "Stayed out of the market")


def _is_of(trade: ClosedTrade, cycle: CycleLine, orders: Sequence[SentOrder]) -> bool:
    """True when an exit of this cycle ended the trade."""
    if cycle.ended_at is None or not cycle.started_at <= trade.closed_at <= cycle.ended_at:
        return False
    return any(
        order.symbol == trade.symbol
        and order.purpose in (OrderPurpose.CLOSE, OrderPurpose.REDUCE)
        and order.filled
        for order in orders
    )
