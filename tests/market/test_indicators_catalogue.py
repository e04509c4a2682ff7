"""The wider catalogue by name: what it gives, and that nothing in it looks ahead."""

import inspect

import numpy as np
import pytest

from market.indicators import book, catalogue, catalogue_names, ema
from market.indicators.catalogue import _library
from tests.market.test_indicators import series_of, walk

COLUMNS = ("open", "high", "low", "close", "volume")


def hours(columns):
    """Four-hour candles, so that daily, weekly and anchored functions have boundaries to cross."""
    series = series_of(*columns)
    times = np.arange(len(series), dtype=np.int64) * 4 * 3_600_000
    return type(series)(
        timeframe=series.timeframe * 240,
        opened_at=times,
        **{name: getattr(series, name) for name in COLUMNS},
        price_exponent=series.price_exponent,
        volume_exponent=series.volume_exponent,
    )


CALM = [getattr(walk(400, scale=90_000), name) for name in COLUMNS]
KEPT = 330


def changed():
    """The same candles up to KEPT, and others after."""
    columns = [column.copy() for column in CALM]
    factor = 1 + np.arange(1, 400 - KEPT + 1) % 7
    for column in columns:
        column[KEPT:] *= factor
    return columns


PAST = hours([column[:KEPT] for column in CALM])
FUTURE = hours(CALM)
OTHER_FUTURE = hours(changed())


def switches(name):
    """The function's parameters that are on or off."""
    parameters = inspect.signature(getattr(_library(), name)).parameters.values()
    return [p.name for p in parameters if "bool" in str(p.annotation) and p.name != "talib"]


def leaks(name, **params):
    """The lines whose values at the first KEPT candles depend on what follows, to the bit."""
    alone, one, other = (
        catalogue(name, series, **params) for series in (PAST, FUTURE, OTHER_FUTURE)
    )
    return [
        line
        for line in one
        if not np.array_equal(one[line][:KEPT], other[line][:KEPT], equal_nan=True)
        or not np.array_equal(one[line][:KEPT], alone[line], equal_nan=True)
    ]


def refused_or_causal(name, **params):
    try:
        return leaks(name, **params) == []
    except ValueError as error:
        return "look ahead" in str(error)


@pytest.mark.parametrize("name", catalogue_names())
def test_nothing_in_the_catalogue_looks_ahead(name):
    """P5 for all of it, at its defaults and with each of its switches on and off."""
    assert leaks(name) == []
    for switch in switches(name):
        assert refused_or_causal(name, **{switch: True})
        assert refused_or_causal(name, **{switch: False})


def test_the_catalogue_gives_lines():
    empty = [name for name in catalogue_names() if not catalogue(name, FUTURE)]
    all_nan = [
        name
        for name in catalogue_names()
        if all(np.isnan(line).all() for line in catalogue(name, FUTURE).values())
    ]

    assert len(catalogue_names()) > 170
    assert empty == all_nan == []


def test_values_are_the_librarys_own():
    series = walk(100)

    lines = catalogue("ema", series, length=20, talib=True)

    assert list(lines) == ["EMA_20"]
    np.testing.assert_array_equal(lines["EMA_20"], ema(series, 20))
    with pytest.raises(ValueError, match="read-only"):
        lines["EMA_20"][0] = 1.0


def test_a_book_reads_the_catalogue_as_of_its_end():
    whole = walk(200)

    window = book(whole.first(120)).catalogue("hma", length=10)

    np.testing.assert_array_equal(window["HMA_10"], catalogue("hma", whole.first(120))["HMA_10"])
    assert book(whole).catalogue("hma", length=10)["HMA_10"].base is window["HMA_10"].base


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("bolinger", {}, "'bolinger' is no indicator of the catalogue"),
        ("supertrnd", {}, "close to it: supertrend"),
        ("tos_stdevall", {}, "later candles move earlier values"),
        ("vp", {}, "histogram of the whole series"),
        ("beta", {}, "second instrument"),
        ("dpo", {"centered": True}, "dpo with centered=True would look ahead"),
        ("ichimoku", {"include_chikou": True}, "would look ahead"),
        ("cpr", {"virgin_cpr": True}, "would look ahead"),
        ("cdl_z", {"full": True}, "would look ahead"),
        ("sma", {"offset": -3}, "sma with offset=-3 would look ahead"),
        ("sma", {"fill_method": "bfill"}, "sma has no parameter 'fill_method'"),
        ("sma", {"close": 3}, "sma has no parameter 'close'"),
        ("__import__", {}, "is no indicator"),
    ],
)
def test_refusals_are_named(name, params, message):
    with pytest.raises(ValueError, match=message):
        catalogue(name, walk(60), **params)


def test_too_short_for_the_library_is_no_line():
    assert catalogue("hma", walk(3)) == {}
