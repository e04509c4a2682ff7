"""Clocks: aware, UTC, never going back."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from market.venues.clocks import FixedClock, SteppedClock, SystemClock

NOON = datetime(2022, 1, 1, 12, tzinfo=UTC)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-5))])
INSTANTS = st.builds(
    lambda seconds, zone: (NOON + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(-(10**9), 10**9),
    ZONES,
)


def test_the_system_clock_tells_the_time():
    with time_machine.travel(NOON, tick=False):
        assert SystemClock().now() == NOON
    assert SystemClock().now().tzinfo is UTC


def test_the_system_clock_holds_when_the_machine_is_set_back():
    with time_machine.travel(NOON, tick=False) as machine:
        clock = SystemClock()
        machine.shift(timedelta(seconds=5))
        later = clock.now()
        machine.shift(timedelta(seconds=-3))

        assert clock.now() == later == NOON + timedelta(seconds=5)
        machine.shift(timedelta(seconds=10))
        assert clock.now() == NOON + timedelta(seconds=12)


@given(INSTANTS, st.lists(INSTANTS))
def test_a_stepped_clock_only_goes_forward(start, steps):
    clock = SteppedClock(start)

    for step in steps:
        before = clock.now()
        if step < before:
            with pytest.raises(ValueError, match="can't go back"):
                clock.advance_to(step)
            assert clock.now() == before
        else:
            clock.advance_to(step)
            assert clock.now() == step
        assert clock.now().tzinfo is UTC


@given(INSTANTS)
def test_a_fixed_clock_stands_still_in_utc(instant):
    clock = FixedClock(instant)

    assert clock.now() == clock.now() == instant
    assert clock.now().tzinfo is UTC


@pytest.mark.parametrize("make", [FixedClock, SteppedClock, SteppedClock(NOON).advance_to])
def test_an_instant_without_a_zone_is_refused(make):
    naive = NOON.replace(tzinfo=None)

    with pytest.raises(ValueError, match="needs a time zone: 2022-01-01T12:00:00 has none"):
        make(naive)
