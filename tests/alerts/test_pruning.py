"""What is old goes, a few rows at a time; what is open, still to be sent, or not yet read stays."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bots.alerts import pruning, tasks
from bots.alerts.models import Alert, AlertCursor, Delivery
from bots.alerts.pruning import Pruned, prune
from bots.alerts.scanning import scan
from bots.models import Bot, Event
from bots.queries import events_after
from tests.alerts.scenes import HOUR, NOON, scene
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
NOTHING = Pruned()


@pytest.fixture
def at(settings):
    settings.ALERT_DAYS, settings.EVENT_DAYS = 30, 0
    at = scene()
    at.rule(channels=(at.channel("hook", "ntfys://topic"),))
    at.fills()
    scan(NOON)
    return at


def over() -> None:
    """The alert has ended, and its message has been sent."""
    scan(NOON + HOUR)
    Delivery.objects.update(status="SENT", sent_at=NOON)


def test_what_is_over_goes_with_its_messages_when_it_is_old(at):
    over()
    assert prune(NOON + 30 * DAY) == NOTHING
    assert prune(NOON + 31 * DAY) == Pruned(deliveries=1, alerts=1)
    assert prune(NOON + 31 * DAY) == NOTHING
    assert not Alert.objects.exists() and not Delivery.objects.exists()


def test_what_is_open_stays_and_goes_on(at):
    Delivery.objects.update(status="SENT", sent_at=NOON)
    assert prune(NOON + 99 * DAY) == Pruned(deliveries=1)
    at.fills()
    scan(NOON + HOUR)
    assert Alert.objects.get().count == 2


@pytest.mark.parametrize("status", ["PENDING", "CLAIMED"])
def test_what_is_still_to_be_sent_stays(at, status):
    over()
    until = NOON if status == "CLAIMED" else None
    Delivery.objects.update(status=status, sent_at=None, claimed_until=until)
    assert prune(NOON + 99 * DAY) == NOTHING


@pytest.mark.parametrize("days", [0, -1])
def test_without_the_settings_nothing_goes(at, settings, days):
    settings.ALERT_DAYS = settings.EVENT_DAYS = days
    over()
    assert prune(NOON + 9999 * DAY) == NOTHING


def test_a_round_takes_a_bounded_number(at, settings, monkeypatch):
    settings.EVENT_DAYS = 30
    over()
    for number in range(4):
        scan(NOON + (1 + 2 * number) * HOUR)
        at.fills(at=NOON + number * HOUR)
        scan(NOON + (2 + 2 * number) * HOUR)
    scan(NOON + 99 * HOUR)
    Delivery.objects.update(status="SENT", sent_at=NOON)
    assert Alert.objects.filter(is_open=False).count() == Event.objects.count() == 5
    monkeypatch.setattr(pruning, "AT_ONCE", 2)
    later = NOON + 99 * DAY
    rounds = [prune(later) for _ in range(4)]
    assert [one.deliveries for one in rounds] == [2, 2, 1, 0]
    assert [one.alerts for one in rounds] == [2, 2, 1, 0]
    assert [one.events for one in rounds] == [2, 2, 1, 0]


def test_a_round_with_nothing_to_do_asks_three_times(at, settings):
    settings.EVENT_DAYS = 30
    over()
    with CaptureQueriesContext(connection) as captured:
        prune(NOON)
    assert len(captured) == 3


def test_the_scan_prunes(at, settings):
    settings.ALERT_DAYS = 1
    over()
    tasks.scan()
    assert not Alert.objects.exists()


# --- events ------------------------------------------------------------------------------------------


def test_events_go_once_they_are_read_and_the_numbering_goes_on(at, settings):
    settings.EVENT_DAYS = 30
    other = paper_bot(owner=at.owner, name="Other")
    at.fills(3, NOON)
    at.fills(2, NOON + 20 * DAY)
    at.fills(2, NOON, bot=other)
    scan(NOON)
    AlertCursor.objects.filter(bot=other).update(sequence=1)  # its second event was not read
    assert prune(NOON + 31 * DAY).events == 5  # four of the one, one of the other
    left = Event.objects.order_by("bot__name", "sequence").values_list("bot__name", "sequence")
    assert list(left) == [("Momentum", 5), ("Momentum", 6), ("Other", 2)]
    at.fills(1, NOON + 31 * DAY)
    assert [one.sequence for one in events_after(at.bot, 0)] == [5, 6, 7]


def test_a_bot_that_was_never_looked_at_keeps_its_events(at, settings):
    settings.EVENT_DAYS = 30
    Event.objects.all().delete()
    at.fills(2, bot=paper_bot(owner=at.owner, name="Other"))
    assert prune(NOON + 99 * DAY).events == 0


def test_a_desk_without_its_events_trades_marks_and_refolds_as_before(monkeypatch, settings):
    settings.EVENT_DAYS = 1
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("2026-01-01T00:00:00Z")
    scan(desk.clock.now())
    before = Bot.objects.get().event_sequence
    assert prune(timezone.now() + 2 * DAY).events == before > 0  # some tell of the real time
    assert not Event.objects.exists()
    desk.tick("94")
    desk.mark()  # its stop is hit
    assert scan(desk.clock.now()).events == Event.objects.count() > 0
    assert Event.objects.order_by("sequence").values_list("sequence", flat=True)[0] == before + 1
    assert desk.differences() == []
