"""A storm is few messages and no lost count; quiet hours of a wall clock, over midnight and changed clocks."""

import math
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.alerts.timing import advance, midnight_of, quiet_until, wait_after

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
looks = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 5000)), min_size=1, max_size=80)
"""(seconds since the last look, how many more happened)."""


def play(steps, cooldown, quiet=lambda now: None):
    """The instants at which it spoke with what each told, and how many looks further until all was told."""
    now, window, said = NOON, None, []
    for seconds, new in steps:
        now += timedelta(seconds=seconds)
        before = window
        turn = advance(window, new, now, cooldown, quiet(now))
        if turn.speaks:
            said.append((now, turn.window.told - (before.told if before else 0)))
        window = turn.window
    return said, window


@given(looks, st.integers(10, 900))
def test_a_storm_is_few_messages(steps, seconds):
    cooldown = timedelta(seconds=seconds)
    said, _ = play(steps, cooldown)
    lasted = sum(passed for passed, _ in steps[1:])
    assert len(said) <= math.ceil(lasted / seconds) + 1
    assert all(later - sooner >= cooldown for (sooner, _), (later, _) in pairwise(said))


@given(looks, st.integers(10, 900))
def test_all_that_happened_is_told_in_the_end(steps, seconds):
    after = [(seconds, 0)] * 3
    said, window = play([*steps, *after], timedelta(seconds=seconds))
    assert sum(told for _, told in said) == sum(new for _, new in steps)
    assert window is None


@given(looks, st.integers(10, 900))
def test_what_is_quiet_is_told_once_afterwards(steps, seconds):
    ends = NOON + timedelta(days=2)
    said, window = play(steps, timedelta(seconds=seconds), lambda now: ends)
    assert said == []
    if any(new for _, new in steps):
        turn = advance(window, 0, ends, timedelta(seconds=seconds))
        assert turn.speaks
        assert turn.window.told == sum(new for _, new in steps)


def test_a_single_thing_is_told_at_once_and_then_forgotten():
    said, window = play([(0, 1), (60, 0), (60, 0)], timedelta(seconds=60))
    assert said == [(NOON, 1)]
    assert window is None


BERLIN = "Europe/Berlin"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "start", "end", "ends"),
    [
        # over midnight; Berlin is one hour ahead in winter, two in summer
        ("2026-01-10 20:59", "22:00", "07:00", None),
        ("2026-01-10 21:00", "22:00", "07:00", "2026-01-11 06:00"),
        ("2026-01-11 05:59", "22:00", "07:00", "2026-01-11 06:00"),
        ("2026-01-11 06:00", "22:00", "07:00", None),
        # within a day
        ("2026-07-01 10:30", "12:00", "14:00", "2026-07-01 12:00"),
        ("2026-07-01 12:00", "12:00", "14:00", None),
        # the night the clocks go forward is an hour shorter, that in which they go back an hour longer
        ("2026-03-28 21:00", "22:00", "07:00", "2026-03-29 05:00"),
        ("2026-10-24 20:00", "22:00", "07:00", "2026-10-25 06:00"),
        # 02:30 does not exist that night: it ends when the clocks change, at 01:00 UTC
        ("2026-03-29 00:30", "23:00", "02:30", "2026-03-29 01:00"),
        ("2026-03-29 01:00", "23:00", "02:30", None),
        ("2026-03-29 01:00", "02:30", "05:00", "2026-03-29 03:00"),
        # 02:30 comes twice: the first counts
        ("2026-10-25 00:29", "23:00", "02:30", "2026-10-25 00:30"),
        ("2026-10-25 00:30", "23:00", "02:30", None),
        ("2026-10-25 01:30", "02:30", "05:00", "2026-10-25 04:00"),
    ],
)
def test_quiet_hours(now, start, end, ends):
    found = quiet_until(at(now), BERLIN, time.fromisoformat(start), time.fromisoformat(end))
    assert found == (None if ends is None else at(ends))


def test_no_quiet_hours():
    assert quiet_until(NOON, "UTC", None, None) is None
    assert quiet_until(NOON, "UTC", time(12), time(12)) is None


@given(
    st.integers(0, 366 * 24 * 60).map(lambda minutes: NOON + timedelta(minutes=minutes)),
    st.times(),
    st.times(),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_quiet_hours_end_later_and_within_a_day(now, start, end, zone):
    found = quiet_until(now, zone, start, end)
    if found is not None:
        assert now < found <= now + timedelta(hours=26)
        assert quiet_until(found, zone, start, end) is None


def test_a_day_begins_where_its_owner_lives():
    assert midnight_of(date(2026, 7, 1), BERLIN) == at("2026-06-30 22:00")
    # Beirut's clocks change at midnight: that day begins at one o'clock
    assert midnight_of(date(2026, 3, 29), "Asia/Beirut") == at("2026-03-28 22:00")


def test_waits_double_up_to_an_hour():
    waits = [wait_after(attempts) // timedelta(minutes=1) for attempts in range(1, 9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert wait_after(10**6) == timedelta(hours=1)
