"""The breakers: one beat of net asset value in, the trading state out. A pure fold, no clock of its own.

Each breaker is a reason; the state follows from the reasons held: HARD_DRAWDOWN is HALTED, any other
is REDUCING, none is ACTIVE. Drawdown is measured from its own peak (the soft one starts over after its
cooldown, the hard one when a person resumes), the day's loss from the last NAV before
the owner's midnight. A day begins once: neither a clock that lags nor an owner who moves west makes the loss
of one be forgotten. A breaker trips *at* its threshold. A NAV that rests on implausible marks is not
looked at, and one tick past the hard drawdown flattens nothing: it takes two beats, on prices that move.

A quiet beat (nothing trips, clears or is due) only moves the peak, the last NAV and the flat time, so a
replay may fold many at once with `quiet_beats`; `thresholds` and `next_deadline` say how far.
"""

from collections.abc import Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from market.domain.evolve import evolve
from market.domain.numbers import ONE, ZERO
from risk.domain import (
    BreakerInput,
    BreakerResult,
    BreakerState,
    Code,
    Limits,
    TradingState,
)

BREAKERS: Final = (
    Code.HARD_DRAWDOWN,
    Code.SOFT_DRAWDOWN,
    Code.DAILY_LOSS,
    Code.LOSS_STREAK,
    Code.STALE_DATA,
    Code.MODEL_FAILURES,
    Code.LLM_BUDGET,
    Code.FUNDING_COST,
)
"""Every reason a breaker may hold, gravest first."""
OF_A_DAY: Final = frozenset({Code.DAILY_LOSS, Code.LLM_BUDGET, Code.FUNDING_COST})
"""Cleared by the owner's midnight."""
COOLING: Final = frozenset({Code.SOFT_DRAWDOWN, Code.LOSS_STREAK})
"""Cleared by a flat book for `breaker_cooldown`."""
HARD_BEATS: Final = 2
AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class NavThresholds:
    """The highest NAV at or below which each breaker would trip now; None: off, or held already."""

    daily_loss: Decimal | None
    soft_drawdown: Decimal | None
    hard_drawdown: Decimal | None

    @property
    def highest(self) -> Decimal | None:
        """Above this NAV none of them trips."""
        levels = (self.daily_loss, self.soft_drawdown, self.hard_drawdown)
        return max((level for level in levels if level is not None), default=None)


def thresholds(
    state: BreakerState, limits: Limits, peak_nav: Decimal | None = None
) -> NavThresholds:
    """Where the breakers of NAV would trip. `peak_nav`: as if the peak had risen to it meanwhile, so that
    beats up to `peak_nav` and above the answer's `highest` are surely quiet."""
    risen = ZERO if peak_nav is None else peak_nav
    soft_peak, peak = max(state.soft_peak_nav, risen), max(state.peak_nav, risen)
    held = state.reasons
    return NavThresholds(
        daily_loss=_level(
            Code.DAILY_LOSS, state.day_open_nav, limits.max_daily_loss_fraction, held
        ),
        soft_drawdown=_level(Code.SOFT_DRAWDOWN, soft_peak, limits.soft_drawdown_fraction, held),
        hard_drawdown=_level(Code.HARD_DRAWDOWN, peak, limits.hard_drawdown_fraction, held),
    )


def _level(code: Code, base: Decimal, fraction: Decimal | None, held: Set[Code]) -> Decimal | None:
    return None if fraction is None or code in held else base * (ONE - fraction)


def next_deadline(state: BreakerState, limits: Limits) -> datetime | None:
    """When time alone will clear a breaker or ask the emergency prompt again: run a real beat then.

    `AT_ONCE` when the next beat will do more than move: the first one, one that a stale or breached beat
    stands before, or a count or cost that passed its limit, or fell back, since the last one. The
    owner's midnight is the caller's to know. None: nothing is pending.
    """
    if not state.day or state.counted_day != state.day or state.stale_beats:
        return AT_ONCE
    if state.hard_breach_beats or _counted(state, limits) != state.reasons & _COUNTED:
        return AT_ONCE
    if limits.max_loss_streak is not None and state.loss_streak >= limits.max_loss_streak:
        if Code.LOSS_STREAK not in state.reasons:
            return AT_ONCE
    due = [_cooled_at(state, limits), _asked_again_at(state, limits)]
    return min((instant for instant in due if instant is not None), default=None)


def _cooled_at(state: BreakerState, limits: Limits) -> datetime | None:
    """The end of the cooldown: flat, and tripped, for that long. None while not flat, not cooling, or
    HALTED, which only a person ends."""
    if state.flat_since is None or state.reasons.isdisjoint(COOLING):
        return None
    if Code.HARD_DRAWDOWN in state.reasons:
        return None
    since = state.flat_since
    if state.cooling_since is not None and state.cooling_since > since:
        since = state.cooling_since
    return since + limits.breaker_cooldown


def _asked_again_at(state: BreakerState, limits: Limits) -> datetime | None:
    """When close-or-keep is due: at once, or an interval after it was last asked; None when it is not."""
    if Code.SOFT_DRAWDOWN not in state.reasons or Code.HARD_DRAWDOWN in state.reasons:
        return None
    if state.flat_since is not None:
        return None
    if state.emergency_asked_at is None:
        return AT_ONCE
    return state.emergency_asked_at + limits.emergency_interval


def beat(state: BreakerState, given: BreakerInput, limits: Limits) -> BreakerResult:
    """Fold one beat. The first one sets peak and day; `flatten` is repeated until the book is flat."""
    if _is_quiet(state, given, limits):
        return BreakerResult(state=_moved(state, given))
    return _full_beat(state, given, limits)


def _is_quiet(state: BreakerState, given: BreakerInput, limits: Limits) -> bool:
    """Nothing is held, counted or out of the ordinary, and NAV is above every threshold."""
    if state.reasons or given.is_stale or not given.is_plausible:
        return False
    if given.local_day > state.day or state.counted_day < state.day:
        return False
    if state.hard_breach_beats or state.stale_beats or not state.day_open_nav:
        return False
    nav = given.nav
    soft, hard = limits.soft_drawdown_fraction, limits.hard_drawdown_fraction
    if soft is not None and nav < state.soft_peak_nav and nav <= state.soft_peak_nav * (ONE - soft):
        return False
    if hard is not None and nav < state.peak_nav and nav <= state.peak_nav * (ONE - hard):
        return False
    daily = limits.max_daily_loss_fraction
    if daily is not None and nav <= state.day_open_nav * (ONE - daily):
        return False
    if limits.max_loss_streak is not None and state.loss_streak >= limits.max_loss_streak:
        return False
    return not _counted(state, limits)


def _moved(state: BreakerState, given: BreakerInput) -> BreakerState:
    """The state after a quiet beat; the same object when nothing moved."""
    nav, flat_since = given.nav, state.flat_since
    if not given.is_flat:
        flat_since = None
    elif flat_since is None:
        flat_since = given.now
    if nav == state.last_nav and flat_since is state.flat_since and nav <= state.soft_peak_nav:
        return state
    return _with(state, nav, nav, flat_since)


def _with(
    state: BreakerState, highest: Decimal, last: Decimal, flat_since: datetime | None
) -> BreakerState:
    """A copy with no stale or breach beats, both peaks at least `highest`."""
    return evolve(
        state,
        peak_nav=max(state.peak_nav, highest),
        soft_peak_nav=max(state.soft_peak_nav, highest),
        last_nav=last,
        flat_since=flat_since,
        stale_beats=0,
        hard_breach_beats=0,
    )


def quiet_beats(
    state: BreakerState,
    *,
    first_at: datetime,
    peak_nav: Decimal,
    last_nav: Decimal,
    is_flat: bool,
) -> BreakerState:
    """The state after any number (≥ 1) of beats that trip, clear and ask nothing: on the day of the
    state, plausible and fresh, above every threshold, before `next_deadline`, the book flat in all of
    them or in none. Equal to folding them one by one. `peak_nav` is the highest NAV among them,
    `first_at` the instant of the first."""
    flat_since = (state.flat_since or first_at) if is_flat else None
    return _with(state, peak_nav, last_nav, flat_since)


def _full_beat(state: BreakerState, given: BreakerInput, limits: Limits) -> BreakerResult:
    before = state.reasons
    state = _observed(_on_day(state, given), given)
    reasons = (state.reasons - _COUNTED) | _counted(state, limits)
    if given.is_plausible:
        state, reasons = _judged_by_nav(state, reasons, given, limits)
    if limits.max_loss_streak is not None and state.loss_streak >= limits.max_loss_streak:
        reasons |= {Code.LOSS_STREAK}
    state = _settled(state, reasons, before, given)
    if given.is_plausible:
        state = _cooled(state, given, limits)
    asks = _asks(state, given, limits)
    if asks:
        state = replace(state, emergency_asked_at=given.now)
    after = state.reasons
    return BreakerResult(
        state=state,
        tripped=tuple(code for code in BREAKERS if code in after and code not in before),
        cleared=tuple(code for code in BREAKERS if code in before and code not in after),
        flatten=Code.HARD_DRAWDOWN in after and not given.is_flat,
        ask_emergency=Code.SOFT_DRAWDOWN if asks else None,
    )


def _on_day(state: BreakerState, given: BreakerInput) -> BreakerState:
    """A new local day starts at the last NAV before it and drops the reasons of the old one."""
    if given.local_day > state.day:
        opened = state.last_nav if state.day or not given.is_plausible else given.nav
        reasons = state.reasons - OF_A_DAY
        state = replace(state, day=given.local_day, day_open_nav=opened, reasons=reasons)
    if state.counted_day < state.day:
        state = replace(state, counted_day=state.day, llm_cost_today=ZERO, funding_today=ZERO)
    return state


def _observed(state: BreakerState, given: BreakerInput) -> BreakerState:
    """Peak, last NAV and breach count move with plausible NAVs only; the rest with every beat."""
    flat_since = (state.flat_since or given.now) if given.is_flat else None
    stale = state.stale_beats + 1 if given.is_stale else 0
    state = replace(state, flat_since=flat_since, stale_beats=stale)
    if not given.is_plausible:
        return state
    first = not state.day_open_nav and not state.peak_nav
    return replace(
        state,
        peak_nav=max(state.peak_nav, given.nav),
        soft_peak_nav=max(state.soft_peak_nav, given.nav),
        last_nav=given.nav,
        day_open_nav=given.nav if first else state.day_open_nav,
    )


_COUNTED: Final = frozenset(
    {Code.STALE_DATA, Code.MODEL_FAILURES, Code.LLM_BUDGET, Code.FUNDING_COST}
)
_NOTHING: Final[frozenset[Code]] = frozenset()


def _counted(state: BreakerState, limits: Limits) -> frozenset[Code]:
    """Reasons that hold exactly as long as their count or cost stands at its limit."""
    found = _NOTHING
    cap: Decimal | int | None = limits.max_stale_beats
    if cap is not None and state.stale_beats >= cap:
        found |= {Code.STALE_DATA}
    cap = limits.max_model_failures
    if cap is not None and state.model_failures >= cap:
        found |= {Code.MODEL_FAILURES}
    cap = limits.max_llm_cost_per_day
    if cap is not None and state.llm_cost_today >= cap:
        found |= {Code.LLM_BUDGET}
    share = limits.max_funding_cost_fraction
    if share is not None and state.funding_today < 0:
        if -state.funding_today >= share * state.day_open_nav:
            found |= {Code.FUNDING_COST}
    return found


def _judged_by_nav(
    state: BreakerState, reasons: frozenset[Code], given: BreakerInput, limits: Limits
) -> tuple[BreakerState, frozenset[Code]]:
    """Daily loss and drawdowns at the peak that includes this NAV; the hard one on its second beat."""
    levels = thresholds(state, limits)
    if levels.daily_loss is not None and given.nav <= levels.daily_loss:
        reasons |= {Code.DAILY_LOSS}
    if levels.soft_drawdown is not None and given.nav <= levels.soft_drawdown:
        reasons |= {Code.SOFT_DRAWDOWN}
    if levels.hard_drawdown is None or given.nav > levels.hard_drawdown:
        return replace(state, hard_breach_beats=0, hard_breach_at=None), reasons
    if _is_same_tick(state, given):
        return state, reasons
    beats = state.hard_breach_beats + 1
    if beats >= HARD_BEATS:
        return replace(state, hard_breach_beats=0, hard_breach_at=None), reasons | {
            Code.HARD_DRAWDOWN
        }
    return replace(state, hard_breach_beats=beats, hard_breach_at=given.quoted_at), reasons


def _is_same_tick(state: BreakerState, given: BreakerInput) -> bool:
    """True when no price has been told since the beat before, which was past the hard drawdown, too."""
    last = state.hard_breach_at
    return last is not None and given.quoted_at is not None and given.quoted_at <= last


def _settled(
    state: BreakerState, reasons: frozenset[Code], before: frozenset[Code], given: BreakerInput
) -> BreakerState:
    """The state that follows from its reasons, and since when."""
    cooling_since = state.cooling_since
    if (reasons - before) & COOLING:
        cooling_since = given.now
    trading = _state_of(reasons)
    reducing_since = state.reducing_since
    if trading is TradingState.ACTIVE:
        reducing_since = None
    elif reducing_since is None:
        reducing_since = given.now
    return replace(
        state,
        state=trading,
        reasons=reasons,
        reducing_since=reducing_since,
        cooling_since=cooling_since,
    )


def _state_of(reasons: Set[Code]) -> TradingState:
    if Code.HARD_DRAWDOWN in reasons:
        return TradingState.HALTED
    return TradingState.REDUCING if reasons else TradingState.ACTIVE


def _cooled(state: BreakerState, given: BreakerInput, limits: Limits) -> BreakerState:
    """After the cooldown each cooling reason starts over: the soft peak at this NAV, the streak at 0."""
    due = _cooled_at(state, limits)
    if due is None or given.now < due:
        return state
    reasons = state.reasons - COOLING
    was_soft = Code.SOFT_DRAWDOWN in state.reasons
    return replace(
        state,
        reasons=reasons,
        state=_state_of(reasons),
        soft_peak_nav=given.nav if was_soft else state.soft_peak_nav,
        loss_streak=0 if Code.LOSS_STREAK in state.reasons else state.loss_streak,
        emergency_asked_at=None if was_soft else state.emergency_asked_at,
        cooling_since=None,
        reducing_since=state.reducing_since if reasons else None,
    )


def _asks(state: BreakerState, given: BreakerInput, limits: Limits) -> bool:
    """Close-or-keep: once per entry into the soft drawdown, then at most every interval; not while flat,
    nor on prices that can't be trusted, nor when the next beat may flatten."""
    if not given.may_ask or not given.is_plausible or state.hard_breach_beats:
        return False
    due = _asked_again_at(state, limits)
    return due is not None and given.now >= due


# --- What happens between beats --------------------------------------------------------------------


def on_closed_trade(state: BreakerState, net: Decimal, fees: Decimal) -> BreakerState:
    """Count a round trip: a loss lengthens the streak, a win ends it, a scratch (|net| < fees) is neither."""
    if abs(net) < fees or net == 0:
        return state
    streak = state.loss_streak + 1 if net < 0 else 0
    return state if streak == state.loss_streak else replace(state, loss_streak=streak)


def on_model_result(state: BreakerState, ok: bool) -> BreakerState:
    """Count a failed decision; a success starts over."""
    failures = 0 if ok else state.model_failures + 1
    return state if failures == state.model_failures else replace(state, model_failures=failures)


def on_llm_cost(state: BreakerState, cost: Decimal, local_day: str | None = None) -> BreakerState:
    """Add a model's cost to the owner's local day (None: the day of the last beat)."""
    state = _counting(state, local_day)
    return replace(state, llm_cost_today=state.llm_cost_today + cost)


def on_funding(state: BreakerState, amount: Decimal, local_day: str | None = None) -> BreakerState:
    """Add a funding payment, > 0 received, per NAV unit, to the owner's local day (None: the last beat's)."""
    state = _counting(state, local_day)
    return replace(state, funding_today=state.funding_today + amount)


def _counting(state: BreakerState, local_day: str | None) -> BreakerState:
    day = local_day or state.day
    if day <= state.counted_day:  # told late: it counts to the day under way, and resets nothing
        return state
    return replace(state, counted_day=day, llm_cost_today=ZERO, funding_today=ZERO)


def resume(state: BreakerState, nav: Decimal, now: datetime) -> BreakerState:
    """A person lets a HALTED bot trade again: the peak starts at this NAV and both drawdowns are forgotten.

    The other reasons stay until they clear by themselves: the day's loss, costs, streak, data, model.
    """
    reasons = state.reasons - {Code.HARD_DRAWDOWN, Code.SOFT_DRAWDOWN}
    return replace(
        state,
        state=_state_of(reasons),
        reasons=reasons,
        peak_nav=nav,
        soft_peak_nav=nav,
        last_nav=nav,
        hard_breach_beats=0,
        hard_breach_at=None,
        emergency_asked_at=None,
        reducing_since=now if reasons else None,
        cooling_since=now if reasons & COOLING else None,
    )
