"""Slots: the due instant of a decision, whatever the clock, the zone or the interval."""

from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.domain.bot import Schedule
from bots.domain.slots import (
    CLOCKS_DIFFER,
    bar_close_delay,
    default_schedule,
    due_slot,
    jitter,
    latest_tick,
    phase,
    slot_text,
)

BERLIN = ZoneInfo("Europe/Berlin")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)

instants = st.integers(10**15, 4 * 10**15).map(lambda n: EPOCH + n * timedelta(microseconds=1))
intervals = st.integers(5, 40 * 86400)
schedules = st.sampled_from(Schedule)
ids = st.uuids()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "interval", "schedule", "started", "due"),
    [
        ("2026-03-01T12:07:59Z", 180, "BAR_CLOSE", "2026-03-01T12:00:30Z", "2026-03-01T12:06:00Z"),
        ("2026-03-01T12:06:00Z", 180, "BAR_CLOSE", "2026-03-01T12:00:30Z", "2026-03-01T12:06:00Z"),
        (
            "2026-03-01T12:05:59.999999Z",
            180,
            "BAR_CLOSE",
            "2026-03-01T12:00:30Z",
            "2026-03-01T12:03:00Z",
        ),
        ("2026-03-01T12:07:59Z", 180, "SPREAD", "2026-03-01T12:00:30.9Z", "2026-03-01T12:06:30Z"),
        ("2026-03-01T12:00:30.1Z", 5, "SPREAD", "2026-03-01T12:00:30.9Z", "2026-03-01T12:00:30Z"),
        # 7 h does not divide a day: the grid of 1970 goes on through midnight.
        (
            "2026-03-01T18:00:00Z",
            25200,
            "BAR_CLOSE",
            "2026-03-01T00:00:00Z",
            "2026-03-01T12:00:00Z",
        ),
        (
            "2026-03-02T00:00:00Z",
            25200,
            "BAR_CLOSE",
            "2026-03-01T00:00:00Z",
            "2026-03-01T19:00:00Z",
        ),
        # The clock of a worker is behind the one that started the bot: the first slot, not one before.
        ("2026-03-01T11:59:59Z", 60, "SPREAD", "2026-03-01T12:00:00.4Z", "2026-03-01T12:00:00Z"),
    ],
)
def test_the_slot_that_is_due(now, interval, schedule, started, due):
    assert due_slot(at(now), interval, Schedule(schedule), at(started)) == at(due)


@given(instants, intervals, schedules, instants)
def test_a_slot_is_on_the_grid_and_the_latest(now, interval, schedule, started):
    now = max(now, started)
    slot = due_slot(now, interval, schedule, started)

    assert slot.tzinfo is UTC and slot.microsecond == 0
    origin = EPOCH if schedule is Schedule.BAR_CLOSE else started.replace(microsecond=0)
    assert (slot - origin) % timedelta(seconds=interval) == timedelta(0)
    assert slot <= now < slot + timedelta(seconds=interval)


@given(instants, intervals, schedules, instants)
def test_a_slot_is_its_own_slot(now, interval, schedule, started):
    slot = due_slot(now, interval, schedule, started)

    assert due_slot(slot, interval, schedule, started) == slot


@given(instants, intervals, schedules, instants)
def test_no_zone_and_no_summer_time_comes_near(now, interval, schedule, started):
    there = due_slot(now.astimezone(BERLIN), interval, schedule, started.astimezone(BERLIN))

    assert slot_text(there) == slot_text(due_slot(now, interval, schedule, started))


def test_hours_are_hours_when_the_clocks_change():
    before = datetime(2026, 3, 29, 0, 30, tzinfo=BERLIN).astimezone(UTC)
    hours = [(before + n * timedelta(hours=1)).astimezone(BERLIN) for n in range(4)]
    slots = [slot_text(due_slot(hour, 3600, Schedule.BAR_CLOSE, before)) for hour in hours]

    assert slots == [f"2026-03-{hour}:00:00Z" for hour in ("28T23", "29T00", "29T01", "29T02")]


@given(ids, intervals)
def test_jitter_is_a_bot_s_own_and_small(bot_id, interval):
    most = min(timedelta(seconds=10), timedelta(seconds=interval) / 10)

    assert timedelta(0) <= jitter(bot_id, interval) <= most
    assert jitter(bot_id, interval) == jitter(UUID(str(bot_id)), interval)
    assert jitter(bot_id, interval) % timedelta(milliseconds=1) == timedelta(0)
    assert bar_close_delay(bot_id, interval) == 2 * SECOND + jitter(bot_id, interval)


def test_jitter_spreads_bots():
    found = {jitter(UUID(int=n * 7919), 3600) for n in range(1000)}

    assert len(found) > 900


@given(ids, intervals, schedules, instants, instants)
def test_a_tick_finds_the_slot_that_it_was_sent_for(bot_id, interval, schedule, started, now):
    """Also on a machine whose clock is behind by up to a second, or a bit ahead."""
    offset = phase(bot_id, interval, schedule, started)
    step = timedelta(seconds=interval)
    now = max(now, started + step)
    tick = latest_tick(now, step, offset)
    slot = due_slot(tick, interval, schedule, started)

    assert timedelta(0) <= offset < step
    assert tick <= now < tick + step
    assert due_slot(tick - CLOCKS_DIFFER, interval, schedule, started) == slot
    assert due_slot(tick + CLOCKS_DIFFER, interval, schedule, started) == slot
    assert tick - slot <= 12 * SECOND


@given(instants, intervals, st.integers(0, 40 * 86400 * 1000))
def test_a_tick_s_instant_is_its_own_latest(now, interval, milliseconds):
    step = timedelta(seconds=interval)
    offset = timedelta(milliseconds=milliseconds) % step
    tick = latest_tick(now, step, offset)

    assert latest_tick(tick, step, offset) == tick
    assert latest_tick(tick - timedelta(microseconds=1), step, offset) == tick - step


@pytest.mark.parametrize(
    ("interval", "timeframe", "schedule"),
    [(180, 180, "BAR_CLOSE"), (3600, 900, "BAR_CLOSE"), (60, 180, "SPREAD"), (400, 180, "SPREAD")],
)
def test_the_usual_schedule_of_an_interval(interval, timeframe, schedule):
    assert default_schedule(interval, timeframe) is Schedule(schedule)
