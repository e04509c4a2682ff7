"""Senders who slept: an order that was asked for in vain never comes afterwards.

The trap avoided: a stop judged to have never arrived is sent again; if the first arrives after all, two
of them rest for one position.
"""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal as D
from threading import Barrier

import pytest
from django.db import OperationalError, connection

from market.domain.orders import RECEIVE_WINDOW
from market.errors import OrderRefused, VenueUnavailable
from market.models import SimAccount
from market.venues.paper_broker import PaperBroker
from tests.market.paper_venue import PaperVenue
from tests.market.sim_broker.venue import SELL, flat_rows, told

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def venue() -> PaperVenue:
    """Long 1, nothing resting. The desk's next order is made now; the bars go on for hours."""
    venue = PaperVenue(flat_rows(100, 400))
    venue.walk()
    venue.submit(venue.buy(name="in", leverage=D(10)))
    venue.walk()
    return venue


def a_sleeper(venue: PaperVenue):
    """A stop made at the last bar, and the broker of the process that was about to send it."""
    stop = venue.stop(SELL, 95, name="stop")
    return stop, venue.broker


def someone_else(venue: PaperVenue, bars: int) -> PaperBroker:
    """Whoever takes over, so many bars later."""
    broker = venue.restart()
    venue.walk(bars)
    return broker


def resting(venue: PaperVenue) -> list[str]:
    return list(venue.state.orders)


def test_what_was_looked_up_in_vain_does_not_come_afterwards(venue) -> None:
    stop, sleeper = a_sleeper(venue)
    assert list(someone_else(venue, 3).lookup(stop)) == []
    with pytest.raises(OrderRefused, match="it came after"):
        sleeper.submit(stop)
    assert resting(venue) == []
    assert list(venue.broker.lookup(stop)) == []


def test_its_attached_orders_do_not_come_either(venue) -> None:
    entry = venue.buy(name="more")
    attached = venue.stop(SELL, 95, name="more stop")
    sleeper = venue.broker
    assert list(someone_else(venue, 1).lookup(attached)) == []
    with pytest.raises(OrderRefused):
        sleeper.submit(entry, (attached,))
    assert resting(venue) == []


def test_a_sleeper_that_nobody_asked_for_arrives_and_is_found(venue) -> None:
    stop, sleeper = a_sleeper(venue)
    other = someone_else(venue, 3)
    assert told(sleeper.submit(stop)) == ["stop ACCEPTED"]
    assert told(other.lookup(stop)) == ["stop ACCEPTED for 1"]


def test_an_order_asked_for_within_its_window_may_still_come(venue) -> None:
    stop, sleeper = a_sleeper(venue)
    SimAccount.objects.filter(pk=venue.account.pk).update(
        asked_at=stop.created_at + RECEIVE_WINDOW, version=venue.row.version + 1
    )
    assert told(sleeper.submit(stop)) == ["stop ACCEPTED"]


def test_one_that_is_made_later_comes(venue) -> None:
    stop, _ = a_sleeper(venue)
    broker = someone_else(venue, 3)
    assert list(broker.lookup(stop)) == []
    again = venue.stop(SELL, 95, name="again")
    assert told(broker.submit(again)) == ["again ACCEPTED"]
    assert resting(venue) == ["again"]


def test_asking_again_at_the_same_instant_writes_once(venue) -> None:
    stop, _ = a_sleeper(venue)
    broker = someone_else(venue, 1)
    broker.lookup(stop)
    version = venue.row.version
    broker.lookup(stop)
    venue.restart().lookup(stop)  # it has seen no market: it can't say when it asks
    assert venue.row.version == version
    assert venue.row.asked_at == venue.now


def test_what_is_found_asks_nothing(venue) -> None:
    before = venue.row.version
    assert told(venue.broker.lookup(venue.buy(name="in")))[-1] == "in FILLED"
    assert (venue.row.version, venue.row.asked_at) == (before, None)


def test_a_question_that_cannot_be_written_down_proves_nothing(venue) -> None:
    stop, _ = a_sleeper(venue)
    broker = someone_else(venue, 1)

    def busy(execute, sql, params, many, context):
        if sql.startswith("UPDATE"):
            raise OperationalError("the database is gone")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(busy), pytest.raises(VenueUnavailable):
        broker.lookup(stop)
    assert venue.row.asked_at is None


def test_asking_and_sending_at_once_never_both_succeed(venue) -> None:
    """In a race one of them is first: not found means refused, and found means there."""
    for n in range(10):
        stop, sleeper = a_sleeper(venue)
        stop = venue.stop(SELL, 95 - n, name=f"stop {n}", created_at=stop.created_at)
        other = someone_else(venue, 1)
        start = Barrier(2, timeout=10)

        def ask(other=other, stop=stop, start=start) -> bool:
            start.wait()
            found = bool(other.lookup(stop))
            connection.close()
            return found

        def send(sleeper=sleeper, stop=stop, start=start) -> bool:
            start.wait()
            try:
                return bool(sleeper.submit(stop))
            except OrderRefused:
                return False
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as pool:
            asked, sent = pool.submit(ask), pool.submit(send)
            found, was_sent = asked.result(), sent.result()
        assert found is was_sent is (f"stop {n}" in resting(venue))
