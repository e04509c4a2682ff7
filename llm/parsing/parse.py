"""The parser's one door: text in, a valid answer or DecisionUnreadable out, whatever the text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from llm.domain import DecisionAction, DecisionItem
from llm.errors import DecisionUnreadable
from llm.parsing.find import find_values
from llm.parsing.items import Context, read_items
from llm.parsing.scalars import clean_text
from llm.parsing.shapes import RawReply, raw_reply
from market.domain.enums import PositionSide

SUMMARY_CAP = 4000

KEEP_OR_CLOSE = frozenset({DecisionAction.HOLD, DecisionAction.CLOSE})


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDecision:
    """What a text states. At most one item per symbol; `void` names symbols whose items differed;
    `notes` say what was left out or read in an unusual way."""

    summary: str = ""
    items: tuple[DecisionItem, ...] = ()
    void: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def parse_decision(
    text: str,
    symbols: Sequence[str],
    *,
    equity: Decimal | None = None,
    held: Mapping[str, PositionSide] | None = None,
    close_or_keep: bool = False,
) -> ParsedDecision:
    """Read a reply about `symbols`. Raises DecisionUnreadable, and nothing else, for any text.

    `equity` allows risk stated in money to be read as a fraction; `held` (symbol → side, None:
    unknown) tells whether a bare *sell* ends a long; `close_or_keep` drops everything but close and
    hold, with a note: the emergency's rule.
    """
    ours = tuple(symbols)
    try:
        replies = [
            reply for value in find_values(text) if (reply := raw_reply(value, ours)) is not None
        ]
        if not replies:
            raise DecisionUnreadable("the answer states no decision")
        parsed = [_parsed(reply, Context(ours, held, equity)) for reply in _joined(replies)]
    except RecursionError:
        raise DecisionUnreadable("the answer is nested too deeply") from None
    first = parsed[0]
    if any(_traded(other) != _traded(first) for other in parsed[1:]):
        raise DecisionUnreadable("the answer holds two different sets of decisions")
    return _without_trades(first) if close_or_keep else first


def _joined(replies: list[RawReply]) -> list[RawReply]:
    """Lone items beside each other are one answer; whole answers stay apart, to be compared."""
    if len(replies) < 2 or not all(reply.is_one for reply in replies):
        return replies
    items = tuple(item for reply in replies for item in reply.items)
    return [RawReply(replies[0].summary, items, False)]


def _parsed(reply: RawReply, context: Context) -> ParsedDecision:
    by_symbol: dict[str, DecisionItem] = {}
    void: list[str] = []
    for item in read_items(reply.items, context):
        other = by_symbol.setdefault(item.symbol, item)
        if other is item or item.symbol in void:
            continue
        if _terms(other) != _terms(item):
            void.append(item.symbol)
            context.note(f"{item.symbol}: its items contradict each other, so all are void")
    return ParsedDecision(
        summary=clean_text(reply.summary, SUMMARY_CAP),
        items=tuple(item for item in by_symbol.values() if item.symbol not in void),
        void=tuple(void),
        notes=tuple(context.notes),
    )


def _terms(item: DecisionItem) -> DecisionItem:
    """The item without the texts for people: what two items must agree in."""
    return replace(item, justification="", invalidation_condition="")


def _traded(parsed: ParsedDecision) -> object:
    return {item.symbol: _terms(item) for item in parsed.items}, parsed.void


def _without_trades(parsed: ParsedDecision) -> ParsedDecision:
    kept = tuple(item for item in parsed.items if item.action in KEEP_OR_CLOSE)
    notes = tuple(
        f"{item.symbol}: {item.action} is not open to choice now, left out"
        for item in parsed.items
        if item.action not in KEEP_OR_CLOSE
    )
    return replace(parsed, items=kept, notes=parsed.notes + notes)
