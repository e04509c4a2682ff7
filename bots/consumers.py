"""The socket of a page: who it is for is asked once, then again with every beat; what it carries comes from
the tailer.

It reads nothing that a page shows and writes nothing. A beat says that what was sent is what there is; while
that is not sure there is none, and the page says so. The trap avoided: a socket that outlives its session.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer
from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest
from django.utils.module_loading import import_string

from bots.live.mailbox import Mailbox
from bots.live.tailer import Group, in_thread, tailer
from bots.live.topics import Topic, topic_of
from tradingagent.accounts.access import NotYours

logger = logging.getLogger(__name__)

BEAT_SECONDS = 15.0
PING_SECONDS = 1.0
"""A page is answered no more often than this."""
SOCKETS_OF_A_USER = 20
"""In one process: each open page takes one."""
TOPICS_OF_A_SOCKET = 2
"""A page, and what stands around it."""

SIGNED_OUT = 4401
TOO_MANY = 4429
BEAT = json.dumps({"type": "beat"})
PING = "ping"


class Refusal(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Answers that nothing is there."""

    channel_layer_alias = ""

    async def connect(self) -> None:
        """Refuse."""
        await refuse(self)


class LiveConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """`/ws/live/?topic=bot:<uuid>`: the parts of a page, and again each part that changed. It may follow a few
    topics: a page and what stands around it.

    Messages: {"type": "parts", "parts": {id: html}} and {"type": "beat"}. Ends with 4401 when the session has
    ended, 4404 when the page is no longer its user's, 4429 beyond the sockets that a user may have.
    """

    channel_layer_alias = ""  # wakes reach the tailer, not each socket

    followed: tuple[Group, ...] = ()
    mailbox: Mailbox
    _sending: asyncio.Task[None] | None = None

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Serve one socket; whatever ends it, it is forgotten."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._sending is not None:
                self._sending.cancel()
            for group in self.followed:
                tailer().leave(group, self.mailbox)

    async def connect(self) -> None:
        """Let in who may see the topics; to anybody else there is none."""
        query = parse_qs(self.scope["query_string"].decode("ascii", "replace"))
        names = list(dict.fromkeys(query.get("topic", [""])))[: TOPICS_OF_A_SOCKET + 1]
        try:
            found = await in_thread(_find, self.scope["user"], names)
        except NotYours:
            await refuse(self)
            return
        await self.accept()
        user, follow = self.scope["user"], tailer()
        if follow.sockets_of(user) >= SOCKETS_OF_A_USER:
            await self.close(TOO_MANY, "too many pages are open")
            return
        self.mailbox = Mailbox()
        self.followed = tuple(
            follow.join(topic, key, user, bots, self.mailbox) for topic, key, bots in found
        )
        self._sending = asyncio.create_task(self._send_what_comes())

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """Only a page that asks whether anybody is there gets an answer."""
        del bytes_data
        if text_data == PING and self.followed:
            self.mailbox.ping()

    async def _send_what_comes(self) -> None:
        try:
            code = await self._serve()
            await self.close(code)
        except (OSError, RuntimeError):
            logger.debug("a socket closed while something was sent")
        except Exception:
            logger.exception("the socket of a page failed")
            await self.close(1011)

    async def _serve(self) -> int:
        """Send what comes until the socket shall end; the code for that."""
        beat_at = time.monotonic() + BEAT_SECONDS
        answered_at = 0.0
        while True:
            await self.mailbox.wait(beat_at - time.monotonic())
            if self.mailbox.end_code is not None:
                return self.mailbox.end_code
            update = self.mailbox.take()
            if update is not None:
                await self.send(update.text)
            now = time.monotonic()
            if self.mailbox.take_ping() and now - answered_at >= PING_SECONDS:
                answered_at = now
                await self._beat()
            if now >= beat_at:
                beat_at = now + BEAT_SECONDS
                if not await self._is_signed_in():
                    return SIGNED_OUT
                await self._beat()

    async def _beat(self) -> None:
        if all(group.is_current() for group in self.followed):
            await self.send(BEAT)

    async def _is_signed_in(self) -> bool:
        try:
            return await in_thread(_has_session, self.scope["session"].session_key)
        except Exception:
            logger.exception("a session could not be looked up")
            return True  # nobody has signed out because the database is down; nothing is sent meanwhile


async def refuse(socket: AsyncWebsocketConsumer) -> None:
    """Answer the handshake with 404 where the server can, else with its own refusal."""
    if "websocket.http.response" not in socket.scope.get("extensions", {}):
        await socket.close()
        return
    start = {"type": "websocket.http.response.start", "status": HTTPStatus.NOT_FOUND, "headers": []}
    await socket.base_send(start)
    await socket.base_send({"type": "websocket.http.response.body", "body": b""})
    raise StopConsumer


def _find(user: Any, names: Sequence[str]) -> list[tuple[Topic, str, tuple[UUID, ...]]]:
    """Topic, key and bots of each name. Raises NotYours where one is not there, or there are too many."""
    if not user.is_authenticated:
        raise NotYours("nobody is signed in")
    if len(names) > TOPICS_OF_A_SOCKET:
        raise NotYours("one socket follows one page")
    found = []
    for name in names:
        kind, _, key = name.partition(":")
        topic = topic_of(kind)
        found.append((topic, key, topic.bots_of(topic.find(user, key))))
    return found


def _has_session(session_key: str | None) -> bool:
    """True while the session is there, and its user may still sign in with the password it began with."""
    request = HttpRequest()
    request.session = import_string(f"{settings.SESSION_ENGINE}.SessionStore")(session_key)
    return get_user(request).is_authenticated
