"""Records of decisions are kept as long as the setting says, and what they were read off stays."""

from datetime import timedelta

import pytest
from django.utils import timezone

from bots import models, retention, services
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_desk


@pytest.fixture
def desk(transactional_db, monkeypatch):
    desk = paper_desk(monkeypatch, name="Tidewater")
    for slot in ("1", "2"):
        desk.trader.answers.append(buys())
        desk.cycle(slot)
    return desk


def recorded() -> set[str]:
    return set(models.TradingCycle.objects.exclude(record=None).values_list("slot", flat=True))


def age(slot: str, days: int) -> None:
    ended_at = timezone.now() - timedelta(days=days)
    models.TradingCycle.objects.filter(slot=slot).update(ended_at=ended_at)


def test_without_the_setting_nothing_goes(desk, settings):
    age("1", 9999)
    settings.RECORD_DAYS = 0

    assert services.sweep()["records_deleted"] == 0
    assert recorded() == {"1", "2"}


def test_old_records_go_and_their_decisions_stay(desk, settings):
    age("1", 31)
    age("2", 29)
    settings.RECORD_DAYS = 30

    assert services.sweep()["records_deleted"] == 1

    assert recorded() == {"2"}
    old = models.TradingCycle.objects.get(slot="1")
    assert (old.outcome, old.actions[0]["action"]) == ("DECIDED", "buy_to_enter")
    assert services.sweep()["records_deleted"] == 0


def test_a_sweep_takes_a_bounded_number(desk, settings, monkeypatch):
    monkeypatch.setattr(retention, "AT_ONCE", 1)
    settings.RECORD_DAYS = 30
    for slot in ("1", "2"):
        age(slot, 31)

    assert [services.sweep()["records_deleted"] for _ in range(3)] == [1, 1, 0]
