"""A bot is made and started while a halt is being made: the halt never looked at it, and covers it all the same."""

import time
from typing import Any
from unittest.mock import patch

import pytest

from bots import models, services
from bots.domain.bot import BotStatus
from bots.services import halting
from tests.chaos.processes import fork
from tests.chaos.scene import enters, open_scene
from tests.concurrency.stage import Signal, at_once
from tradingagent.accounts.models import AuditEntry, User
from tradingagent.accounts.services import audit

pytestmark = pytest.mark.django_db(transaction=True)


def halts_slowly(looked: Signal, user: User | None) -> None:
    """Halt, and take long between the look at the bots and the commit."""
    locked = halting.lock_in_order

    def slow(bots, **options):
        found = locked(bots, **options)
        looked.send()
        time.sleep(1)
        return found

    halting.lock_in_order = slow
    services.halt(by="a person", user=user)


@pytest.mark.parametrize("scope", ["user", "all"])
def test_a_bot_that_is_made_and_started_while_a_halt_is_made_opens_nothing(scope) -> None:
    open_scene("there before")
    user = User.objects.get() if scope == "user" else None
    looked = Signal()
    halter = fork(lambda: halts_slowly(looked, user))
    looked.wait()

    late = open_scene("made meanwhile")
    models.Bot.objects.filter(pk=late.bot_id).update(status=BotStatus.DRAFT)
    with late.open():
        started = services.start_bot(late.bot_id, by="the owner")

    assert started.is_halted and models.Bot.objects.get(pk=late.bot_id).is_halted
    late.wants(enters(late.price), late.price)
    assert [denial.code for denial in late.decide().record.verdict.denials] == ["BOT_NOT_ACTIVE"]
    halter.wait()
    with late.open():
        services.resume(by="a person", user=user)
    assert not models.Bot.objects.filter(is_halted=True).exists()


def test_starts_pauses_halts_and_resumes_do_not_wait_in_a_circle() -> None:
    scenes = [open_scene(f"bot {number}") for number in range(6)]

    def starts() -> int:
        for _ in range(8):
            for scene in scenes:
                with scene.open():
                    services.pause_bot(scene.bot_id, by="x")
                    services.start_bot(scene.bot_id, by="x")
        return 8

    def halts() -> int:
        for _ in range(8):
            services.halt(by="a person")
            services.resume(by="a person")
        return 8

    assert at_once(starts, halts) == [8, 8]
    assert not models.Bot.objects.filter(is_halted=True).exists()


def test_two_people_who_resume_one_halt_at_once_end_it_once() -> None:
    open_scene("the bot")
    user = User.objects.get()
    services.halt(by="x", user=user)

    def resume() -> int:
        def slow(*who: Any, **what: Any) -> Any:
            time.sleep(0.5)
            return audit(*who, **what)

        with patch("bots.services.halting.audit", slow):
            try:
                return len(services.resume(by="x", user=user))
            except services.NothingToResume:
                return 0

    assert sorted(at_once(resume, resume)) == [0, 1]
    assert AuditEntry.objects.filter(action="resume").count() == 1
