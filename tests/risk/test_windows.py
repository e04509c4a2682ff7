"""Windows in which nothing is opened: read as people write them, in the owner's time, over midnights and DST."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from risk.domain import Code, InvalidLimits
from risk.windows import DAYS, UnreadableWindow, Window, nearest, open_window, read_window
from tests.risk.build import BTC, NOW, context, entry, leave, open_limits, position, rule_on

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("sat,sun", ["2026-02-28 00:00", "2026-03-01 23:59"], ["2026-02-27 23:59", "2026-03-02 00:00"]),
        ("fri-mon", ["2026-02-27 12:00", "2026-03-02 12:00"], ["2026-02-26 12:00", "2026-03-03 12:00"]),
        ("daily 08:25-08:35", ["2026-03-04 08:25", "2026-03-04 08:34"], ["2026-03-04 08:24", "2026-03-04 08:35"]),
        ("08:25-08:35", ["2026-03-04 08:30"], ["2026-03-04 08:40"]),
        ("fri 22:00-02:00", ["2026-02-27 22:00", "2026-02-28 01:59"],
         ["2026-02-27 01:00", "2026-02-27 21:59", "2026-02-28 02:00", "2026-02-28 22:00"]),
        ("sun 22:00-24:00", ["2026-03-01 23:59"], ["2026-03-02 00:00"]),
        ("SUN  9:00-10:00", ["2026-03-01 09:30"], ["2026-03-01 10:00"]),
        ("2026-12-16 13:00/2026-12-16 15:00", ["2026-12-16 13:00", "2026-12-16 14:59"],
         ["2026-12-16 12:59", "2026-12-16 15:00", "2025-12-16 14:00"]),
        ("2026-12-31T22:00 / 2027-01-01T02:00", ["2027-01-01 01:00"], ["2027-01-01 02:00"]),
    ],
)  # fmt: skip
def test_a_window_is_open_when_it_says(window, inside, outside) -> None:
    read = read_window(window)

    assert all(read.holds(at(one)) for one in inside)
    assert not any(read.holds(at(one)) for one in outside)


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "weekend", "sat-", "-sun", "sat,", "sat sun", "mon 8:00", "mon 08:00-08:00",
        "mon 24:00-25:00", "mon 08:60-09:00", "mon 8-9", "2026-12-16/2026-12-17", "2026-13-01 00:00/2026-13-02 00:00",
        "2026-12-17 00:00/2026-12-16 00:00", "mon " * 40, "*",
    ],
)  # fmt: skip
def test_what_is_no_window_is_refused_with_what_is(text) -> None:
    with pytest.raises(UnreadableWindow):
        read_window(text)
    with pytest.raises(InvalidLimits, match="no_trade_windows"):
        open_limits(no_trade_windows=(text,))


def test_the_wall_clock_counts_over_the_change_of_the_clocks() -> None:
    """On 29 March 2026 two o'clock does not exist in Berlin; on 25 October it comes twice."""
    window = ("sun 01:30-03:30",)

    def is_open(utc: str) -> bool:
        instant = datetime.fromisoformat(utc).replace(tzinfo=UTC)
        return open_window(window, instant.astimezone(BERLIN)) is not None

    assert [is_open(f"2026-03-29 {hour}") for hour in ("00:29", "00:30", "01:29", "01:30")] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [is_open(f"2026-10-25 {hour}") for hour in ("00:30", "01:30", "02:29", "02:30")] == [
        True, True, True, False,
    ]  # fmt: skip


@given(
    days=st.frozensets(st.integers(0, 6), min_size=1),
    start=st.integers(0, 1439),
    end=st.integers(1, 1440),
    minute=st.integers(0, 20_000),
)
def test_any_minute_is_inside_exactly_when_it_is_counted_from_a_beginning(
    days, start, end, minute
) -> None:
    if start == end:
        return
    names = ",".join(DAYS[day] for day in sorted(days))
    text = f"{names} {start // 60:02}:{start % 60:02}-{end // 60:02}:{end % 60:02}"
    instant = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=minute)  # a Monday
    length = (end - start) % 1440 or 1440

    def began(day: datetime) -> bool:
        first = day.replace(hour=0, minute=0) + timedelta(minutes=start)
        return day.weekday() in days and first <= instant < first + timedelta(minutes=length)

    expected = began(instant) or began(instant - timedelta(days=1))
    read = read_window(text)
    assert isinstance(read, Window) and read.holds(instant) is expected


@pytest.mark.parametrize(
    ("away", "interval", "expected"),
    [(5, 480, 5), (-5, 480, 5), (475, 480, 5), (240, 480, 240), (475, None, 475)],
)
def test_how_near_a_payment_of_funding_is(away, interval, expected) -> None:
    span = None if interval is None else timedelta(minutes=interval)
    assert nearest(NOW, NOW + timedelta(minutes=away), span) == timedelta(minutes=expected)


def test_an_entry_waits_for_the_end_of_a_window_and_a_close_does_not() -> None:
    limits = open_limits(no_trade_windows=("sun",))  # NOW is a Sunday at noon, UTC

    assert rule_on(entry(), context(), limits).denial.code is Code.NO_TRADE_WINDOW
    assert rule_on(leave("3"), context([position(3)]), limits).approved is not None
    assert rule_on(entry(), context(), open_limits(no_trade_windows=("mon",))).denial is None


def test_the_owner_s_own_sunday_counts() -> None:
    limits = open_limits(no_trade_windows=("sun",))

    for zone, denied in (("Pacific/Kiritimati", False), ("Pacific/Honolulu", True)):
        where = context(time_zone=zone)  # Monday at 02:00, and Sunday at 02:00
        assert (rule_on(entry(), where, limits).denial is not None) is denied


def test_funding_of_another_instrument_is_not_in_the_way() -> None:
    limits = open_limits(no_trade_around_funding=timedelta(minutes=5))
    soon = NOW + timedelta(minutes=4)

    assert rule_on(entry(), context(next_funding={BTC: soon}), limits).denial.context == {
        "window": "funding"
    }
    assert rule_on(entry(), context(next_funding={"ETH/USDT:USDT": soon}), limits).denial is None
    assert rule_on(entry(), context(), limits).denial is None
