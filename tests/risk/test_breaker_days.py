"""The days of the breakers: they begin once each, whatever clocks, time zones and late news say; and odd equities."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from bots.domain.bot import BotConfig
from risk.breakers import on_closed_trade, on_funding, on_llm_cost, resume
from risk.domain import Code
from tests.risk.beats import ACTIVE, HALTED, REDUCING, Desk
from tests.risk.build import D

FOURTH, FIFTH = "2026-03-04", "2026-03-05"
MINUTE = timedelta(minutes=1)


def bot_in(zone: str) -> BotConfig:
    return BotConfig(
        id=UUID(int=1), symbols=("BTC/USDT:USDT",), interval=3 * MINUTE, timeframe=3 * MINUTE,
        capital=D(100), currency="USDT", time_zone=zone,
    )  # fmt: skip


# --- where a day turns -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "last", "first", "days"),
    [
        # midnight does not exist: the clock goes from 23:59:59 to 01:00
        ("America/Sao_Paulo", "2018-11-04T02:59:59", "2018-11-04T03:00", ("2018-11-03", "2018-11-04")),
        ("Asia/Beirut", "2022-03-26T21:59:59", "2022-03-26T22:00", ("2022-03-26", "2022-03-27")),
        # midnight is put off: at 24:00 the clock goes back to 23:00, and the day has 25 hours
        ("America/Sao_Paulo", "2018-02-18T02:59:59", "2018-02-18T03:00", ("2018-02-17", "2018-02-18")),
        ("Asia/Beirut", "2022-10-29T21:59:59", "2022-10-29T22:00", ("2022-10-29", "2022-10-30")),
        # midnight comes twice: at 01:00 the clock goes back to 00:00
        ("America/Havana", "2022-11-06T03:59:59", "2022-11-06T04:00", ("2022-11-05", "2022-11-06")),
        ("America/Havana", "2022-11-06T04:59:59", "2022-11-06T05:00", ("2022-11-06", "2022-11-06")),
        # a day that does not exist
        ("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-30T10:00", ("2011-12-29", "2011-12-31")),
        ("Europe/Berlin", "2026-03-29T21:59:59", "2026-03-29T22:00", ("2026-03-29", "2026-03-30")),
        ("Asia/Kathmandu", "2026-03-04T18:14:59", "2026-03-04T18:15", ("2026-03-04", "2026-03-05")),
    ],
)  # fmt: skip
def test_the_day_of_a_loss_turns_at_the_owners_midnight(zone, last, first, days) -> None:
    bot = bot_in(zone)
    found = [bot.local_day(datetime.fromisoformat(at).replace(tzinfo=UTC)) for at in (last, first)]
    assert tuple(found) == days

    desk = Desk(100, max_daily_loss_fraction=D("0.02"))
    desk.beat(100, day=found[0])
    assert desk.beat(98, day=found[0]).tripped == (Code.DAILY_LOSS,)
    turns = found[0] != found[1]
    assert desk.beat(98, day=found[1]).cleared == ((Code.DAILY_LOSS,) if turns else ())


def test_a_day_never_begins_a_second_time() -> None:
    """A machine whose clock lags beats just after one whose clock does not; or the owner moves west."""
    desk = Desk(100, max_daily_loss_fraction=D("0.02"))
    desk.beat(100, day=FIFTH)
    desk.beat(99, day=FIFTH)
    desk.beat(99, day=FOURTH)
    assert (desk.state.day, desk.state.day_open_nav) == (FIFTH, D(100))
    assert desk.beat(98, day=FOURTH).tripped == (Code.DAILY_LOSS,)
    for day in (FIFTH, FOURTH, FIFTH):
        assert desk.beat(98, day=day).cleared == ()
    assert desk.trading is REDUCING
    assert desk.beat(98, day="2026-03-06").cleared == (Code.DAILY_LOSS,)


def test_a_lagging_quiet_beat_moves_no_day() -> None:
    desk = Desk(100, max_daily_loss_fraction=D("0.5"))
    desk.beat(100, day=FIFTH)
    desk.beat(101, day=FOURTH)
    assert (desk.state.day, desk.state.counted_day) == (FIFTH, FIFTH)
    assert desk.state.last_nav == 101


def test_what_is_told_of_yesterday_forgets_nothing_of_today() -> None:
    desk = Desk(100, max_llm_cost_per_day=D(2), max_funding_cost_fraction=D("0.01"))
    desk.beat(100, day=FIFTH)
    desk.state = on_llm_cost(desk.state, D("1.5"), FIFTH)
    desk.state = on_funding(desk.state, D("-0.4"), FOURTH)  # booked after downtime
    assert (desk.state.counted_day, desk.state.llm_cost_today) == (FIFTH, D("1.5"))
    desk.state = on_llm_cost(desk.state, D("0.5"), FIFTH)
    assert desk.beat(100, day=FIFTH).tripped == (Code.LLM_BUDGET,)


def test_costs_of_a_new_day_outlive_a_beat_of_a_clock_that_lags() -> None:
    desk = Desk(100, max_llm_cost_per_day=D(2))
    desk.beat(100, day=FOURTH)
    desk.state = on_llm_cost(desk.state, D(2), FIFTH)
    assert desk.beat(100, day=FOURTH).tripped == (Code.LLM_BUDGET,)
    assert desk.beat(100, day=FIFTH).cleared == ()  # it is that day's
    assert desk.state.llm_cost_today == 2


def test_a_streak_knows_no_midnight() -> None:
    desk = Desk(max_loss_streak=3, breaker_cooldown=10 * MINUTE)
    for day in ("1", "2", "3"):
        assert desk.beat(100, flat=True, day=day).tripped == ()
        desk.state = on_closed_trade(desk.state, D(-1), D(0))
    assert desk.beat(99, flat=True, day="4").tripped == (Code.LOSS_STREAK,)
    desk.state = on_closed_trade(
        desk.state, D(50), D(0)
    )  # a late win ends the streak, not the rest
    assert desk.beat(99, flat=True, day="5", wait=MINUTE).cleared == ()


def test_a_soft_drawdown_knows_no_midnight() -> None:
    desk = Desk(soft_drawdown_fraction=D("0.1"))
    desk.beat(90)
    assert desk.beat(99, day="2").cleared == ()  # it has recovered, and has not rested
    assert desk.trading is REDUCING


def test_the_hard_drawdown_counts_its_beats_over_midnight() -> None:
    desk = Desk(hard_drawdown_fraction=D("0.2"))
    desk.beat(80, day="1")
    assert desk.beat(80, day="2").flatten


# --- equities that are none ------------------------------------------------------------------------


@pytest.mark.parametrize("nav", ["0", "-5"])
def test_nothing_left_trips_everything_and_halts(nav) -> None:
    desk = Desk(100, max_daily_loss_fraction=D("0.99"), soft_drawdown_fraction=D("0.9"),
                hard_drawdown_fraction=D(1))  # fmt: skip
    assert set(desk.beat(nav).tripped) == {Code.DAILY_LOSS, Code.SOFT_DRAWDOWN}
    assert desk.beat(nav).flatten
    assert desk.trading is HALTED


@pytest.mark.parametrize("nav", ["0", "-5"])
def test_a_day_that_begins_with_nothing_is_a_lost_day(nav) -> None:
    desk = Desk(100, max_daily_loss_fraction=D("0.5"))
    desk.beat(nav, flat=True)
    for day in ("2", "3"):
        desk.beat(nav, flat=True, day=day)
        assert desk.trading is REDUCING


@pytest.mark.parametrize("nav", ["0", "-5"])
def test_who_resumes_with_nothing_is_halted_again(nav) -> None:
    desk = Desk(100, hard_drawdown_fraction=D("0.2"))
    desk.beat(nav)
    desk.beat(nav)
    desk.state = resume(desk.state, D(nav), desk.now)
    assert desk.trading is ACTIVE
    desk.beat(D(nav) - 1)
    desk.beat(D(nav) - 1)
    assert desk.trading is HALTED
