"""An equity curve drawn as text: its size, its characters, and that no spike gets lost."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.lab.curve import draw_equity, thin

START = 1_640_995_200_000  # 2022-01-01 00:00 UTC
MINUTE = 60_000


def times(count, step=MINUTE):
    return START + step * np.arange(count, dtype=np.int64)


def draw(points, *size, step=MINUTE, **options):
    equity = np.array(points, dtype=np.float64)
    return draw_equity(equity, times(len(points), step), *size, **options)


def canvas(text):
    """Return what is drawn inside the frame, row by row."""
    rows = [line for line in text.split("\n") if line.count("│") + line.count("┤") == 2]
    return [row.replace("┤", "│").split("│")[1] for row in rows]


@pytest.mark.parametrize(("width", "height"), [(80, 20), (30, 6), (133, 41), (300, 90)])
@pytest.mark.parametrize("count", [1, 2, 3, 50, 5000])
def test_it_is_as_large_as_asked(width, height, count, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")  # whatever the terminal's size
    monkeypatch.setenv("LINES", "10")
    rows = draw(10_000 + np.sin(np.arange(count)), width, height).split("\n")

    assert len(rows) == height
    assert {len(row) for row in rows} == {width}


def test_a_size_too_small_to_read_is_raised():
    rows = draw([1, 2, 3], 2, 1).split("\n")

    assert (len(rows), len(rows[0])) == (6, 30)


def test_without_a_terminal_it_is_plain_text():
    text = draw([1, 2, 1.5])

    assert "\x1b" not in text
    assert not text.endswith("\n")


def test_in_colour_it_is_the_same_drawing():
    import plotext

    coloured = draw([1, 2, 1.5], colour=True)

    assert "\x1b[38;" in coloured
    assert plotext.uncolorize(coloured).rstrip("\n") == draw([1, 2, 1.5])


def test_ascii_only():
    text = draw(10_000 + np.sin(np.arange(900)), ascii_only=True)

    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert "*" in text


@pytest.mark.parametrize("minute", [0, 1, 137, 22_222, 45_029, 45_030])
@pytest.mark.parametrize("spike", [5_000.0, 15_000.0])
def test_one_bad_minute_in_a_month_is_seen(minute, spike):
    points = np.full(45_031, 10_000.0)
    points[minute] = spike
    rows = canvas(draw(points, 80, 20))

    # A line from the level, at one edge of the frame, through every row to the other edge.
    assert len(rows) == 16
    assert all(row.strip() for row in rows)
    assert sum(len(row.strip()) > 2 for row in rows) == 1  # the level itself is the only long one


def test_rising_is_drawn_upwards():
    rows = canvas(draw(np.linspace(1, 2, 500), 60, 12))
    firsts = [len(row) - len(row.lstrip()) for row in rows]

    assert firsts == sorted(firsts, reverse=True)
    assert firsts[0] > firsts[-1]


def test_axes_tell_values_and_times():
    text = draw([10_000, 9_500, 12_000], 60, 12, step=86_400_000, title="ema_trend")

    assert "ema_trend" in text.split("\n")[0]
    assert "12,000" in text
    assert "9,500" in text
    assert "2022-01-01" in text
    assert "2022-01-03" in text


def test_times_within_a_day_are_told_apart():
    last = draw([1, 2, 3], 60, 8).split("\n")[-1]

    assert last.split() == ["01-01", "00:00", "01-01", "00:02"]


@pytest.mark.parametrize(
    "points",
    [
        [0.0] * 5,
        [1e-6] * 5,
        [3.0],
        [-5.0, -4.0],
        [10_000.0, 10_000.00000002],
        [0.1 + 0.2, 0.3],
        [1e12, 1e12 + 1],
        [-1e-9, 1e-9, 0.0],
        [-3.01, 5.99],  # a level of −0.01, in tenths
    ],
)
def test_odd_scales_are_drawn_with_distinct_labels(points):
    text = draw(points, 60, 12)
    labels = [line.split("┤")[0].strip() for line in text.split("\n") if "┤" in line]

    assert any(row.strip() for row in canvas(text))
    assert len(labels) >= 2
    assert len(set(labels)) == len(labels)
    assert not any(float(label.replace(",", "")) == 0 and "-" in label for label in labels)


def test_nothing_to_draw_is_said():
    assert draw([], title="Equity") == "Equity: nothing to draw"


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        draw([1, bad])


def test_each_point_has_its_time():
    with pytest.raises(ValueError, match="3 points of equity at 2 times"):
        draw_equity(np.ones(3), times(2))


def test_one_drawing_leaves_nothing_for_the_next():
    first = draw([1, 2, 3])
    draw(np.linspace(5, 1, 100), 50, 9, colour=True, ascii_only=True, title="other")

    assert draw([1, 2, 3]) == first


def test_the_plotting_library_is_loaded_only_to_draw():
    script = "import sys, bots.lab.curve; print('plotext' in sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=os.environ
    )

    assert run.stdout.strip() == "False"


@given(st.lists(st.integers(-9, 9).map(float), min_size=1, max_size=300), st.integers(1, 40))
def test_thinning_keeps_the_extremes_of_every_stretch(values, buckets):
    values = np.array(values)
    kept = thin(values, buckets)

    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert (np.diff(kept) > 0).all()
    assert len(kept) <= 2 * buckets + 2
    if len(values) <= 2 * buckets:
        assert len(kept) == len(values)
    edges = np.linspace(0, len(values), buckets + 1).astype(int)
    for start, end in pairwise(edges):
        inside = values[kept[(kept >= start) & (kept < end)]]
        if start < end:
            assert (inside.min(), inside.max()) == (
                values[start:end].min(),
                values[start:end].max(),
            )
