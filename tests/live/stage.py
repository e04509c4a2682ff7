"""A page of a bot that moves, sockets that show it, and changes that are committed beside them."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal as D
from pathlib import Path
from typing import Any
from uuid import UUID

from asgiref.testing import ApplicationCommunicator
from django.db import transaction
from django.test import Client
from django.utils import timezone

from bots import events, models
from bots.domain.events import EventKind
from bots.live import topics
from bots.live.tailer import in_thread, tailer
from bots.live.topics import Part, Topic
from tradingagent.accounts.access import NotYours, visible
from tradingagent.asgi import application

TEMPLATES = Path(__file__).parent / "templates"
ORIGIN = (b"origin", b"http://localhost")


@dataclass
class Sample:
    """The registered topic of a test, and how often it was rendered."""

    renderings: list[float] = field(default_factory=list)
    topic: Topic = field(init=False)

    def __post_init__(self) -> None:
        self.topic = Topic(
            kind="sample",
            find=find,
            bots_of=lambda bot: (bot.pk,),
            parts={
                "totals": Part(template="sample.html#totals", context=self.shown),
                "events": Part(template="sample.html#events", context=self.shown),
            },
        )

    def shown(self, bot: models.Bot) -> dict[str, Any]:
        self.renderings.append(time.monotonic())
        return {
            "name": bot.name,
            "equity": bot.state.equity.normalize(),
            "at": bot.state.equity_at,
            "events": bot.event_sequence,
            "rows": range(bot.event_sequence, 0, -1),
        }


def find(user: Any, key: str) -> models.Bot:
    try:
        return visible(models.Bot, user).select_related("state").get(pk=UUID(key))
    except (ValueError, models.Bot.DoesNotExist):
        raise NotYours("there is no such bot") from None


def show_samples(monkeypatch, settings) -> Sample:
    """Register a topic `sample:<bot>` for one test."""
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [TEMPLATES]}]
    monkeypatch.setattr(topics, "_topics", {})
    sample = Sample()
    topics.register(sample.topic)
    return sample


def cookie_of(user: Any) -> tuple[bytes, bytes]:
    """A session of the user, as a browser sends it. Before the loop runs."""
    client = Client()
    client.force_login(user)
    return (b"cookie", f"sessionid={client.cookies['sessionid'].value}".encode())


def tell(bot: models.Bot, count: int = 1) -> None:
    """Commit events."""
    with transaction.atomic():
        events.emit(bot.pk, [(timezone.now(), EventKind.NOTICE, {})] * count)


def tell_without_a_wake(bot: models.Bot) -> None:
    """Commit an event of which nobody is told."""
    models.Bot.objects.filter(pk=bot.pk).update(event_sequence=bot.event_sequence + 1)


def gain(bot: models.Bot, equity: str) -> None:
    """Commit another equity, as a quiet mark does: without an event or a wake."""
    now = timezone.now()
    models.BotState.objects.filter(pk=bot.pk).update(equity=D(equity), equity_at=now)


def in_loop(play: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Play a scene in a loop of its own, which must be left with nobody listening."""

    async def scene() -> None:
        await asyncio.wait_for(play(), 30)
        await asyncio.sleep(0)
        assert not tailer().is_running

    asyncio.run(scene())


async def commit(change: Callable[..., Any], *args: Any) -> float:
    """Make a change in another thread, as a worker does; when it was committed."""
    await in_thread(change, *args)
    return time.monotonic()


class Socket:
    """A page's end of a socket."""

    def __init__(self, topic: str, cookie: tuple[bytes, bytes] | None, **scope: Any) -> None:
        self.line = ApplicationCommunicator(
            application,
            {
                "type": "websocket",
                "path": "/ws/live/",
                "query_string": f"topic={topic}".encode(),
                "headers": [ORIGIN] + ([cookie] if cookie is not None else []),
                "subprotocols": [],
                **scope,
            },
        )
        self.parts: dict[str, str] = {}

    async def knock(self) -> dict[str, Any]:
        """Ask to be let in; the answer."""
        await self.line.send_input({"type": "websocket.connect"})
        return await self.line.receive_output(5)

    async def hang_up(self) -> None:
        await self.line.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.line.wait(5)

    async def say(self, **frame: Any) -> None:
        await self.line.send_input({"type": "websocket.receive", **frame})

    async def message(self, within: float = 5) -> dict[str, Any]:
        """The next message; an AssertionError when the socket ends instead."""
        came = await self.line.receive_output(within)
        assert came["type"] == "websocket.send", came
        return json.loads(came["text"])

    async def end(self, within: float = 5) -> int:
        """The code with which the socket is closed; what comes before is let go."""
        while True:
            came = await self.line.receive_output(within)
            if came["type"] == "websocket.close":
                return came["code"]

    async def parts_come(self, within: float = 5) -> dict[str, str]:
        """The next parts, beats left out."""
        while True:
            message = await self.message(within)
            if message["type"] == "parts":
                self.parts |= message["parts"]
                return message["parts"]

    async def until(self, text: str, within: float = 5) -> float:
        """Wait until a part shows this; when it came."""
        while not any(text in html for html in self.parts.values()):
            await self.parts_come(within)
        return time.monotonic()


@asynccontextmanager
async def opened(topic: str, cookie: tuple[bytes, bytes]):
    """A socket that was let in."""
    socket = Socket(topic, cookie)
    answer = await socket.knock()
    assert answer["type"] == "websocket.accept", answer
    try:
        yield socket
    finally:
        await socket.hang_up()
