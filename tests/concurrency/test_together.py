"""Several bots started or paused in one transaction, while somebody starts or pauses one of them alone."""

import threading

import pytest
from django.db import connection

from bots import models, services
from bots.domain.bot import BotStatus
from bots.services import NotNow, lifecycle
from tests.bots.paper_desks import paper_bot
from tests.concurrency.stage import PATIENCE

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(
    ("together", "alone", "schedule", "ends"),
    [
        (services.start_together, services.start_bot, "schedule_bot", BotStatus.ACTIVE),
        (services.pause_together, services.pause_bot, "unschedule_bot", BotStatus.PAUSED),
    ],
)
def test_they_do_not_wait_in_a_circle(monkeypatch, together, alone, schedule, ends):
    """Each holds its bot and wants the scheduler's row, which all changes of the schedule share."""
    begins = BotStatus.PAUSED if ends == BotStatus.ACTIVE else BotStatus.ACTIVE
    first, second = sorted(paper_bot(status=begins).pk for _ in range(2))
    stored, taken = threading.Event(), threading.Event()
    others: list[object] = []
    act = getattr(lifecycle, schedule)

    def slowly(bot) -> None:
        if threading.current_thread() is other:
            taken.set()
        act(bot)
        if getattr(bot, "pk", bot) == first:
            stored.set()
            taken.wait(1)  # the other may have to wait for us

    def do() -> None:
        stored.wait(PATIENCE)
        try:
            others.append(alone(second, by="another"))
        except Exception as error:  # noqa: BLE001 - looked at below
            others.append(error)
        finally:
            connection.close()

    other = threading.Thread(target=do)
    monkeypatch.setattr(lifecycle, schedule, slowly)
    other.start()
    together([first, second], by="somebody")
    other.join(PATIENCE)
    [found] = others
    assert isinstance(found, NotNow)  # it waited, and found it done
    assert set(models.Bot.objects.values_list("status", flat=True)) == {ends}
