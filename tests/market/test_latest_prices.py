"""Latest prices: one statement, forward in time only, and nothing that must not be taken for the price."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import DatabaseError

from market import services
from market.domain.data import InstrumentSnapshot, MarketSnapshot, Quote
from market.models import LatestPrice
from market.queries import latest_prices
from market.services import note_prices
from tests.market.sim_broker.venue import MINUTE, PERPETUAL, SPOT_COIN, START, flat_rows, series

pytestmark = pytest.mark.django_db


def item(price: str, instrument=PERPETUAL, at=START, **changes) -> InstrumentSnapshot:
    quote = Quote(
        symbol=instrument.symbol, at=at, bid=D(price), ask=D(price), last=D(price), mark=D(price)
    )
    bars = series(flat_rows(3))
    whole = InstrumentSnapshot(instrument=instrument, quote=quote, candles=bars, bars=bars)
    return replace(whole, **changes)


def market(*items: InstrumentSnapshot, as_of=START + MINUTE) -> MarketSnapshot:
    return MarketSnapshot(as_of=as_of, instruments=items)


def kept(symbol: str = PERPETUAL.symbol) -> D | None:
    row = latest_prices([("somewhere", symbol)]).get(("somewhere", symbol))
    return None if row is None else row.mark_price


def test_a_snapshot_is_one_statement(django_assert_num_queries) -> None:
    both = market(item("100"), item("0.00012345", SPOT_COIN))
    with django_assert_num_queries(1):
        assert note_prices("somewhere", both)
    assert (kept(), kept(SPOT_COIN.symbol)) == (D(100), D("0.00012345"))


def test_a_price_moves_forward_in_time_only() -> None:
    note_prices("somewhere", market(item("100", at=START)))
    assert note_prices("somewhere", market(item("101", at=START + timedelta(microseconds=1))))
    assert not note_prices("somewhere", market(item("99", at=START)))
    assert not note_prices("somewhere", market(item("98", at=START + timedelta(microseconds=1))))
    assert kept() == D(101)
    assert note_prices("somewhere", market(item("102", at=START + timedelta(seconds=1))))
    assert kept() == D(102)
    assert LatestPrice.objects.count() == 1


def test_a_late_snapshot_changes_only_what_is_newer_in_it() -> None:
    note_prices("somewhere", market(item("100", at=START)))
    mixed = market(item("90", at=START - MINUTE), item("5", SPOT_COIN, at=START - MINUTE))
    assert note_prices("somewhere", mixed)
    assert (kept(), kept(SPOT_COIN.symbol)) == (D(100), D(5))


def test_a_clock_that_runs_ahead_blocks_no_later_price() -> None:
    note_prices("somewhere", market(item("100", at=START + timedelta(days=1)), as_of=START))
    assert note_prices("somewhere", market(item("101", at=START + MINUTE)))
    assert kept() == D(101)


@pytest.mark.parametrize(
    "wrong",
    [
        item("0"),
        item("-1"),
        item("NaN"),
        item("Infinity"),
        item("1E-13"),
        item("100", quote=None),
        item("100", unusable="the mark price is implausibly far from the last price"),
    ],
)
def test_what_is_no_price_is_not_kept(wrong, django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        assert not note_prices("somewhere", market(wrong))
    assert kept() is None
    assert note_prices("somewhere", market(wrong, item("7", SPOT_COIN)))  # its neighbour is
    assert kept(SPOT_COIN.symbol) == D(7)


def test_more_digits_than_a_database_keeps_are_rounded_for_a_page() -> None:
    note_prices("somewhere", market(item("12345.678901234567890123")))
    assert kept() == D("12345.6789012346")


def test_a_database_that_refuses_fails_nobody(monkeypatch, caplog) -> None:
    def refuses(*_: object) -> int:
        raise DatabaseError("disk full")

    monkeypatch.setattr(services, "store_prices", refuses)
    assert not note_prices("somewhere", market(item("100")))
    assert "the prices of somewhere could not be kept" in caplog.text


def test_prices_are_found_by_pair_in_one_query(django_assert_num_queries) -> None:
    for venue in ("here", "there"):
        note_prices(venue, market(item("100"), item("5", SPOT_COIN)))
    wanted = [("here", PERPETUAL.symbol), ("there", SPOT_COIN.symbol), ("there", "NO/USDT")]
    with django_assert_num_queries(1):
        found = latest_prices(iter(wanted))
    assert set(found) == set(wanted[:2])
    assert found["there", SPOT_COIN.symbol].last_price == D(5)
    with django_assert_num_queries(0):
        assert latest_prices([]) == {}
