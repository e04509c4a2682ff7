"""What a chart of prices is made of: the venue's candles, the bot's fills, and what is recorded when it is silent."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bots import models, runtime
from bots.queries import charts
from market.candle_rows import CandleKey, store_candles
from market.domain.data import Candle, CandleSeries
from market.errors import VenueUnavailable
from market.instrument_rows import row_of
from market.venues.charts import ChartCandles
from tests.bots.bulk_rows import hold, order_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL, instrument

MINUTE = timedelta(minutes=1)
START = datetime(2026, 5, 3, 12, tzinfo=UTC)


def bar(place: int, *, is_closed: bool = True) -> Candle:
    price = D(100 + place)
    return Candle(
        opened_at=START + place * 3 * MINUTE, open=price, high=price + 2, low=price - 1,
        close=price + 1, volume=D(5), is_closed=is_closed,
    )  # fmt: skip


def series(count: int) -> CandleSeries:
    return CandleSeries.from_candles([bar(place) for place in range(count)], 3 * MINUTE)


class Feed:
    """Shows so many closed candles and a moving one, or is silent."""

    silent = False

    def __init__(self, count: int) -> None:
        self.count = count

    def candles(self, symbol, now):
        if self.silent:
            raise VenueUnavailable("the venue does not answer")
        return ChartCandles(closed=series(self.count), unfinished=bar(self.count, is_closed=False))


@pytest.fixture
def feed(monkeypatch):
    feed = Feed(700)
    monkeypatch.setattr(runtime, "open_feed", lambda bot: feed)
    return feed


@pytest.fixture
def bot(db) -> models.Bot:
    row_of("simulated", instrument(), START).save()
    return paper_bot()


def test_the_last_candles_with_the_open_one(bot, feed):
    shown = charts.candles_of(bot, SYMBOL)

    assert len(shown.candles) == charts.MOST_CANDLES
    assert [one.is_closed for one in shown.candles[-2:]] == [True, False]
    assert shown.candles[-1].opened_at == shown.candles[-2].opened_at + 3 * MINUTE
    assert (shown.price_step, shown.problem) == (D("0.1"), "")
    assert len(charts.candles_of(bot, SYMBOL, count=60).candles) == 60
    assert len(charts.candles_of(bot, SYMBOL, count=1).candles) == 1


def test_only_what_came_since(bot, feed):
    whole = charts.candles_of(bot, SYMBOL).candles
    since = whole[-2].opened_at

    assert charts.candles_of(bot, SYMBOL, since=since).candles == whole[-2:]


def test_longer_candles_of_the_same_feed(bot, feed, monkeypatch):
    monkeypatch.setattr(
        runtime, "clock", lambda: type("At", (), {"now": staticmethod(lambda: bar(700).opened_at)})
    )
    shown = charts.candles_of(bot, SYMBOL, 15 * MINUTE)

    assert {one.opened_at.minute % 15 for one in shown.candles} == {0}
    assert len(shown.candles) == 700 // 5 + 1


def test_the_lengths_are_whole_numbers_of_the_bots_own():
    def lengths(minutes):
        bot = models.Bot(timeframe_seconds=minutes * 60)
        return [one // MINUTE for one in charts.chart_lengths(bot)]

    assert lengths(1) == [1, 5, 15]
    assert lengths(3) == [3, 15, 60]
    assert lengths(60) == [60, 240]
    assert lengths(1440) == [1440]


@pytest.mark.parametrize(
    ("symbol", "timeframe"), [("ETH/USDT:USDT", None), (SYMBOL, 4 * MINUTE), ("", None)]
)
def test_another_chart_is_none(bot, feed, symbol, timeframe):
    with pytest.raises(charts.NoSuchChart):
        charts.candles_of(bot, symbol, timeframe)


def test_what_is_still_held_has_a_chart(bot, feed):
    hold(bot, [("GONE/USDT:USDT", "1", "100")])

    assert charts.chart_symbols(bot) == (SYMBOL, "GONE/USDT:USDT")
    assert charts.candles_of(bot, "GONE/USDT:USDT").candles


def test_a_silent_venue_leaves_what_is_recorded(bot, feed):
    feed.silent = True
    assert charts.candles_of(bot, SYMBOL).candles == ()
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    recent = [
        Candle(
            opened_at=now - age * 3 * MINUTE,
            open=D(1),
            high=D(2),
            low=D(1),
            close=D(2),
            volume=D(1),
        )
        for age in (400, 5, 4)
    ]
    key = CandleKey(venue="simulated", symbol=SYMBOL, timeframe=3 * MINUTE)
    store_candles(key, CandleSeries.from_candles(recent, 3 * MINUTE))

    shown = charts.candles_of(bot, SYMBOL, count=60)

    assert shown.problem == "the venue does not answer"
    assert [one.opened_at for one in shown.candles] == [one.opened_at for one in recent[1:]]


def fills(bot: models.Bot, count: int) -> None:
    order = order_row(bot, 0)
    order.save()
    models.Fill.objects.bulk_create(
        models.Fill(
            bot=bot, order=order if place % 2 else None, sequence=place, symbol=SYMBOL,
            venue_trade_id=str(place), side="BUY", quantity=D(1), price=D(100), fee=D("0.1"),
            fee_currency="USDT", liquidity="TAKER", reason="ORDER", at=START + place * MINUTE,
        )
        for place in range(count)
    )  # fmt: skip


def test_fills_are_the_last_ones_in_order_and_ones_own(bot):
    fills(bot, 9)
    fills(paper_bot(name="other"), 3)

    shown = charts.fill_marks(bot, SYMBOL, START + 4 * MINUTE, limit=3)

    assert [one.at for one in shown] == [START + place * MINUTE for place in (6, 7, 8)]
    assert [one.purpose for one in shown] == [None, "ENTRY", None]
    assert charts.fill_marks(bot, "OTHER/USDT:USDT", START) == ()


@pytest.mark.parametrize("count", [3, 300])
def test_the_number_of_queries_is_fixed(bot, feed, count):
    fills(bot, count)
    with CaptureQueriesContext(connection) as caught:
        charts.candles_of(bot, SYMBOL)
        charts.fill_marks(bot, SYMBOL, START)

    assert len(caught) == 3
