"""Everything that the page of one decision shows: its sentence, its evidence, its orders, and its neighbours."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from bots import models
from bots.pages import evidence, executed
from bots.pages.bot import mode_words, rule_name, took
from bots.pages.bot_charts import listed
from bots.pages.rulings import rulings_of
from bots.pages.stories import story_of
from bots.pages.wishes import base_of
from bots.queries.decision import DecisionDetail, recheck
from bots.queries.feed import SentOrder, orders_in
from bots.queries.holdings import ended_between
from bots.templatetags.parts import length
from llm.domain import DecisionOutcome
from market.domain.enums import OrderPurpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What came of computing a decision anew: `stages`, in words, of which those that `differs` names come
    out otherwise today; `problem`: why it could not be done."""

    stages: str = ""
    differs: tuple[str, ...] = ()
    problem: str = ""


def decision_context(
    cycle: models.TradingCycle, detail: DecisionDetail, *, check: bool
) -> dict[str, Any]:
    """What the page shows; `check`: compute the decision anew as well. Three queries at most."""
    line, record = detail.cycle, detail.record or {}
    orders: tuple[SentOrder, ...] = orders_in([cycle.pk]).get(cycle.pk, ())
    ended = line.ended_at
    trades = () if ended is None else ended_between(cycle.bot, line.started_at, ended)
    rulings = rulings_of(record, detail.steps)
    done = executed.done(detail)
    said = record.get("decision") or {}
    asked = evidence.asked(record)
    names, saw = evidence.saw(record)
    return {
        "bot": cycle.bot,
        "mode": mode_words(cycle.bot),
        "cycle": line,
        "took": took(line),
        "trader": rule_name(line.trader),
        "is_running": line.status == models.CycleStatus.RUNNING,
        "story": story_of(cycle.bot_id, line, orders, trades),
        "counts": tuple(
            (word, f"{count} {word}")
            for word in ("clamped", "approved", "denied")
            if (count := sum(one.word == word for one in rulings))
        ),
        "earlier": detail.earlier,
        "later": detail.later,
        "names": names,
        "saw": saw,
        "shows_trend": any(one.trend for one in saw),
        "marks": evidence.marks(record),
        "left_out": evidence.left_out(record),
        "account": evidence.account(record),
        "wishes": evidence.wishes(record, detail.steps),
        "held_because": _held_because(line.decision),
        "noted": evidence.noted(record),
        "doubts": tuple(
            (f"{base_of(one.symbol)}: " if one.symbol else "", one.text)
            for one in evidence.doubts_of(record)
        ),
        "rulings": rulings,
        "done": done,
        "is_protected": any(one.executed.order.purpose is OrderPurpose.STOP for one in done),
        "fees": tuple(executed.fees_of(done).items()),
        "asked": asked,
        "timing": () if asked is None or ended is None else _timing(asked, ended - line.started_at),
        "prompts": evidence.prompts(record),
        "is_rule": bool(said) and not said.get("prompts"),
        "hashes": tuple(record.get("snapshots") or ()),
        "check": _check(detail.record) if check else None,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A part of the time a decision took, as a bar: SVG lengths."""

    name: str
    start: str
    width: str
    text: str
    is_model: bool


def _timing(asked: evidence.Asked, whole: timedelta) -> tuple[Share, ...]:
    """How long the model thought, and everything else: market, reconciling, limits, orders, books."""
    seconds = Decimal(str(whole.total_seconds()))
    part = min(asked.seconds / seconds, Decimal(1)) if seconds > 0 else Decimal(1)
    rest = max(seconds - asked.seconds, Decimal(0))
    return (
        Share(
            name="Model",
            start="0%",
            width=length(part),
            text=f"{asked.seconds:.2f} s",
            is_model=True,
        ),
        Share(
            name="The rest",
            start=length(part),
            width=length(1 - part),
            text=f"{rest:.2f} s",
            is_model=False,
        ),
    )


def _held_because(decision: str) -> str:
    return evidence.HELD_BECAUSE.get(DecisionOutcome(decision), "") if decision else ""


def _check(record: dict[str, Any] | None) -> Check:
    if record is None:
        return Check(problem="nothing was recorded")
    try:
        stages = evidence.recomputable(record)
        differs = tuple(dict.fromkeys(one.stage for one in recheck(record)))
        return Check(stages=listed(list(stages)) if stages else "", differs=differs)
    except ValueError as error:
        return Check(problem=str(error))
