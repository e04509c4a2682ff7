"""One trading cycle, top to bottom, through ports only; and `mark`, the same without a decision.

Nothing here knows paper from live, or a replay from either. A model that raves, hangs or lies is a
recorded hold; a venue that can't be read opens nothing; exits and protection go on in every case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from bots.briefing import brief
from bots.desk import Desk
from bots.domain.records import CycleOutcome, CycleRecord, Plan
from bots.execution import begin_closing, build_orders, store_plans, write_and_send
from bots.exits import manage_exits
from bots.observation import Observation, as_shown, observe, revalued, risk_context
from bots.planning import in_two, plan_decision
from bots.protection import cancel, protect
from llm.domain import Decision, DecisionOutcome
from market.domain.enums import OrderPurpose
from market.errors import VenueUnavailable
from risk.domain import Intent, RiskContext, Ruling, TradingState, Verdict
from risk.engine import review


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What became of a decision: its plan, the veto's word, and the orders that left. `entry_context` is
    the book that entries were judged in, where closes had been sent before them."""

    context: RiskContext
    entry_context: RiskContext | None
    plan: Plan
    verdict: Verdict
    order_ids: tuple[str, ...]


def run_cycle(desk: Desk, slot: str) -> CycleRecord:
    """Run the one decision of a slot and record it whole. A slot already taken is skipped."""
    started_at = desk.clock.now()
    if not desk.ledger.open_cycle(slot, started_at):
        return _record(
            slot, started_at, started_at, CycleOutcome.SKIPPED, reason="slot already taken"
        )
    if not desk.ledger.take_desk():
        return _close(desk, slot, started_at, CycleOutcome.SKIPPED, reason="the desk is busy")
    try:
        return _run(desk, slot, started_at)
    finally:
        desk.ledger.release_desk()


def _run(desk: Desk, slot: str, started_at: datetime) -> CycleRecord:
    try:
        seen = observe(desk, desk.clock.now())  # not when it began: it may have waited for the desk
    except VenueUnavailable as silence:
        return _close(desk, slot, started_at, CycleOutcome.VENUE_UNAVAILABLE, reason=str(silence))
    obey_breakers(desk, seen)
    if seen.state is TradingState.HALTED or not seen.has_usable_instrument:
        manage_exits(desk, seen)
        halted = seen.state is TradingState.HALTED
        outcome = CycleOutcome.HALTED if halted else CycleOutcome.NO_MARKET
        return _finish(desk, slot, started_at, seen, outcome)
    desk.ledger.release_desk()
    shown, note = as_shown(desk, seen, slot)
    decision = desk.trader.decide(brief(desk, shown))
    _charge(desk, decision, slot)
    if not desk.ledger.take_desk():
        return _close(desk, slot, started_at, CycleOutcome.DISCARDED, decision=decision)
    now = desk.clock.now()
    try:
        fresh = seen if _is_still_true(desk, seen, now) else observe(desk, now, may_ask=False)
    except VenueUnavailable as silence:
        return _finish(
            desk,
            slot,
            started_at,
            seen,
            CycleOutcome.VENUE_UNAVAILABLE,
            decision,
            prompt=None if shown is seen else shown,
            reason=str(silence),
        )
    if fresh is not seen:
        obey_breakers(desk, fresh)
    judged = execute(desk, decision, shown, fresh, slot)
    manage_exits(desk, fresh)  # after the trader: what it may have loosened rests nowhere
    reason = "; ".join(told for told in (decision.reason, note) if note and told)
    return _finish(
        desk,
        slot,
        started_at,
        fresh,
        CycleOutcome.DECIDED,
        decision,
        judged,
        prompt=shown,
        reason=reason,
    )


def _is_still_true(desk: Desk, seen: Observation, now: datetime) -> bool:
    """True while no time has passed and nobody wrote: a clock that is held still tells nothing of others."""
    return now == seen.now and desk.ledger.book.positions is seen.account.positions


def mark(desk: Desk) -> Observation | None:
    """Reconcile, value, run the breakers, manage exits, protect: the fast beat. None when the desk is busy
    or the market can't be read; then the next beat does it."""
    if not desk.ledger.take_desk():
        return None
    now = desk.clock.now()
    try:
        seen = observe(desk, now, may_ask=False)
        obey_breakers(desk, seen)
        manage_exits(desk, seen)
        protect(desk, now)
        record_equity(desk, seen)
    except VenueUnavailable:
        return None
    finally:
        desk.ledger.release_desk()
    return seen


def execute(
    desk: Desk, decision: Decision, shown: Observation, fresh: Observation, slot: str
) -> Judged | None:
    """Steps 6–8: plan, review and send what a decision wants of the market as it is `fresh`; `shown` is
    what it was made on. None when it wants nothing."""
    if not decision.items and not decision.void:
        return None
    context = risk_context(desk, fresh, shown.snapshot)
    plan = plan_decision(decision, context, desk.limits)
    first, later = in_two(plan.intents)
    said = {item.symbol: item.invalidation_condition for item in decision.items}
    rulings, order_ids = _judge(desk, first, context, slot, said)
    entry_context = None
    if later:
        if order_ids:
            entry_context = risk_context(desk, revalued(desk, fresh), shown.snapshot)
        more_rulings, more_ids = _judge(desk, later, entry_context or context, slot, said)
        rulings, order_ids = (*rulings, *more_rulings), (*order_ids, *more_ids)
    return Judged(
        context=context,
        entry_context=entry_context,
        plan=plan,
        verdict=Verdict(rulings=rulings),
        order_ids=order_ids,
    )


def _judge(
    desk: Desk,
    intents: Sequence[Intent],
    context: RiskContext,
    slot: str,
    said: Mapping[str, str],
) -> tuple[tuple[Ruling, ...], tuple[str, ...]]:
    """Review some intents and send what was approved; the rulings, and the ids of the orders."""
    if not intents:
        return (), ()
    verdict = review(intents, context, desk.limits)
    store_plans(verdict, desk, said)
    outgoing = build_orders(verdict, desk, f"cycle:{slot}", context.now, said)
    return verdict.rulings, write_and_send(desk, outgoing, context.now)


def obey_breakers(desk: Desk, seen: Observation) -> None:
    """A hard breach closes everything without asking: entries are cancelled, positions begin closing. As long as
    it is HALTED, so that an entry which fills late is closed like the others."""
    if seen.state is not TradingState.HALTED:
        return
    for order in tuple(desk.ledger.book.open_orders.values()):
        if order.purpose is OrderPurpose.ENTRY and order.is_open:
            cancel(desk, order)
    for symbol in desk.ledger.book.positions:  # an entry may have been quicker than its cancel
        begin_closing(desk, symbol)


def record_equity(desk: Desk, seen: Observation) -> None:
    """Store the equity point of this instant, as booked after everything that was done."""
    equity = revalued(desk, seen).equity
    if (
        equity is not None
    ):  # else nobody knows what is held is worth: no point rather than a wrong one
        desk.ledger.record_equity(seen.now, equity)


def _charge(desk: Desk, decision: Decision, slot: str) -> None:
    if decision.completions or decision.outcome is not DecisionOutcome.DECIDED:
        ok = decision.outcome is DecisionOutcome.DECIDED
        desk.ledger.charge_llm(desk.clock.now(), decision.cost, ok=ok, key=slot)


def _finish(
    desk: Desk,
    slot: str,
    started_at: datetime,
    seen: Observation,
    outcome: CycleOutcome,
    decision: Decision | None = None,
    judged: Judged | None = None,
    *,
    prompt: Observation | None = None,
    reason: str = "",
) -> CycleRecord:
    protect(desk, seen.now)
    record_equity(desk, seen)
    snapshots = (seen.snapshot,) if prompt is None else (prompt.snapshot, seen.snapshot)
    record = CycleRecord(
        slot=slot,
        started_at=started_at,
        ended_at=desk.clock.now(),
        outcome=outcome,
        trading_state=seen.state,
        snapshots=snapshots,
        decision=decision,
        limits=desk.limits,
        context=judged.context if judged else None,
        entry_context=judged.entry_context if judged else None,
        plan=judged.plan if judged else None,
        verdict=judged.verdict if judged else None,
        order_ids=judged.order_ids if judged else (),
        equity=seen.equity,
        reason=reason,
    )
    desk.ledger.close_cycle(record)
    return record


def _close(
    desk: Desk,
    slot: str,
    started_at: datetime,
    outcome: CycleOutcome,
    *,
    decision: Decision | None = None,
    reason: str = "",
) -> CycleRecord:
    record = _record(slot, started_at, desk.clock.now(), outcome, decision=decision, reason=reason)
    desk.ledger.close_cycle(record)
    return record


def _record(
    slot: str,
    started_at: datetime,
    ended_at: datetime,
    outcome: CycleOutcome,
    *,
    decision: Decision | None = None,
    reason: str = "",
) -> CycleRecord:
    return CycleRecord(
        slot=slot,
        started_at=started_at,
        ended_at=ended_at,
        outcome=outcome,
        decision=decision,
        reason=reason,
    )
