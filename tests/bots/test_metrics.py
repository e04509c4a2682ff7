"""Numbers of an equity curve: tables worked out by hand, independent oracles, properties."""

import math
import statistics
from dataclasses import astuple
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bots.metrics import equity_metrics, sharpe_of_days

DAY = timedelta(days=1)


def measure(points, step=DAY, opening=100.0):
    return equity_metrics(np.array(points, dtype=np.float64), step, opening=opening)


def rates(metrics):
    """The five numbers that ruin, or too short a curve, leaves undefined."""
    return (
        metrics.cagr_fraction,
        metrics.volatility,
        metrics.sharpe_ratio,
        metrics.sortino_ratio,
        metrics.calmar_ratio,
    )


def close_to(value):
    return None if value is None else pytest.approx(value, rel=1e-6, abs=1e-9)


# --- By hand -------------------------------------------------------------------------------------


def test_every_number_of_a_small_curve():
    # 100 → 110, 99, 99, 118.8: returns 0.1, −0.1, 0, 0.2 with mean 0.05 and squared deviations
    # 0.0025 + 0.0225 + 0.0025 + 0.0225 = 0.05 over 3; the only loss gives √(0.01 ÷ 4) = 0.05.
    # A step of 73 days makes 5 periods a year.
    metrics = measure([110, 99, 99, 118.8], step=73 * DAY)

    assert metrics.periods == 4
    assert metrics.period_seconds == 73 * 86400
    assert metrics.periods_per_year == 5
    assert metrics.total_return_fraction == pytest.approx(0.188)
    assert metrics.cagr_fraction == pytest.approx(1.188 ** (5 / 4) - 1)
    assert metrics.volatility == pytest.approx(math.sqrt(0.05 / 3 * 5))
    assert metrics.sharpe_ratio == pytest.approx(math.sqrt(0.75))
    assert metrics.sortino_ratio == pytest.approx(math.sqrt(5))
    assert metrics.max_drawdown_fraction == pytest.approx(0.1)
    assert metrics.max_drawdown_duration == 3 * 73 * DAY
    assert metrics.calmar_ratio == pytest.approx((1.188 ** (5 / 4) - 1) / 0.1)


def test_a_year_of_minutes_has_365_days():
    assert measure([], step=timedelta(minutes=1)).periods_per_year == 525_600


@pytest.mark.parametrize(
    ("points", "depth", "steps"),
    [
        ([], 0, 0),
        ([100], 0, 0),
        ([101, 102, 103], 0, 0),
        ([100, 100, 100], 0, 0),  # flat at the peak is not under water
        ([90], 0.1, 1),  # the opening is the first peak
        ([90, 100], 0.1, 2),  # back at the peak is recovered
        ([90, 80, 85], 0.2, 3),  # never recovered: until the end
        ([110, 105, 110, 110, 99], 0.1, 2),  # the longest is not the deepest
        ([110, 110, 110, 99, 120], 0.1, 2),  # from the last point at the peak
        ([50, 200, 190, 180, 170, 160], 0.5, 4),
        ([50, 60, 70, 200, 190], 0.5, 4),
        ([0], 1, 1),
        ([-50], 1.5, 1),  # owing money is a fall of more than everything
    ],
)
def test_drawdown_and_its_duration(points, depth, steps):
    metrics = measure(points)

    assert metrics.max_drawdown_fraction == pytest.approx(depth)
    assert metrics.max_drawdown_duration == steps * DAY


def test_no_period_gives_no_rate():
    metrics = measure([])

    assert (metrics.periods, metrics.total_return_fraction) == (0, 0)
    assert rates(metrics) == (None,) * 5


def test_one_period_has_a_growth_and_no_deviation():
    metrics = measure([90], step=365 * DAY)

    assert metrics.cagr_fraction == pytest.approx(-0.1)
    assert metrics.calmar_ratio == pytest.approx(-1)
    assert rates(metrics)[1:4] == (None, None, None)


@pytest.mark.parametrize("points", [[100.0] * 50, [100 * 1.01**n for n in range(1, 50)]])
def test_without_deviation_there_is_no_sharpe(points):
    metrics = measure(points)

    assert metrics.volatility == pytest.approx(0, abs=1e-12)
    assert (metrics.sharpe_ratio, metrics.sortino_ratio) == (None, None)


def test_one_cent_of_a_million_is_a_deviation():
    assert measure([1e6, 1e6 + 0.01, 1e6 + 0.01], opening=1e6).sharpe_ratio is not None


@pytest.mark.parametrize("points", [[120, 0, 50], [120, -1, 50], [50, 20, 0]])
def test_after_ruin_only_return_and_drawdown_are_defined(points):
    metrics = measure(points)

    assert rates(metrics) == (None,) * 5
    assert metrics.total_return_fraction == pytest.approx(points[-1] / 100 - 1)
    assert metrics.max_drawdown_fraction >= 1


def test_growth_past_the_largest_float_is_undefined():
    metrics = measure([200], step=timedelta(minutes=1))

    assert (metrics.cagr_fraction, metrics.calmar_ratio) == (None, None)


@pytest.mark.parametrize(
    ("points", "step", "opening", "complaint"),
    [
        ([1.0], timedelta(0), 1.0, "step"),
        ([1.0], -DAY, 1.0, "step"),
        ([1.0], DAY, 0.0, "opening"),
        ([1.0], DAY, -1.0, "opening"),
        ([1.0], DAY, math.nan, "opening"),
        ([1.0], DAY, math.inf, "opening"),
        ([1.0, math.nan], DAY, 1.0, "finite"),
        ([-math.inf], DAY, 1.0, "finite"),
        ([1e300], DAY, 1e-300, "finite"),
        ([[1.0], [2.0]], DAY, 1.0, "dimension"),
    ],
)
def test_what_is_no_equity_curve_is_refused(points, step, opening, complaint):
    with pytest.raises(ValueError, match=complaint):
        measure(points, step=step, opening=opening)


def test_the_curve_is_left_as_it_was():
    points = np.array([110.0, 90.0])
    points.flags.writeable = False

    assert equity_metrics(points, DAY, opening=100).periods == 2
    assert points.tolist() == [110.0, 90.0]


def days(*percents):
    """Return the NAV of a unit at the start and after each day."""
    navs = [Decimal(100)]
    for percent in percents:
        navs.append(navs[-1] * (100 + percent) / 100)
    return navs


def test_sharpe_of_ten_days():
    # Mean 0.01; every deviation is 0.02, so the variance is 10 × 0.0004 ÷ 9.
    expected = 0.01 / math.sqrt(0.004 / 9) * math.sqrt(365)

    assert sharpe_of_days(days(*[3, -1] * 5)) == Decimal(f"{expected:.4f}")


def test_nine_days_are_too_few():
    assert sharpe_of_days(days(*[3, -1] * 4, 3)) is None


@pytest.mark.parametrize("percents", [[0] * 12, [5] * 12, [-100, *[0] * 12]])
def test_days_without_deviation_or_money_have_no_sharpe(percents):
    assert sharpe_of_days(days(*percents)) is None


def test_sharpe_of_days_is_never_minus_zero():
    # The mean is a little below zero, and with it Sharpe: −0.0000018.
    percents = [Decimal("9.99999"), *[Decimal(-10), Decimal(10)] * 4, Decimal(-10)]

    assert str(sharpe_of_days(days(*percents))) == "0.0000"


# --- Oracles -------------------------------------------------------------------------------------


def under_water(curve):
    """Return the longest stretch under water in steps, from a peak to its recovery or the end."""
    longest = 0
    for low in range(1, len(curve)):
        peak = max(curve[: low + 1])
        if curve[low] < peak:
            start = max(i for i in range(low) if curve[i] == peak)
            end = next((i for i in range(low, len(curve)) if curve[i] >= peak), len(curve) - 1)
            longest = max(longest, end - start)
    return longest


# Few levels, so that peaks are met again exactly.
levels = st.lists(st.integers(1, 12).map(float), max_size=40)
curves = st.lists(st.integers(1, 10**9).map(lambda cents: cents / 100), min_size=1, max_size=60)
steps = st.sampled_from([timedelta(minutes=1), timedelta(hours=4), DAY])


@given(levels, st.integers(1, 12).map(float))
def test_drawdown_agrees_with_a_plain_loop(points, opening):
    metrics = measure(points, opening=opening)
    curve = [opening, *points]

    assert metrics.max_drawdown_duration == under_water(curve) * DAY
    assert metrics.max_drawdown_fraction == pytest.approx(
        max(1 - low / max(curve[: i + 1]) for i, low in enumerate(curve))
    )


@given(curves, steps)
def test_ratios_agree_with_their_formulas(points, step):
    curve = [100.0, *points]
    returns = [after / before - 1 for before, after in pairwise(curve)]
    assume(len(set(returns)) > 1)
    metrics = measure(points, step=step)
    annual = math.sqrt(timedelta(days=365) / step)
    mean, deviation = statistics.mean(returns), statistics.stdev(returns)
    losses = [r for r in returns if r < 0]

    assert metrics.volatility == pytest.approx(deviation * annual)
    assert metrics.sharpe_ratio == pytest.approx(mean / deviation * annual, rel=1e-6, abs=1e-6)
    if losses:
        downside = math.sqrt(sum(r * r for r in losses) / len(returns))
        assert metrics.sortino_ratio == pytest.approx(mean / downside * annual, rel=1e-6, abs=1e-6)
    else:
        assert metrics.sortino_ratio is None


# --- Properties ----------------------------------------------------------------------------------


@given(curves, st.integers(1, 10**6), steps)
def test_the_currency_does_not_matter(points, scale, step):
    one = measure(points, step=step)
    many = measure([scale * point for point in points], step=step, opening=100.0 * scale)

    assert many.max_drawdown_duration == one.max_drawdown_duration
    for value, scaled in zip(astuple(one)[:-1], astuple(many)[:-1], strict=True):
        assert scaled == close_to(value)


@given(curves)
def test_drawdown_of_a_positive_curve_is_a_fraction(points):
    metrics = measure(points)

    assert 0 <= metrics.max_drawdown_fraction < 1
    assert (metrics.max_drawdown_fraction > 0) == (metrics.max_drawdown_duration > timedelta(0))
    assert metrics.max_drawdown_duration <= len(points) * DAY


@given(curves)
def test_a_rising_curve_has_no_drawdown(points):
    metrics = measure(sorted(max(point, 100) for point in points))

    assert metrics.max_drawdown_fraction == 0
    assert metrics.max_drawdown_duration == timedelta(0)
    assert (metrics.calmar_ratio, metrics.sortino_ratio) == (None, None)


@given(st.data())
def test_the_order_of_returns_does_not_matter_to_ratios(data):
    percents = data.draw(st.lists(st.integers(-50, 50), min_size=2, max_size=30))
    shuffled = data.draw(st.permutations(percents))
    one, other = (
        measure(100 * np.cumprod(1 + np.array(order) / 100, dtype=np.float64))
        for order in (percents, shuffled)
    )

    names = (
        "total_return_fraction",
        "cagr_fraction",
        "volatility",
        "sharpe_ratio",
        "sortino_ratio",
    )
    for name in names:
        assert getattr(other, name) == close_to(getattr(one, name)), name


@given(curves, st.integers(2, 1000))
def test_annualisation_goes_with_the_root_of_time(points, factor):
    short, long = measure(points), measure(points, step=factor * DAY)

    assert long.max_drawdown_duration == factor * short.max_drawdown_duration
    for name in ("volatility", "sharpe_ratio", "sortino_ratio"):
        value = getattr(long, name)
        assert getattr(short, name) == close_to(value and value * math.sqrt(factor))


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=20),
    st.floats(min_value=5e-324, allow_nan=False, allow_infinity=False),
    st.timedeltas(min_value=timedelta(microseconds=1), max_value=timedelta(days=30000)),
)
def test_what_is_undefined_is_none_never_nan(points, opening, step):
    try:
        metrics = measure(points, step=step, opening=opening)
    except ValueError:
        return  # finite numbers whose quotient is not
    for value in astuple(metrics)[:-1]:
        assert value is None or math.isfinite(value)
