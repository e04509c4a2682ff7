"""Alerts of what a desk really does: the words and payloads are the desk's own."""

import pytest

from bots.alerts.domain import AlertKind
from bots.alerts.models import Alert
from bots.alerts.scanning import scan
from tests.alerts.scenes import Scene
from tests.bots.desks import START, buys
from tests.bots.paper_desks import paper_desk
from tests.scenarios.tables import SYMBOL

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_entry_and_its_stop(monkeypatch):
    desk = paper_desk(monkeypatch, buys())
    at = Scene(desk.bot.owner, desk.bot)
    for kind in (
        AlertKind.FILL,
        AlertKind.STOP_HIT,
        AlertKind.TARGET_HIT,
        AlertKind.NAKED_POSITION,
    ):
        at.rule(kind)
    desk.cycle("2026-01-01T00:00:00Z")
    scan(START)
    scan(START)
    [filled] = Alert.objects.all()  # and the position is not naked: its stop rests
    assert filled.text.startswith("Filled: BUY ") and SYMBOL in filled.text

    desk.tick("94")
    desk.mark()
    scan(desk.clock.now())
    stopped = Alert.objects.get(kind=AlertKind.STOP_HIT)
    assert stopped.text.startswith(f"The stop closed the long of {SYMBOL}: net -")
    assert not Alert.objects.filter(kind=AlertKind.TARGET_HIT).exists()
    assert Alert.objects.get(kind=AlertKind.FILL).count == 2


def test_a_liquidation(monkeypatch):
    desk = paper_desk(monkeypatch, buys())
    at = Scene(desk.bot.owner, desk.bot)
    at.rule(AlertKind.LIQUIDATION)
    at.rule(AlertKind.STOP_HIT)
    desk.cycle("2026-01-01T00:00:00Z")
    desk.tick("50")
    desk.mark()
    scan(desk.clock.now())
    alert = Alert.objects.get()
    assert alert.title == f"Critical: {desk.bot.name}: the venue liquidated"
    assert alert.text == (
        f"Liquidation on {SYMBOL}: the venue liquidated the position: SELL 15 at 80."
    )


def test_exits_that_the_bot_manages(monkeypatch):
    desk = paper_desk(monkeypatch, buys(), break_even_at_r=1)
    at = Scene(desk.bot.owner, desk.bot)
    at.rule(AlertKind.MANAGED_EXIT)
    desk.cycle("2026-01-01T00:00:00Z")
    desk.tick("105")
    desk.mark()
    scan(desk.clock.now())
    alert = Alert.objects.get()
    assert alert.title == f"{desk.bot.name}: a managed exit was carried out"
    assert alert.text == (
        f"Managed exit on {SYMBOL}: break-even: the stop moves from 95 to 100.3, mark 105."
    )
