"""What is packed and read back is the same to whoever may look at it, and nothing to who must reconcile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from market.domain.canonical import canonical_bytes
from market.domain.packed_snapshot import CANDLES_KEPT, pack_snapshot, unpack_snapshot
from market.indicators import book
from market.venues.sim_market.feed import SimMarketFeed

NOW = datetime(2026, 3, 2, 12, 0, 40, 123456, tzinfo=UTC)
SYMBOLS = ("BTC/USDT:USDT", "DOGE/USDT:USDT")


@pytest.fixture(scope="module")
def seen():
    feed = SimMarketFeed(1, timeframe=timedelta(minutes=1), symbols=SYMBOLS, history=timedelta(3))
    return feed.snapshot(SYMBOLS, NOW)


@pytest.fixture(scope="module")
def instruments(seen):
    return {item.symbol: item.instrument for item in seen.instruments}


def test_whoever_reads_sees_what_was_seen(seen, instruments):
    read = unpack_snapshot(pack_snapshot(seen), instruments)

    assert (read.as_of, read.source) == (seen.as_of, seen.source)
    for one, other in zip(read.instruments, seen.instruments, strict=True):
        for name in (
            "instrument", "quote", "book", "unfinished", "funding_rate", "next_funding_at",
            "open_interest", "unusable",
        ):  # fmt: skip
            assert getattr(one, name) == getattr(other, name), name
        assert one.context is not None and len(one.context) == len(other.context)
        assert one.context.digest() == other.context.digest()
        assert len(other.candles) > CANDLES_KEPT == len(one.candles)
        assert list(one.candles) == list(other.candles)[-CANDLES_KEPT:]
        assert one.candles.timeframe == other.candles.timeframe


def test_nobody_can_reconcile_on_it(seen, instruments):
    [item, _] = unpack_snapshot(pack_snapshot(seen), instruments).instruments
    assert item.mark_bars is None and item.funding is None and item.bars is item.candles


def test_the_same_bytes_and_hash_however_often(seen, instruments):
    data = pack_snapshot(seen)
    once = unpack_snapshot(data, instruments)
    twice = unpack_snapshot(pack_snapshot(once), instruments)

    assert pack_snapshot(once) == pack_snapshot(seen) == data
    assert once.content_hash == twice.content_hash
    assert canonical_bytes(once.instruments[0].quote) == canonical_bytes(seen.instruments[0].quote)
    assert len(data) < 60_000


def test_indicators_have_settled_in_what_is_kept(seen, instruments):
    read = unpack_snapshot(pack_snapshot(seen), instruments)
    for one, other in zip(read.instruments, seen.instruments, strict=True):
        for line in (("ema", 50), ("rsi", 14), ("atr", 14), ("macd", 12, 26, 9)):
            kept, whole = (book(item.candles).last(*line) for item in (one, other))
            assert kept == pytest.approx(whole, rel=1e-6), line


def test_what_is_not_known_stays_unknown(seen, instruments):
    [item, other] = seen.instruments
    bare = replace(
        item, quote=None, book=None, context=None, unfinished=None, funding_rate=None,
        next_funding_at=None, open_interest=None, unusable="no price", candles=item.candles.first(0),
    )  # fmt: skip
    read = unpack_snapshot(
        pack_snapshot(replace(seen, instruments=(bare, other))), instruments
    ).instruments[0]

    assert (read.quote, read.book, read.context, read.unfinished) == (None,) * 4
    assert (read.funding_rate, read.next_funding_at, read.open_interest) == (None,) * 3
    assert read.unusable == "no price" and len(read.candles) == 0


@pytest.mark.parametrize("spoil", [lambda data: b"2" + data[1:], lambda data: data[:-20]])
def test_other_bytes_are_refused(seen, instruments, spoil):
    with pytest.raises(ValueError, match="snapshot"):
        unpack_snapshot(spoil(pack_snapshot(seen)), instruments)


def test_an_instrument_the_reader_does_not_know_is_refused(seen, instruments):
    with pytest.raises(KeyError):
        unpack_snapshot(pack_snapshot(seen), {SYMBOLS[0]: instruments[SYMBOLS[0]]})
