"""What a replay may fold at once: thresholds, deadlines and quiet beats."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from risk.breakers import (
    AT_ONCE,
    beat,
    next_deadline,
    on_closed_trade,
    on_funding,
    on_llm_cost,
    on_model_result,
    quiet_beats,
    thresholds,
)
from risk.domain import BreakerInput, BreakerState, Code
from tests.risk.beats import ACTIVE, HALTED, MINUTE, REDUCING, START, Desk, limits
from tests.risk.build import D


def test_thresholds_are_where_it_trips():
    desk = Desk(max_daily_loss_fraction=D("0.05"), soft_drawdown_fraction=D("0.1"),
                hard_drawdown_fraction=D("0.2"))  # fmt: skip
    desk.beat(200)

    levels = thresholds(desk.state, desk.limits)
    assert (levels.daily_loss, levels.soft_drawdown, levels.hard_drawdown) == (
        D(95),
        D(180),
        D(160),
    )
    assert levels.highest == 180
    assert thresholds(desk.state, desk.limits, D(300)).highest == 270
    assert thresholds(desk.state, desk.limits, D(10)).highest == 180
    desk.beat(180)
    assert thresholds(desk.state, desk.limits).soft_drawdown is None


def test_deadlines():
    desk = Desk(soft_drawdown_fraction=D("0.1"), breaker_cooldown=10 * MINUTE,
                emergency_interval=15 * MINUTE, max_stale_beats=5)  # fmt: skip
    assert next_deadline(BreakerState(), desk.limits) == AT_ONCE
    assert next_deadline(desk.state, desk.limits) is None
    desk.beat(90)
    assert next_deadline(desk.state, desk.limits) == desk.now + 15 * MINUTE
    desk.beat(90, flat=True)
    assert next_deadline(desk.state, desk.limits) == desk.now + 10 * MINUTE
    desk.beat(90, flat=True, is_stale=True)
    assert next_deadline(desk.state, desk.limits) == AT_ONCE


@pytest.mark.parametrize(("losses", "due"), [(0, None), (2, None), (3, AT_ONCE)])
def test_a_streak_is_due_at_its_limit_and_not_before(losses, due):
    desk = Desk(max_loss_streak=3)
    state = replace(desk.state, loss_streak=losses)

    assert next_deadline(state, desk.limits) is due


def test_a_quiet_beat_that_moves_nothing_costs_nothing():
    desk = Desk(soft_drawdown_fraction=D("0.1"))
    desk.beat("99.5")
    before = desk.state

    assert desk.beat("99.5").state is before


LIMITS = st.builds(
    limits,
    max_daily_loss_fraction=st.sampled_from([None, D("0.02"), D("0.1")]),
    soft_drawdown_fraction=st.sampled_from([None, D("0.03"), D("0.1")]),
    hard_drawdown_fraction=st.sampled_from([None, D("0.1"), D("0.15")]),
    max_loss_streak=st.sampled_from([None, 2]),
    max_stale_beats=st.sampled_from([None, 2]),
    max_model_failures=st.sampled_from([None, 2]),
    max_llm_cost_per_day=st.sampled_from([None, D(3)]),
    max_funding_cost_fraction=st.sampled_from([None, D("0.01")]),
    breaker_cooldown=st.sampled_from([3 * MINUTE, 10 * MINUTE]),
    emergency_interval=st.sampled_from([2 * MINUTE, 5 * MINUTE]),
)
NAVS = st.integers(8500, 10500).map(lambda cents: D(cents) / 100)
EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("beat"), NAVS, st.booleans(), st.sampled_from(["1", "1", "1", "2"]),
                  st.integers(0, 9)),
        st.tuples(st.just("trade"), st.integers(-3, 3)),
        st.tuples(st.just("model"), st.booleans()),
        st.tuples(st.just("cost"), st.integers(0, 2)),
        st.tuples(st.just("funding"), st.integers(-1, 1)),
    ),
    max_size=12,
)  # fmt: skip


def replayed(events, with_limits):
    """A state that some history led to, and the instant and day of its last beat."""
    state, now, day = BreakerState(), START, "1"
    for event in [("beat", D(100), False, "1", 9), *events]:
        match event:
            case "beat", nav, flat, on_day, quality:
                now, day = now + MINUTE, max(day, on_day)
                state = beat(
                    state,
                    BreakerInput(now=now, local_day=day, nav=nav, is_flat=flat,
                                 is_plausible=quality != 0, is_stale=quality == 1),
                    with_limits,
                ).state  # fmt: skip
            case "trade", net:
                state = on_closed_trade(state, D(net), D(1))
            case "model", ok:
                state = on_model_result(state, ok)
            case "cost", cost:
                state = on_llm_cost(state, D(cost))
            case "funding", amount:
                state = on_funding(state, D(amount))
    return state, now, day


@settings(max_examples=max(200, settings().max_examples))
@given(EVENTS, LIMITS, st.lists(NAVS, min_size=1, max_size=6), st.booleans())
def test_quiet_beats_equal_beats_one_by_one(events, with_limits, navs, flat):
    """Where thresholds and deadline promise quiet, nothing trips, clears or is asked, and one fold at
    once gives the very state of one beat after another."""
    state, now, day = replayed(events, with_limits)
    times = [now + MINUTE * (n + 1) for n in range(len(navs))]
    # becoming flat or not is an event of its own: the harness beats then, and asks again after it
    first = beat(
        state, BreakerInput(now=times[0], local_day=day, nav=navs[0], is_flat=flat), with_limits
    )
    if flat != (state.flat_since is not None):
        state, navs, times = first.state, navs[1:], times[1:]
    due = next_deadline(state, with_limits)
    if not navs or (due is not None and due <= times[-1]):
        return
    level = thresholds(state, with_limits, max(navs)).highest
    if level is not None and min(navs) <= level:
        return

    one_by_one = state
    for at, nav in zip(times, navs, strict=True):
        given_ = BreakerInput(now=at, local_day=day, nav=nav, is_flat=flat)
        result = beat(one_by_one, given_, with_limits)
        assert (result.tripped, result.cleared, result.ask_emergency) == ((), (), None)
        one_by_one = result.state
    at_once = quiet_beats(
        state, first_at=times[0], peak_nav=max(navs), last_nav=navs[-1], is_flat=flat
    )
    assert at_once == one_by_one


@given(EVENTS, LIMITS)
def test_the_state_follows_from_its_reasons(events, with_limits):
    state, _, _ = replayed(events, with_limits)

    expected = (
        HALTED if Code.HARD_DRAWDOWN in state.reasons else REDUCING if state.reasons else ACTIVE
    )
    assert state.state is expected
    assert (state.reducing_since is None) is (state.state is ACTIVE)
    assert state.peak_nav >= 0


@given(EVENTS, LIMITS, NAVS)
def test_trips_and_clears_are_the_difference_of_reasons(events, with_limits, nav):
    state, now, day = replayed(events, with_limits)

    result = beat(
        state, BreakerInput(now=now + MINUTE, local_day=day, nav=nav, is_flat=True), with_limits
    )

    assert set(result.tripped) == result.state.reasons - state.reasons
    assert set(result.cleared) == state.reasons - result.state.reasons
