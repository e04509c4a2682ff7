"""The paper broker: what it commits before it answers, and what a new object is told."""

import json
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from market.domain.enums import OrderStatus, RejectCode
from market.domain.orders import FundingPayment
from market.errors import AccountUnusable, VenueUnavailable
from market.models import SimAccount, SimRecord
from market.ports import Broker
from market.services import open_sim_account
from market.venues.paper_broker import PaperBroker
from market.venues.paper_records import settings_of, settings_text
from market.venues.sim_venue.settings import SimSettings, VolumeUnit
from tests.market.paper_venue import PaperVenue
from tests.market.sim_broker.venue import (
    BUY,
    PERPETUAL,
    SELL,
    SYMBOL,
    flat_rows,
    quote,
    rates,
    series,
    told,
)

pytestmark = pytest.mark.django_db(transaction=True)


def held(rows=None, *, walked=2, **options) -> PaperVenue:
    """Long 1 from 100 with a stop at 95 and a target at 110, everything so far acknowledged."""
    venue = PaperVenue(flat_rows(100, 400) if rows is None else rows, **options)
    on_quotes = venue.settings.execute_on_quotes
    venue.meet(quote(100, minute=1)) if on_quotes else venue.walk()
    venue.submit(
        venue.buy(name="in", leverage=D(10)),
        venue.stop(SELL, 95, name="stop"),
        venue.target(SELL, 110, name="target"),
    )
    venue.meet(quote(100, minute=walked)) if on_quotes else venue.walk(walked - 1)
    venue.broker.acknowledge()
    return venue


class Statements(CaptureQueriesContext):
    """The statements inside a block, transaction control not counted."""

    def __init__(self) -> None:
        super().__init__(connection)

    @property
    def told(self) -> list[str]:
        control = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA")
        return [q["sql"] for q in self.captured_queries if not q["sql"].startswith(control)]

    @property
    def writes(self) -> list[str]:
        return [sql for sql in self.told if not sql.startswith("SELECT")]


def test_it_is_a_broker() -> None:
    account = open_sim_account("USDT", D(100), SimSettings())
    broker: Broker = PaperBroker(account.pk, [PERPETUAL], SimSettings())
    venue = PaperVenue(flat_rows(100, 2))
    assert list(broker.sync(venue.snapshot(1))) == []


def test_a_day_of_trading_is_told_as_the_venue_in_memory_tells_it() -> None:
    rows = [*flat_rows(100, 3), (100, 104, 99, 103), (103, 103, 94, 96), *flat_rows(96, 2)]
    venue = held(rows, walked=2)
    venue.walk(4)
    assert told(venue.reports) == [
        "in ACCEPTED",
        "stop ACCEPTED",
        "target ACCEPTED",
        "in FILLED BUY 1 @ 100 fee 0.1",
        "stop ACCEPTED for 1",
        "target ACCEPTED for 1",
        "stop FILLED SELL 1 @ 95 fee 0.095",
        "target CANCELED POSITION_CLOSED",
    ]
    assert venue.state.cash == D("9994.805")
    assert not venue.state.orders


def test_an_account_opens_with_cash() -> None:
    with pytest.raises(ValueError, match="not with 0"):
        open_sim_account("USDT", D(0), SimSettings())


def test_settings_are_read_back() -> None:
    settings = SimSettings(
        slippage_bps=D("2.5"),
        latency=timedelta(milliseconds=1250),
        max_volume_fraction=D("0.1"),
        volume_unit=VolumeUnit.QUOTE,
        execute_on_quotes=True,
    )
    assert settings_of(settings_text(settings)) == settings
    assert settings_of(open_sim_account("USDT", D(1), SimSettings()).settings) == SimSettings()


def test_a_trigger_that_waits_for_volume_is_remembered() -> None:
    rows = [*flat_rows(100, 2), (100, 100, 94, 95, 0), *flat_rows(95, 2)]
    venue = held(rows)
    assert told(venue.walk()) == ["stop TRIGGERED"]
    assert venue.again() == []
    assert told(venue.restart().lookup(venue.stop(SELL, 95, name="stop"))) == [
        "stop TRIGGERED for 1"
    ]


def test_the_row_keeps_no_order_that_ended() -> None:
    venue = held([*flat_rows(100, 3), (100, 100, 90, 92)])
    venue.walk(2)
    state = json.loads(venue.row.state)
    assert (state["ended"], state["orders"]) == ([], [])
    assert SimRecord.objects.filter(kind="ENDED").count() == 3


# --- what is told again -------------------------------------------------------------------------------


def test_a_new_object_hears_what_was_not_surely_heard() -> None:
    """The process dies between our commit and the ledger's."""
    venue = held([*flat_rows(100, 3), (100, 100, 90, 92), *flat_rows(92, 9)])
    venue.walk(2)  # the stop was hit; nobody booked it
    first = venue.again()
    assert told(first) == [
        "stop FILLED SELL 1 @ 95 fee 0.095",
        "stop FILLED",
        "target CANCELED POSITION_CLOSED",
    ]
    assert (first[0].at.hour, first[0].at.minute) == (0, 3)
    assert venue.again() == first  # that object died too
    assert venue.broker.sync(venue.snapshot(4)) == []  # this one lives, and has been told


def test_an_answer_is_heard_when_its_object_is_called_again() -> None:
    venue = PaperVenue(flat_rows(100, 9))
    venue.walk()
    venue.submit(venue.buy(name="in"))
    venue.walk()
    venue.submit(venue.limit(BUY, 90, name="rest"))  # tells that the fill was heard
    assert venue.again() == []


def test_what_was_acknowledged_is_not_told_again() -> None:
    venue = PaperVenue(flat_rows(100, 9))
    venue.walk()
    venue.submit(venue.buy(name="in"))
    venue.walk()
    assert venue.new_broker(venue.row).peek(venue.snapshot(2))
    with Statements() as statements:
        venue.broker.acknowledge()
        venue.broker.acknowledge()
    assert len(statements.told) == 1
    assert venue.again() == []
    assert not venue.new_broker(venue.row).peek(venue.snapshot(2))


def test_an_order_that_moved_on_is_told_as_it_stands_now() -> None:
    """Entry and stop fill in two answers that nobody heard: no status of the past is told."""
    rows = [*flat_rows(100, 2), (100, 100, 90, 92), *flat_rows(92, 9)]
    venue = PaperVenue(rows)
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.restart().sync(venue.snapshot(2))
    venue.restart().sync(venue.snapshot(3))
    assert told(venue.restart().sync(venue.snapshot(3))) == [
        "in FILLED BUY 1 @ 100 fee 0.1",
        "stop FILLED SELL 1 @ 95 fee 0.095",
        "in FILLED",
        "stop FILLED",
    ]


def test_grown_protection_is_told_again_with_its_entry() -> None:
    venue = PaperVenue(flat_rows(100, 9))
    venue.walk()
    venue.submit(venue.buy(name="in"), venue.stop(SELL, 95, name="stop"))
    venue.restart().sync(venue.snapshot(2))
    assert told(venue.restart().sync(venue.snapshot(2))) == [
        "in FILLED BUY 1 @ 100 fee 0.1",
        "in FILLED",
        "stop ACCEPTED for 1",
    ]


def test_a_live_object_hears_what_another_one_did() -> None:
    venue = held()
    sleeper = venue.broker
    venue.restart().sync(venue.snapshot(2))
    venue.submit(venue.sell(name="out", reduce_only=True))
    venue.broker.sync(venue.snapshot(3))
    venue.broker.acknowledge()
    assert told(sleeper.sync(venue.snapshot(3))) == []  # its owner has heard: the account says so
    venue.submit(venue.buy(name="in2"))
    venue.broker.sync(venue.snapshot(4))
    assert told(sleeper.sync(venue.snapshot(4))) == [
        "in2 FILLED BUY 1 @ 100 fee 0.1",
        "in2 FILLED",
    ]


def test_an_order_that_is_sent_before_a_sync_does_not_pass_for_having_heard() -> None:
    venue = held()
    venue.submit(venue.sell(name="out", reduce_only=True))
    venue.broker.sync(venue.snapshot(3))  # nobody booked it
    blind = venue.restart()
    for name in ("blind", "blind again"):
        [refused] = blind.submit(venue.buy(name=name))
        assert refused.reason == RejectCode.NO_PRICE
    assert "out FILLED SELL 1 @ 100 fee 0.1" in told(venue.again())


# --- ids, look-ups, cancels ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["in", "stop", "target", "refused"])
def test_an_id_is_used_once_however_long_ago_it_ended(name) -> None:
    rows = [*flat_rows(100, 3), (100, 100, 90, 92), *flat_rows(92, 99)]
    venue = held(rows)
    venue.submit(venue.buy(0, name="refused"))
    venue.walk(50)
    venue.broker.acknowledge()
    for order, attached in (
        (venue.limit(BUY, 80, name=name), ()),  # would rest
        (venue.buy(name=name), ()),  # would fill
        (venue.buy(name="new"), (venue.stop(SELL, 80, name=name),)),
    ):
        before = venue.row
        assert venue.again() == []
        [answer] = venue.submit(order, *attached)
        assert (answer.status, answer.reason) == (None, RejectCode.DUPLICATE_CLIENT_ID)
        assert venue.row.version == before.version
    assert not venue.state.orders


def test_an_id_that_would_fill_at_once_is_not_used_again() -> None:
    venue = held(execute_on_quotes=True)
    for _ in range(2):
        venue.restart()
        venue.meet(quote(100, minute=3))
        [answer] = venue.submit(venue.buy(name="in", leverage=D(10)))
        assert (answer.status, answer.reason) == (None, RejectCode.DUPLICATE_CLIENT_ID)
    assert SimRecord.objects.filter(kind="FILL").count() == 1


def test_an_id_that_lives_is_not_used_again() -> None:
    venue = held()
    venue.again()
    [answer] = venue.submit(venue.limit(BUY, 90, name="stop"))
    assert (answer.status, answer.reason) == (None, RejectCode.DUPLICATE_CLIENT_ID)


def test_every_order_can_be_looked_up_for_ever() -> None:
    rows = [*flat_rows(100, 3), (100, 100, 90, 92), *flat_rows(92, 99)]
    venue = held(rows)
    entry, stop = venue.buy(name="in"), venue.stop(SELL, 95, name="stop")
    assert told(venue.restart().lookup(stop)) == ["stop ACCEPTED for 1"]
    venue.walk(50)
    for broker in (venue.broker, venue.restart()):
        assert told(broker.lookup(entry)) == ["in FILLED BUY 1 @ 100 fee 0.1", "in FILLED"]
        assert told(broker.lookup(stop)) == ["stop FILLED SELL 1 @ 95 fee 0.095", "stop FILLED"]
        assert list(broker.lookup(venue.buy(name="never sent"))) == []


def test_protection_that_waits_is_looked_up_without_a_quantity() -> None:
    venue = PaperVenue(flat_rows(100, 3))
    venue.walk()
    stop = venue.stop(SELL, 80, name="stop")
    venue.submit(venue.limit(BUY, 90, name="rest"), stop)
    assert told(venue.restart().lookup(stop)) == ["stop ACCEPTED"]


def test_a_refused_order_is_looked_up_with_its_reason() -> None:
    venue = PaperVenue(flat_rows(100, 3))
    venue.walk()
    order = venue.buy(0, name="nothing")
    assert told(venue.submit(order)) == ["nothing REJECTED MIN_QUANTITY"]
    assert told(venue.restart().lookup(order)) == ["nothing REJECTED MIN_QUANTITY"]


def test_cancelling_says_what_became_of_the_order() -> None:
    venue = held()
    stop = venue.stop(SELL, 95, name="stop")
    assert told(venue.restart().cancel("stop")) == ["stop CANCELED"]
    assert told(venue.cancel(stop)) == ["stop CANCELED"]
    assert told(venue.restart().cancel("stop")) == ["stop CANCELED"]
    assert told(venue.broker.cancel("in")) == ["in FILLED"]
    [unknown] = venue.broker.cancel("nobody")
    assert (unknown.status, unknown.reason) == (None, RejectCode.UNKNOWN_ORDER)
    assert list(venue.state.orders) == ["target"]


def test_a_cancel_reaches_an_order_that_another_object_sent() -> None:
    venue = held()
    other = venue.new_broker()
    other.sync(venue.snapshot(2))
    other.submit(venue.limit(BUY, 90, name="late"))
    assert told(venue.broker.cancel("late")) == ["late CANCELED"]
    assert "late" not in venue.state.orders


def test_what_two_objects_send_is_all_there() -> None:
    """Resting orders make no record, so the version alone tells the second that it came second."""
    venue = held()
    first, second = venue.broker, venue.new_broker()
    second.sync(venue.snapshot(2))
    for broker, name in ((first, "one"), (second, "two"), (first, "three")):
        [answer] = broker.submit(venue.limit(BUY, 90, name=name))
        assert answer.status is OrderStatus.ACCEPTED
    assert [*venue.state.orders] == ["stop", "target", "one", "two", "three"]


# --- downtime -----------------------------------------------------------------------------------------


def test_three_hours_of_downtime_are_lived_through_at_their_minutes() -> None:
    rows = flat_rows(100, 400)
    rows[100] = (100, 100, 94, 99)
    venue = held(rows, funding=rates((60, "0.0001"), (120, "0.0001")))
    reports = venue.restart().sync(venue.snapshot(182))
    assert told(reports) == [
        "funding -0.01 at 100 rate 0.0001",
        "stop FILLED SELL 1 @ 95 fee 0.095",
        "target CANCELED POSITION_CLOSED",
    ]
    assert [report.at.hour * 60 + report.at.minute for report in reports] == [60, 100, 100]
    again = venue.restart().sync(venue.snapshot(182))
    assert [one for one in again if isinstance(one, FundingPayment)] == [reports[0]]
    assert SimRecord.objects.filter(kind="FUNDING").count() == 1
    assert venue.state.cash == 10_000 - D("0.1") - D("0.01") - D("5.095")


def test_a_gap_under_a_position_is_not_guessed_over() -> None:
    venue = held()
    before = venue.row
    late = series(flat_rows(100, 5), at=(200, 201, 202, 203, 204))
    venue.bars = {SYMBOL: late}
    for broker in (venue.broker, venue.restart()):
        assert broker.peek(venue.snapshot(205))
        with pytest.raises(VenueUnavailable, match="no candles"):
            broker.sync(venue.snapshot(205))
    assert venue.row.version == before.version
    venue.bars = {SYMBOL: series(flat_rows(100, 400))}
    assert venue.restart().sync(venue.snapshot(205)) == []


# --- quiet times --------------------------------------------------------------------------------------


def test_a_quiet_sync_writes_nothing_until_the_row_lags_ten_minutes_behind() -> None:
    venue = held(execute_on_quotes=True)
    with Statements() as statements:
        for minute in range(3, 12):
            assert venue.meet(quote(100, minute=minute)) == []
    assert len(statements.told) == 9
    assert statements.writes == []
    with Statements() as statements:
        assert venue.meet(quote(100, minute=12)) == []
    assert len(statements.writes) == 1
    with Statements() as statements:
        assert venue.meet(quote(100, minute=13)) == []
    assert statements.writes == []


def test_an_account_that_holds_nothing_never_writes() -> None:
    venue = PaperVenue(flat_rows(100, 400))
    with Statements() as statements:
        venue.walk(1)
        venue.walk(300)
    assert statements.writes == []


def test_how_many_statements_a_call_takes() -> None:
    venue = held(execute_on_quotes=True)
    venue.restart()
    costs = {}
    for name, most, call in (
        ("quiet sync", 1, lambda: venue.meet(quote(100, minute=3))),
        ("market", 2, lambda: venue.submit(venue.buy(name="more", leverage=D(10)))),
        ("limit", 2, lambda: venue.submit(venue.limit(BUY, 90, name="rest"))),
        ("refused", 2, lambda: venue.submit(venue.buy(0, name="nothing"))),
        ("cancel", 2, lambda: venue.broker.cancel("rest")),
        ("cancel again", 2, lambda: venue.broker.cancel("rest")),
        ("look-up", 2, lambda: venue.broker.lookup(venue.buy(name="in"))),
        ("sync with a fill", 3, lambda: venue.meet(quote(94, minute=4))),
    ):
        with Statements() as statements:
            assert call() is not None
        costs[name] = (len(statements.told), most)
    assert {name: cost for name, cost in costs.items() if cost[0] > cost[1]} == {}


def test_a_peek_tells_whether_a_sync_would_do_anything() -> None:
    rows = [*flat_rows(100, 20), (100, 100, 90, 92), *flat_rows(92, 9)]
    venue = held(rows, execute_on_quotes=True)
    row = venue.row
    quiet = venue.snapshot(10, quotes={SYMBOL: quote(100, minute=10)})
    lagging = venue.snapshot(13)
    hit = venue.snapshot(21)
    low = venue.snapshot(3, quotes={SYMBOL: quote(94, minute=3)})
    with Statements() as statements:
        assert not venue.new_broker(row).peek(quiet)
        assert venue.new_broker(row).peek(lagging)
        assert venue.new_broker(row).peek(hit)
        assert venue.new_broker(row).peek(low)
    assert statements.told == []
    broker = venue.new_broker(row)
    assert broker.peek(hit) and broker.peek(hit)
    assert told(broker.sync(hit))[-1] == "target CANCELED POSITION_CLOSED"


def test_a_peek_without_a_row_reads_it_once() -> None:
    venue = held()
    broker = venue.new_broker()
    with Statements() as statements:
        assert not broker.peek(venue.snapshot(3))
        assert not broker.peek(venue.snapshot(4))
    assert len(statements.told) == 1


# --- what can go wrong --------------------------------------------------------------------------------


def test_it_never_joins_the_transaction_of_its_caller() -> None:
    venue = held()
    order = venue.limit(BUY, 90)
    for call in (
        lambda: venue.broker.sync(venue.snapshot(3)),
        lambda: venue.broker.submit(order),
        lambda: venue.broker.cancel("stop"),
        lambda: venue.broker.lookup(order),
        venue.broker.acknowledge,
    ):
        with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
            call()


def test_an_account_that_is_not_there_is_unusable() -> None:
    venue = PaperVenue(flat_rows(100, 3))
    SimAccount.objects.all().delete()
    with pytest.raises(AccountUnusable, match="no simulated account"):
        venue.walk()


def test_a_state_that_cant_be_read_is_an_unknown_venue() -> None:
    venue = held()
    SimAccount.objects.update(state='{"format": 0}', version=99)
    with pytest.raises(VenueUnavailable, match="format 0"):
        venue.walk()


def test_a_failed_commit_is_no_answer_and_takes_nothing_with_it(monkeypatch) -> None:
    venue = held()
    before = venue.row

    def fail(*_args, **_options):
        raise OperationalError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(SimRecord.objects, "bulk_create", fail)
        with pytest.raises(VenueUnavailable, match="nobody knows"):
            venue.submit(venue.sell(0, name="out"))
    assert venue.row.version == before.version
    assert list(venue.broker.lookup(venue.sell(name="out"))) == []
    assert [report.status for report in venue.submit(venue.sell(0, name="out"))] == [
        OrderStatus.REJECTED
    ]


def test_an_account_that_others_never_leave_alone_is_unavailable(monkeypatch) -> None:
    venue = held()
    monkeypatch.setattr(PaperBroker, "_commit", lambda *_: False)
    with pytest.raises(VenueUnavailable, match="8 times"):
        venue.submit(venue.limit(BUY, 90))
    with pytest.raises(VenueUnavailable, match="8 times"):
        venue.walk(30)
