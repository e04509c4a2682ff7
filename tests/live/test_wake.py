"""Wakes: told after the commit and never before, to whoever is there, without ever raising or waiting."""

import asyncio
import logging
import time
from typing import Any

import pytest
from channels.layers import get_channel_layer
from django.db import transaction

from bots import services, wake
from bots.live import tailer as tailing
from bots.live import wake as waking
from tests.bots.desks import buys
from tests.bots.paper_desks import paper_bot, paper_desk
from tests.live.stage import tell

IN_MEMORY = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}


@pytest.fixture
def told(monkeypatch) -> list[float]:
    """When this process's listener was told."""
    told: list[float] = []
    monkeypatch.setattr(wake, "_listeners", [lambda: told.append(time.monotonic())])
    return told


@pytest.mark.django_db(transaction=True)
def test_it_is_told_after_the_commit(told) -> None:
    bot = paper_bot()
    told.clear()
    with transaction.atomic():
        tell(bot)
        assert told == []
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_undone_is_not_told(told) -> None:
    bot = paper_bot()
    told.clear()
    with transaction.atomic():
        tell(bot)
        transaction.set_rollback(True)
    assert told == []


@pytest.mark.django_db(transaction=True)
def test_a_halt_is_told(told) -> None:
    paper_bot()
    told.clear()
    services.halt(by="operator")
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_a_quiet_mark_is_told_when_a_price_moved(told, monkeypatch) -> None:
    desk = paper_desk(monkeypatch, buys())
    desk.cycle("open")
    desk.mark()
    told.clear()
    desk.tick("101")
    assert desk.mark().quiet == 1
    assert len(told) == 1
    desk.mark()  # at the same instant: nothing is newer
    assert len(told) == 1


@pytest.mark.django_db(transaction=True)
def test_a_listener_that_fails_fails_nobody_else(monkeypatch, caplog) -> None:
    told = []

    def fails() -> None:
        raise OSError("no line")

    monkeypatch.setattr(wake, "_listeners", [fails, lambda: told.append(1)])
    bot = paper_bot()
    told.clear()
    tell(bot)
    assert told == [1]
    assert "nobody could be told" in caplog.text


def test_a_listener_listens_once(monkeypatch) -> None:
    monkeypatch.setattr(wake, "_listeners", [])
    waking.install()
    waking.install()
    assert wake._listeners == [waking.notify]


class Layer:
    """A shared channel layer that takes its time, or does not answer."""

    def __init__(self, *, down: bool = False) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.down = down

    async def group_send(self, group: str, message: Any) -> None:
        if self.down:
            raise ConnectionError("redis is down")
        await asyncio.sleep(0.05)
        self.sent.append((group, message))


@pytest.fixture
def layer(monkeypatch) -> Layer:
    layer = Layer()
    monkeypatch.setattr(waking, "get_channel_layer", lambda: layer)
    monkeypatch.setattr(waking, "has_shared_layer", lambda: True)
    monkeypatch.setattr(waking, "_sender", waking.Sender())
    return layer


def soon(condition: Any, within: float = 3) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_others_are_told_a_few_times_a_second_and_nobody_waits(layer: Layer) -> None:
    began, slowest = time.monotonic(), 0.0
    while time.monotonic() - began < 1:
        asked = time.monotonic()
        waking.notify()
        slowest = max(slowest, time.monotonic() - asked)
        time.sleep(0.005)
    assert slowest < 0.2
    assert 2 <= len(layer.sent) <= 6
    assert layer.sent[0] == ("live", {"type": "woken"})


def test_a_layer_that_is_down_is_said_and_raises_nothing(layer: Layer, monkeypatch, caplog) -> None:
    monkeypatch.setattr(waking, "LONGEST_BACKOFF_SECONDS", 0.05)
    layer.down = True
    caplog.set_level(logging.WARNING)
    waking.notify()
    assert soon(lambda: "could not be woken" in caplog.text)
    layer.down = False
    waking.notify()
    assert soon(lambda: layer.sent)


def test_without_a_shared_layer_nothing_is_sent(settings, monkeypatch) -> None:
    settings.CHANNEL_LAYERS = IN_MEMORY
    monkeypatch.setattr(waking, "_sender", None)
    waking.notify()


@pytest.mark.redis
def test_another_process_is_woken_through_redis(settings, monkeypatch) -> None:
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [settings.REDIS_URL]},
        }
    }
    monkeypatch.setattr(waking, "_sender", waking.Sender())

    async def scene() -> float:
        follow = tailing.Tailer()
        listening = asyncio.create_task(follow._listen())
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await asyncio.to_thread(waking.notify)
        await asyncio.wait_for(follow._news.wait(), 5)
        took = time.monotonic() - began
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        layer: Any = get_channel_layer()
        await layer.flush()
        return took

    assert asyncio.run(scene()) < 1
