"""Paper bots on the public prices of three real venues: the real client, the real desk, a local server."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest

from bots import models, runtime
from bots.domain.records import CycleOutcome
from market.domain.enums import FillReason, OrderStatus
from tests.market.venues.loopback import Failure, only_loopback
from tests.scenarios.venue_desks import KINDS, MINUTE, OPENED, venue_desk

pytestmark = pytest.mark.django_db(transaction=True)
SLIPPAGE = D("0.0001")
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def nothing_leaves(monkeypatch):
    with only_loopback(monkeypatch) as tried:
        yield
    assert tried == []


@pytest.fixture(params=KINDS)
def desk(request, monkeypatch, settings):
    with venue_desk(monkeypatch, settings, request.param) as desk:
        yield desk


@pytest.fixture
def holding(desk):
    """A bot that has bought."""
    desk.create()
    assert desk.cycle().outcome is CycleOutcome.DECIDED
    assert desk.holds()
    return desk


def test_an_entry_fills_at_the_venues_quote_and_is_protected(desk):
    bot = desk.create()
    symbol = desk.venue.symbols["BTC"]
    ask = desk.venue.market.price("BTC") + desk.venue.market.TICK["BTC"]
    instrument = desk.instruments()[symbol]

    record = desk.cycle()

    assert record.outcome is CycleOutcome.DECIDED
    fills, entry = desk.fills(), desk.order("ENTRY")
    deepest = ask + 9 * desk.venue.market.TICK["BTC"]  # ten levels are shown
    for fill in fills:  # one per level
        assert ask <= fill.price <= deepest * (1 + SLIPPAGE) + instrument.price_step
        paid = fill.price * fill.quantity * instrument.contract_size * instrument.taker_fee
        assert abs(fill.fee - paid) < D("0.00000001")
    assert sum(fill.quantity for fill in fills) == entry.quantity
    stop, target = desk.order("STOP"), desk.order("TARGET")
    assert {stop.status, target.status} == {OrderStatus.ACCEPTED}
    assert desk.resting() == {stop.pk, target.pk}
    assert stop.trigger_price < ask < target.trigger_price
    assert {stop.quantity, target.quantity} == {entry.quantity}
    assert desk.cycle().order_ids == () and len(desk.fills()) == len(fills)
    assert bot.currency == instrument.settle
    assert desk.differences() == []


def test_a_mark_closes_at_the_stop(holding):
    stop = holding.order("STOP")
    holding.advance(timedelta(seconds=15))
    holding.venue.set_price("BTC", stop.trigger_price - 20)

    marked = holding.mark()

    assert (marked.marked, marked.failed) == (1, 0)
    bid = stop.trigger_price - 20 - holding.venue.market.TICK["BTC"]
    closing = [fill for fill in holding.fills() if fill.order_id == stop.pk]
    assert sum(fill.quantity for fill in closing) == stop.quantity
    for fill in closing:
        assert (bid - 9) * (1 - SLIPPAGE) - 1 <= fill.price <= bid
    assert not holding.holds() and holding.resting() == set()
    (trade,) = models.ClosedTrade.objects.filter(bot=holding.bot)
    assert trade.net_pnl < 0
    assert holding.mark().looked_at == 0
    assert holding.differences() == []


def test_funding_is_booked_once_at_its_time(holding):
    at = datetime(2026, 5, 3, 16, 0, tzinfo=UTC)
    holding.advance(at + timedelta(seconds=90) - OPENED)

    for _ in range(2):
        assert holding.mark().failed == 0
        holding.restart()
        holding.advance(timedelta(seconds=15))
        holding.cycle()

    first = at if holding.venue.kind != "hyperliquid" else at - 3 * HOUR
    expected = [first + n * HOUR for n in range((at - first) // HOUR + 1)]
    paid = holding.entries("FUNDING")
    assert [entry.at.replace(microsecond=0) for entry in paid] == expected
    assert all(entry.amount < 0 for entry in paid)
    assert holding.differences() == []


def test_a_stop_hit_while_nobody_looked_is_booked_at_its_minute(holding):
    stop = holding.order("STOP").trigger_price
    hit = datetime(2026, 5, 3, 13, 30, tzinfo=UTC)
    low = str(stop - 5)
    holding.venue.set_minute("BTC", hit, (str(stop + 50), str(stop + 60), low, str(stop + 40), "5"))
    holding.restart()

    holding.advance(3 * HOUR)
    holding.mark()

    fill = holding.fills()[-1]
    assert fill.order_id == holding.order("STOP").pk
    assert hit <= fill.at <= hit + MINUTE
    assert stop * (1 - SLIPPAGE) - 1 <= fill.price <= stop
    assert fill.reason != FillReason.LIQUIDATION
    assert not holding.holds() and holding.resting() == set()
    assert holding.differences() == []


DOWN = [Failure.ERROR_500, Failure.GARBAGE, Failure.CLOSE, Failure.EMPTY, Failure.ZEROS]


@pytest.mark.parametrize("failure", DOWN)
def test_a_venue_that_is_down_opens_nothing_and_heals(desk, failure):
    desk.create()
    desk.venue.fail(failure)
    desk.advance(timedelta(seconds=15))

    record = desk.cycle()

    assert record.outcome in (CycleOutcome.VENUE_UNAVAILABLE, CycleOutcome.NO_MARKET)
    assert not models.Order.objects.filter(bot=desk.bot).exists()
    desk.venue.heal()
    desk.advance(timedelta(seconds=15))
    assert desk.cycle().outcome is CycleOutcome.DECIDED
    assert desk.holds()
    desk.venue.fail(failure)
    desk.advance(timedelta(seconds=15))
    assert desk.mark().failed == 0
    desk.venue.heal()
    desk.advance(timedelta(seconds=15))
    desk.venue.set_price("BTC", desk.order("STOP").trigger_price - 20)
    assert desk.mark().marked == 1
    assert not desk.holds()
    assert desk.differences() == []


def stale(desk):
    desk.venue.tell_time("book", OPENED - timedelta(minutes=5))


def frozen(desk):
    for minute in range(2, 25):
        opened_at = (OPENED - minute * MINUTE).replace(second=0)
        desk.venue.set_minute("BTC", opened_at, ("60000", "60000", "60000", "60000", "5"))
    opened_at = OPENED.replace(second=0) - MINUTE
    desk.venue.set_minute("BTC", opened_at, ("60000", "60000", "60000", "60000", "5"))
    desk.venue.set_price("BTC", D(60000))


def zero(desk):
    desk.venue.fail(Failure.ZEROS, "book", "BTC")


def far_mark(desk):
    desk.venue.market.marks["BTC"] = desk.venue.market.price("BTC") * D("1.05")


@pytest.mark.parametrize("spoil", [stale, frozen, zero, far_mark])
def test_a_price_that_is_no_price_opens_nothing_there(desk, spoil):
    desk.create("BTC", "ETH")
    spoil(desk)

    record = desk.cycle()

    assert record.outcome is (CycleOutcome.NO_MARKET if spoil is stale else CycleOutcome.DECIDED)
    seen = record.snapshots[-1].by_symbol[desk.venue.symbols["BTC"]]
    assert seen.unusable is not None
    assert not desk.holds("BTC") and not desk.fills("BTC")
    assert desk.holds("ETH") is (spoil is not stale)
    assert desk.differences() == []


# --- a symbol that is no longer listed ------------------------------------------------------------------


def delist(desk, coin: str, monkeypatch) -> None:
    """From now on the venue does not list a coin, and this process has just started."""
    left = {one: price for one, price in desk.venue.market.START.items() if one != coin}
    monkeypatch.setattr(desk.venue.market, "START", left)
    desk.restart()


def about_ether(desk) -> list[str]:
    return [what for what, coin in desk.venue.requests if coin == "ETH"]


def test_a_symbol_delisted_before_a_restart_stops_no_other(desk, monkeypatch):
    desk.create("BTC", "ETH")
    desk.cycle()
    assert desk.holds("BTC") and desk.holds("ETH")
    delist(desk, "ETH", monkeypatch)
    asked = len(about_ether(desk))
    desk.advance(timedelta(seconds=15))

    record = desk.cycle()

    assert record.outcome is CycleOutcome.DECIDED
    gone = record.snapshots[-1].by_symbol[desk.venue.symbols["ETH"]]
    assert gone.unusable == "the venue lists it as suspended"
    assert record.order_ids == ()
    stop = desk.order("STOP")
    desk.advance(timedelta(seconds=15))
    desk.venue.set_price("BTC", stop.trigger_price - 20)
    marked = desk.mark()
    assert (marked.marked, marked.failed) == (1, 0)
    assert not desk.holds("BTC") and desk.holds("ETH")
    assert desk.order("STOP", "ETH").pk in desk.resting()
    assert len(about_ether(desk)) == asked  # nothing is asked of what is not there
    assert desk.differences() == []


def test_what_nobody_ever_listed_is_refused_by_name(desk):
    desk.create()
    models.Bot.objects.filter(pk=desk.bot.pk).update(symbols=["NOPE/USDT:USDT"])

    with pytest.raises(runtime.CannotTrade, match="does not list NOPE/USDT:USDT"):
        desk.cycle()
