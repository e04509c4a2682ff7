"""The breakers, beat by beat: where each trips and clears."""

from dataclasses import replace
from datetime import timedelta

import pytest

from risk.breakers import (
    AT_ONCE,
    beat,
    next_deadline,
    on_closed_trade,
    on_funding,
    on_llm_cost,
    on_model_result,
    resume,
    thresholds,
)
from risk.domain import BreakerInput, BreakerState, Code
from risk.profiles import profile
from tests.risk.beats import ACTIVE, HALTED, MINUTE, REDUCING, START, Desk, limits
from tests.risk.build import D, open_limits


def test_the_first_beat_sets_peak_and_day():
    desk = Desk(100, max_daily_loss_fraction=D("0.02"), hard_drawdown_fraction=D("0.08"))

    assert (desk.state.peak_nav, desk.state.day_open_nav, desk.state.last_nav) == (D(100),) * 3
    assert (desk.state.day, desk.trading) == ("1", ACTIVE)


def test_a_first_beat_that_can_t_be_trusted_sets_nothing():
    desk = Desk.__new__(Desk)
    desk.limits, desk.now, desk.state = (
        limits(max_daily_loss_fraction=D("0.1")),
        START,
        BreakerState(),
    )

    desk.beat(1, is_plausible=False)
    desk.beat(100)
    assert (desk.state.peak_nav, desk.state.day_open_nav) == (D(100), D(100))
    assert desk.beat(90).tripped == (Code.DAILY_LOSS,)


# --- Daily loss ------------------------------------------------------------------------------------


def test_daily_loss_trips_at_its_limit_until_midnight():
    desk = Desk(max_daily_loss_fraction=D("0.02"))

    assert desk.beat("98.01").tripped == ()
    assert desk.beat(98).tripped == (Code.DAILY_LOSS,)
    assert desk.trading is REDUCING
    assert desk.beat(150).cleared == ()
    assert desk.beat(150, day="2").cleared == (Code.DAILY_LOSS,)
    assert desk.trading is ACTIVE


def test_the_day_starts_at_the_last_nav_before_midnight():
    desk = Desk(max_daily_loss_fraction=D("0.1"))
    desk.beat(80)
    desk.beat(200, flat=True)

    result = desk.beat(180, day="2")

    assert desk.state.day_open_nav == 200
    assert result.tripped == ()  # lost again at once: it stays as it was
    assert result.cleared == ()
    assert desk.state.reasons == {Code.DAILY_LOSS}


def test_a_quiet_midnight_starts_a_day_too():
    desk = Desk(max_daily_loss_fraction=D("0.1"))
    desk.beat(120)

    desk.beat(119, day="2")

    assert (desk.state.day, desk.state.day_open_nav) == ("2", D(120))
    assert desk.beat("108.01", day="2").tripped == ()
    assert desk.beat(108, day="2").tripped == (Code.DAILY_LOSS,)


# --- Drawdowns -------------------------------------------------------------------------------------


def test_soft_drawdown_is_measured_from_the_peak():
    desk = Desk(soft_drawdown_fraction=D("0.1"))
    desk.beat(200)

    assert desk.beat("180.01").tripped == ()
    assert desk.beat(180).tripped == (Code.SOFT_DRAWDOWN,)
    assert desk.trading is REDUCING


def test_soft_drawdown_clears_when_flat_for_the_cooldown_and_starts_over():
    desk = Desk(soft_drawdown_fraction=D("0.1"), breaker_cooldown=10 * MINUTE)
    desk.beat(90)

    assert desk.beat(99, wait=timedelta(hours=9)).cleared == ()  # recovered, but not flat
    desk.beat(89, flat=True)
    assert desk.beat(89, flat=True, wait=9 * MINUTE).cleared == ()
    assert desk.beat(88, flat=True).cleared == (Code.SOFT_DRAWDOWN,)
    assert (desk.state.soft_peak_nav, desk.trading) == (D(88), ACTIVE)
    assert desk.state.peak_nav == 100  # the hard drawdown forgets nothing
    assert desk.beat("79.3").tripped == ()
    assert desk.beat("79.2").tripped == (Code.SOFT_DRAWDOWN,)


def test_the_cooldown_counts_from_the_trip_when_the_book_was_flat_before():
    desk = Desk(soft_drawdown_fraction=D("0.1"), breaker_cooldown=10 * MINUTE)
    desk.beat(100, flat=True)
    desk.beat(90, flat=True, wait=timedelta(hours=5))

    assert desk.beat(90, flat=True, wait=9 * MINUTE).cleared == ()
    assert desk.beat(90, flat=True).cleared == (Code.SOFT_DRAWDOWN,)


def test_the_cooldown_starts_over_when_the_book_is_not_flat():
    desk = Desk(soft_drawdown_fraction=D("0.1"), breaker_cooldown=10 * MINUTE)
    desk.beat(90)
    desk.beat(90, flat=True)
    desk.beat(90, wait=5 * MINUTE)
    desk.beat(90, flat=True)

    assert desk.beat(90, flat=True, wait=9 * MINUTE).cleared == ()
    assert desk.beat(90, flat=True).cleared == (Code.SOFT_DRAWDOWN,)


def test_nothing_starts_over_on_a_nav_that_can_t_be_trusted():
    desk = Desk(soft_drawdown_fraction=D("0.1"), breaker_cooldown=MINUTE)
    desk.beat(90, flat=True)

    assert desk.beat(1, flat=True, wait=9 * MINUTE, is_plausible=False).cleared == ()
    desk.beat(91, flat=True)
    assert desk.state.soft_peak_nav == 91


def test_one_tick_that_is_looked_at_again_is_one_tick():
    """A feed that froze past the threshold flattens nothing, however many beats look at it."""
    desk = Desk(hard_drawdown_fraction=D("0.2"))
    told = desk.now
    for _ in range(5):
        assert not desk.beat(80, quoted_at=told).flatten
    assert desk.beat(80, quoted_at=told + MINUTE).flatten


def test_prices_that_come_back_between_two_ticks_begin_the_count_again():
    desk = Desk(hard_drawdown_fraction=D("0.2"))
    desk.beat(80, quoted_at=desk.now)
    desk.beat(81, quoted_at=desk.now + MINUTE)
    assert not desk.beat(80, quoted_at=desk.now + MINUTE).flatten
    assert desk.beat(80, quoted_at=desk.now + MINUTE).flatten


def test_hard_drawdown_needs_two_beats_in_a_row():
    desk = Desk(hard_drawdown_fraction=D("0.2"))

    first = desk.beat(80)
    assert (first.tripped, first.flatten, desk.trading) == ((), False, ACTIVE)
    desk.beat("80.01")
    assert not desk.beat(80).flatten
    second = desk.beat(79)
    assert (second.tripped, second.flatten) == ((Code.HARD_DRAWDOWN,), True)
    assert desk.trading is HALTED


def test_an_implausible_tick_never_flattens():
    desk = Desk(hard_drawdown_fraction=D("0.2"), soft_drawdown_fraction=D("0.1"))

    for _ in range(5):
        assert desk.beat(1, is_plausible=False).tripped == ()
    assert (desk.state.peak_nav, desk.state.last_nav) == (D(100), D(100))
    desk.beat(1000, is_plausible=False)
    assert desk.state.peak_nav == 100
    desk.beat(80)
    desk.beat(1, is_plausible=False)  # says nothing either way: the count stands
    assert desk.beat(80).flatten


def test_flatten_is_repeated_until_flat_and_only_a_person_ends_the_halt():
    desk = Desk(hard_drawdown_fraction=D("0.2"), soft_drawdown_fraction=D("0.1"),
                breaker_cooldown=MINUTE)  # fmt: skip
    desk.beat(80)
    desk.beat(80)

    assert desk.beat(80).flatten
    assert desk.beat(120).flatten
    assert not desk.beat(80, flat=True).flatten
    desk.beat(200, flat=True, wait=timedelta(days=9), day="9")
    assert desk.trading is HALTED
    assert next_deadline(desk.state, desk.limits) is None

    desk.state = resume(desk.state, D(80), desk.now)
    assert (desk.trading, desk.state.peak_nav, desk.state.reasons) == (ACTIVE, D(80), frozenset())
    assert desk.beat(79).tripped == ()


def test_resume_forgives_the_drawdowns_only():
    desk = Desk(
        hard_drawdown_fraction=D("0.2"), max_daily_loss_fraction=D("0.05"), max_loss_streak=1
    )
    desk.state = on_closed_trade(desk.state, D(-1), D(0))
    desk.beat(80)
    desk.beat(80)

    desk.state = resume(desk.state, D(80), desk.now)

    assert desk.trading is REDUCING
    assert desk.state.reasons == {Code.DAILY_LOSS, Code.LOSS_STREAK}


def test_losses_with_rests_between_them_still_meet_the_hard_drawdown():
    """Soft drawdown, cooldown, and again: each time the soft peak starts over, the hard one never."""
    limits = open_limits(
        soft_drawdown_fraction=D("0.08"), hard_drawdown_fraction=D("0.15"), breaker_cooldown=MINUTE
    )
    state, now = BreakerState(), START
    for nav in (100, 91, 91, 91, 84, 84):
        given = BreakerInput(now=now, local_day="d", nav=D(nav), is_flat=True)
        state, now = beat(state, given, limits).state, now + 2 * MINUTE
    assert state.state is HALTED


def test_close_or_keep_stays_due_until_a_trader_is_asked():
    limits = open_limits(soft_drawdown_fraction=D("0.1"))
    start = beat(
        BreakerState(), BreakerInput(now=START, local_day="d", nav=D(100), is_flat=False), limits
    ).state
    down = BreakerInput(now=START + MINUTE, local_day="d", nav=D(89), is_flat=False, may_ask=False)
    marked = beat(start, down, limits)
    assert marked.ask_emergency is None
    asked = beat(marked.state, replace(down, now=START + 2 * MINUTE, may_ask=True), limits)
    assert asked.ask_emergency is Code.SOFT_DRAWDOWN


# --- The emergency prompt --------------------------------------------------------------------------


def test_the_emergency_prompt_fires_once_per_entry_then_every_interval():
    desk = Desk(soft_drawdown_fraction=D("0.1"), emergency_interval=15 * MINUTE,
                breaker_cooldown=MINUTE)  # fmt: skip

    assert desk.beat(90).ask_emergency is Code.SOFT_DRAWDOWN
    assert desk.beat(85, wait=14 * MINUTE).ask_emergency is None
    assert desk.beat(95).ask_emergency is Code.SOFT_DRAWDOWN
    assert desk.beat(95).ask_emergency is None
    desk.beat(95, flat=True)
    assert desk.beat(95, flat=True).cleared == (Code.SOFT_DRAWDOWN,)
    assert desk.beat(80).ask_emergency is Code.SOFT_DRAWDOWN  # entered again


def test_nobody_is_asked_about_nothing_or_on_a_bad_price():
    desk = Desk(soft_drawdown_fraction=D("0.1"))

    assert desk.beat(90, flat=True).ask_emergency is None
    assert desk.beat(90, is_plausible=False).ask_emergency is None
    assert desk.beat(90).ask_emergency is Code.SOFT_DRAWDOWN


def test_a_hard_breach_closes_without_asking():
    desk = Desk(soft_drawdown_fraction=D("0.1"), hard_drawdown_fraction=D("0.2"))

    assert desk.beat(80).ask_emergency is None
    assert desk.beat(80).ask_emergency is None
    desk = Desk(soft_drawdown_fraction=D("0.1"), hard_drawdown_fraction=D("0.2"))
    desk.beat(80)
    assert desk.beat(85).ask_emergency is Code.SOFT_DRAWDOWN  # it was one tick


# --- Streaks, data, model, costs -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "fees", "streak"),
    [
        ("-1", "0.5", 3),
        ("-1", "1", 3),
        ("-0.99", "1", 2),  # a scratch
        ("0.99", "1", 2),
        ("0", "0", 2),
        ("1", "1", 0),
        ("5", "1", 0),
    ],
)
def test_a_streak_counts_losses_and_no_scratches(net, fees, streak):
    assert on_closed_trade(BreakerState(loss_streak=2), D(net), D(fees)).loss_streak == streak


def test_a_loss_streak_clears_when_flat_for_the_cooldown_and_starts_over():
    desk = Desk(max_loss_streak=2, breaker_cooldown=10 * MINUTE)
    desk.state = on_closed_trade(desk.state, D(-1), D(0))
    assert desk.beat(99, flat=True).tripped == ()
    desk.state = on_closed_trade(desk.state, D(-1), D(0))
    assert next_deadline(desk.state, desk.limits) == AT_ONCE

    assert desk.beat(98, flat=True).tripped == (Code.LOSS_STREAK,)
    desk.state = on_closed_trade(
        desk.state, D(50), D(0)
    )  # a late win ends the streak, not the pause
    assert desk.beat(98, flat=True, wait=9 * MINUTE).cleared == ()
    assert desk.beat(98, flat=True).cleared == (Code.LOSS_STREAK,)
    assert (desk.state.loss_streak, desk.state.peak_nav, desk.trading) == (0, D(100), ACTIVE)


def test_stale_data_reduces_until_fresh():
    desk = Desk(max_stale_beats=3)

    assert [desk.beat(100, is_stale=True).tripped for _ in range(3)] == [
        (),
        (),
        (Code.STALE_DATA,),
    ]
    assert desk.trading is REDUCING
    assert desk.beat(100).cleared == (Code.STALE_DATA,)
    assert [desk.beat(100, is_stale=True).tripped for _ in range(2)] == [(), ()]


def test_a_fresh_beat_at_the_same_nav_starts_the_count_over():
    desk = Desk(max_stale_beats=2)

    for stale in (True, False, True):
        assert desk.beat(100, is_stale=stale).tripped == ()


def test_model_failures_in_a_row_reduce_until_a_success():
    desk = Desk(max_model_failures=2)
    for ok in (False, True, False):
        desk.state = on_model_result(desk.state, ok)
        assert desk.beat(100).tripped == ()
    desk.state = on_model_result(desk.state, False)

    assert next_deadline(desk.state, desk.limits) == AT_ONCE
    assert desk.beat(100).tripped == (Code.MODEL_FAILURES,)
    assert desk.beat(100, day="2").cleared == ()
    desk.state = on_model_result(desk.state, True)
    assert next_deadline(desk.state, desk.limits) == AT_ONCE
    assert desk.beat(100, day="2").cleared == (Code.MODEL_FAILURES,)


def test_the_model_budget_holds_until_the_next_day():
    desk = Desk(max_llm_cost_per_day=D(2))
    desk.state = on_llm_cost(desk.state, D("1.99"))
    assert desk.beat(100).tripped == ()
    desk.state = on_llm_cost(desk.state, D("0.01"))

    assert desk.beat(100).tripped == (Code.LLM_BUDGET,)
    assert desk.beat(100, day="2").cleared == (Code.LLM_BUDGET,)
    assert desk.state.llm_cost_today == 0


def test_no_funding_at_all_is_allowed_until_some_is_paid():
    desk = Desk(max_funding_cost_fraction=D(0))
    assert desk.beat(100).tripped == ()

    desk.state = on_funding(desk.state, D("-0.01"))
    assert desk.beat(100).tripped == (Code.FUNDING_COST,)


def test_funding_cost_is_net_and_holds_until_the_next_day():
    desk = Desk(max_funding_cost_fraction=D("0.01"))
    desk.state = on_funding(desk.state, D("0.5"))
    desk.state = on_funding(desk.state, D("-1.49"))
    assert desk.beat(100).tripped == ()
    desk.state = on_funding(desk.state, D("-0.01"))

    assert desk.beat(100).tripped == (Code.FUNDING_COST,)
    assert desk.beat(100, day="2").cleared == (Code.FUNDING_COST,)
    assert desk.beat(100, day="2").tripped == ()


def test_costs_booked_after_midnight_belong_to_the_new_day():
    desk = Desk(max_llm_cost_per_day=D(2), max_funding_cost_fraction=D("0.01"))
    desk.state = on_llm_cost(desk.state, D(1), "1")
    desk.state = on_llm_cost(desk.state, D("1.5"), "2")
    desk.state = on_funding(desk.state, D(-1), "2")

    desk.beat(100, day="2")

    assert (desk.state.llm_cost_today, desk.state.funding_today) == (D("1.5"), D(-1))
    assert desk.state.reasons == {Code.FUNDING_COST}


def test_several_reasons_hold_together():
    desk = Desk(soft_drawdown_fraction=D("0.1"), max_daily_loss_fraction=D("0.05"),
                max_stale_beats=1, breaker_cooldown=MINUTE)  # fmt: skip

    tripped = desk.beat(90, is_stale=True).tripped
    assert tripped == (Code.SOFT_DRAWDOWN, Code.DAILY_LOSS, Code.STALE_DATA)
    assert desk.beat(90, flat=True).cleared == (Code.STALE_DATA,)
    assert desk.beat(90, flat=True).cleared == (Code.SOFT_DRAWDOWN,)
    assert (desk.trading, desk.state.reducing_since) == (REDUCING, START + 2 * MINUTE)
    desk.beat(90, flat=True, day="2")
    assert (desk.trading, desk.state.reducing_since) == (ACTIVE, None)


def test_with_raw_nothing_trips():
    desk = Desk()
    desk.limits = profile("raw")
    desk.state = on_closed_trade(desk.state, D(-1), D(0))
    desk.state = on_funding(on_llm_cost(desk.state, D(99)), D(-99))

    for nav in (1, -5, 1, 100):
        result = desk.beat(nav, is_stale=True)
        assert (result.tripped, result.flatten, result.ask_emergency) == ((), False, None)
    assert thresholds(desk.state, desk.limits).highest is None
