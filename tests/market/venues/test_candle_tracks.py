"""Candles kept up to date: what is closed, what is sound, and how parts are joined."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.domain.data import INT64_LIMIT
from market.errors import VenueUnavailable
from market.venues.candle_tracks import CandleTrack, empty_series, joined, series_of, sound_rows

MINUTE = timedelta(minutes=1)
M = 60_000
BEGIN = 1_000 * M


def row(minute, price="100", volume="1", **more):
    at = BEGIN + minute * M
    values = {"open": price, "high": price, "low": price, "close": price, **more}
    return [at, *values.values(), volume]


class Venue:
    """Rows by minute, and what was asked."""

    def __init__(self, count):
        self.rows = {minute: row(minute, str(100 + minute)) for minute in range(count)}
        self.asked = []

    def __call__(self, first, until):
        self.asked.append(((first - BEGIN) // M, (until - BEGIN) / M))
        return [self.rows[m] for m in sorted(self.rows) if first <= self.rows[m][0] <= until]


def minutes(series):
    return [(at - BEGIN) // M for at in series.opened_at.tolist()]


@pytest.mark.parametrize(
    ("at", "ended_by", "closed", "moving"),
    [
        (10.5, 10.5, 9, 10),  # the tenth still moves
        (10.5, 9.5, 9, 10),  # the venue's clock is behind, but a later candle shows
        (10.0, 10.0, 9, 10),
        (10.02, 10.0, 9, 10),
    ],
)
def test_the_last_row_is_closed_only_when_its_time_is_up(at, ended_by, closed, moving):
    track = CandleTrack(MINUTE, 50, Venue(11))

    view = track.refreshed(BEGIN + int(at * M), BEGIN + int(ended_by * M))

    assert minutes(view.series)[-1] == closed
    assert view.moving.is_closed is False
    assert (int(view.moving.opened_at.timestamp() * 1000) - BEGIN) // M == moving


def test_without_a_later_row_the_venues_clock_decides():
    track = CandleTrack(MINUTE, 50, Venue(10))  # the newest is of minute 9

    early = track.refreshed(BEGIN + 10 * M + 200, BEGIN + 10 * M - 800)
    assert minutes(early.series)[-1] == 8
    later = track.refreshed(BEGIN + 10 * M + 1200, BEGIN + 10 * M + 200)
    assert minutes(later.series)[-1] == 9


def test_rows_after_the_present_are_never_taken():
    track = CandleTrack(MINUTE, 50, lambda first, until: Venue(30)(first, first + 99 * M))

    view = track.refreshed(BEGIN + 10 * M + M // 2, BEGIN + 10 * M)

    assert minutes(view.series)[-1] == 9


def test_only_the_tail_is_asked_for_and_the_length_is_bounded():
    venue = Venue(500)
    track = CandleTrack(MINUTE, 20, venue)
    track.refreshed(BEGIN + 100 * M + 5000, BEGIN + 100 * M + 4000)
    track.refreshed(BEGIN + 100 * M + 9000, BEGIN + 100 * M + 8000)
    track.refreshed(BEGIN + 103 * M + 5000, BEGIN + 103 * M + 4000)
    view = track.refreshed(BEGIN + 400 * M + 5000, BEGIN + 400 * M + 4000)

    assert [first for first, _ in venue.asked] == [80, 98, 380]
    assert minutes(view.series) == list(range(380, 400))


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(3, "0"), "impossible candle"),
        (row(3, "-1"), "impossible candle"),
        (row(3, low="101"), "impossible candle"),
        (row(3, high="99"), "impossible candle"),
        (row(3, volume="-1"), "impossible candle"),
        (row(3, "NaN"), "can't be read"),
        (row(3, None), "can't be read"),
        (row(3, "Infinity"), "can't be read"),
        ([BEGIN + 7, "1", "1", "1", "1", "1"], "not a multiple of 1m"),
        (["soon", "1", "1", "1", "1", "1"], "can't be read"),
        (row(2, "100"), "twice"),
    ],
)
def test_an_unsound_row_spoils_the_answer_not_what_is_held(bad, reason):
    good = [row(minute) for minute in range(3)]

    with pytest.raises(VenueUnavailable, match=reason):
        sound_rows([*good, bad], M, BEGIN + 50 * M)


def test_a_mark_candle_without_volume_has_none():
    assert sound_rows([row(1, volume=None)], M, BEGIN + 9 * M)[0][5] == 0


def flat(at, price, volume):
    return at, price, price, price, price, volume


prices = st.decimals(min_value="0.00000001", max_value=99_999, places=8)


@given(
    st.lists(st.tuples(prices, prices, st.integers(0, 10**12)), max_size=30),
    st.integers(0, 30),
    st.integers(1, 40),
    st.integers(0, 4),
)
def test_joining_parts_is_the_same_as_the_whole(bars, cut, capacity, overlap):
    rows = [
        (BEGIN + i * M, a, max(a, b), min(a, b), b, Decimal(v).scaleb(-3))
        for i, (a, b, v) in enumerate(bars)
    ]
    first, second = rows[:cut], rows[max(0, cut - overlap) :]

    whole = joined(
        joined(empty_series(MINUTE), series_of(first, MINUTE), capacity),
        series_of(second, MINUTE),
        capacity,
    )

    kept = rows[-capacity:] if second else first[-capacity:]
    assert list(whole) == list(series_of(kept, MINUTE))


def test_volumes_too_large_for_both_lose_digits_and_prices_are_refused():
    small = series_of([flat(BEGIN, Decimal("0.00000001"), Decimal("0.00000001"))], MINUTE)
    grown = joined(small, series_of([flat(BEGIN + M, Decimal(1), Decimal(10) ** 17)], MINUTE), 9)

    assert int(grown.volume.max()) <= INT64_LIMIT
    assert grown.candle(1).volume == Decimal(10) ** 17
    with pytest.raises(VenueUnavailable, match="63 bits"):
        joined(small, series_of([flat(BEGIN + M, Decimal(10) ** 12, Decimal(1))], MINUTE), 9)
