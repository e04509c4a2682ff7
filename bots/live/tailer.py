"""The tailer: one task per web process that sees what changed and hands each changed part to the sockets.

It looks when it is woken and each second, while anybody listens, and not at all otherwise. A look costs the
same few queries however many topics are watched; a topic is rendered once for all of its sockets, twice a
second at most. The trap avoided: sockets that each read the database, and a socket that waits for another.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer

from bots.live import wake
from bots.live.look import Seen, look
from bots.live.mailbox import Mailbox, Update
from bots.live.topics import Sign, SignsOf, Topic, rendered
from tradingagent.accounts.access import NotYours

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
SHORTEST_REST_SECONDS = 0.1
"""Between two looks, however often it is woken."""
RENDER_SECONDS = 0.5
"""Between two renderings of one topic."""
REFRESH_SECONDS = 60.0
"""For what changes without a sign."""
RENDERED_AT_ONCE = 4
LONGEST_BACKOFF_SECONDS = 30.0
GONE = 4404
"""The code with which a socket ends whose page is no longer its user's."""

P = ParamSpec("P")
R = TypeVar("R")


async def in_thread(function: Callable[P, R], *args: P.args, **options: P.kwargs) -> R:
    """Run something that reads the database; its connection is given back before this returns."""
    reading: Any = database_sync_to_async(function, thread_sensitive=False)
    result: R = await reading(*args, **options)
    return result


@dataclass(slots=True, eq=False, kw_only=True)
class Group:
    """The sockets of one user that show one page, and what they were last given."""

    topic: Topic
    key: str
    user: Any
    bots: tuple[UUID, ...]
    mailboxes: set[Mailbox] = field(default_factory=set)
    parts: dict[str, str] = field(default_factory=dict)
    sign: Sign | None = None
    is_dirty: bool = True
    rendered_at: float = float("-inf")
    due_at: float = float("-inf")
    current_at: float = float("-inf")
    failures: int = 0

    def notice(self, seen: Seen, now: float) -> None:
        """Compare what was seen with what was seen before."""
        sign = seen.sign_of(self.bots, self.user.pk, self.topic.signs_of)
        if sign != self.sign or now - self.rendered_at >= REFRESH_SECONDS:
            self.is_dirty = True
        self.sign = sign
        if not self.is_dirty:
            self.current_at = now

    def is_current(self) -> bool:
        """True while what the sockets were given is what there is: looked at within a few polls."""
        return time.monotonic() - self.current_at <= 3 * POLL_SECONDS + RENDER_SECONDS


class Tailer:
    """Follows what the sockets of this process show. Used in the server's loop only, but for `woken`."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._groups: dict[tuple[str, str, int], Group] = {}
        self._news = asyncio.Event()
        self._hands = asyncio.Semaphore(RENDERED_AT_ONCE)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def is_running(self) -> bool:
        return bool(self._tasks) and not self._tasks[0].done()

    def sockets_of(self, user: Any) -> int:
        """How many sockets of a user this process holds."""
        mine = (one.mailboxes for one in self._groups.values() if one.user.pk == user.pk)
        return len(set[Mailbox]().union(*mine))

    def join(
        self, topic: Topic, key: str, user: Any, bots: tuple[UUID, ...], mailbox: Mailbox
    ) -> Group:
        """Let a socket follow a page that shows these bots. It is given all parts as they are now."""
        name = (topic.kind, key, user.pk)
        group = self._groups.get(name)
        if group is None:
            group = self._groups[name] = Group(topic=topic, key=key, user=user, bots=bots)
        group.user = user
        group.mailboxes.add(mailbox)
        group.is_dirty = True
        if group.is_current():
            mailbox.offer(Update(dict(group.parts)))
        if not self.is_running:
            self._start()
        self._news.set()
        return group

    def leave(self, group: Group, mailbox: Mailbox) -> None:
        """Forget a socket; with the last one the tailer stops."""
        group.mailboxes.discard(mailbox)
        name = (group.topic.kind, group.key, group.user.pk)
        if not group.mailboxes and self._groups.get(name) is group:
            del self._groups[name]
        if not self._groups:
            self._stop()

    def woken(self) -> None:
        """Look now. From any thread."""
        try:
            self._loop.call_soon_threadsafe(self._news.set)
        except RuntimeError:  # the server has stopped
            wake.detach(self.woken)

    def _start(self) -> None:
        self._stop()
        self._tasks = [asyncio.create_task(self._follow(), name="tailer")]
        if wake.has_shared_layer():
            self._tasks.append(asyncio.create_task(self._listen(), name="wakes of others"))
        wake.attach(self.woken)

    def _stop(self) -> None:
        wake.detach(self.woken)
        for task in self._tasks:
            task.cancel()
        self._tasks = []

    async def _follow(self) -> None:
        failures = 0
        while True:
            began = time.monotonic()
            self._news.clear()
            try:
                await self._turn()
                failures = 0
            except Exception:
                failures += 1
                logger.exception("pages can't follow what happens")
                await asyncio.sleep(min(LONGEST_BACKOFF_SECONDS, 2.0**failures))
            await self._rest(began)

    async def _turn(self) -> None:
        groups = list(self._groups.values())
        bots = {bot for group in groups for bot in group.bots}
        asked: dict[SignsOf, set[int]] = {}
        for group in groups:
            if group.topic.signs_of is not None:
                asked.setdefault(group.topic.signs_of, set()).add(group.user.pk)
        seen = await in_thread(look, bots, {group.user.pk for group in groups}, asked)
        now = time.monotonic()
        for group in groups:
            group.notice(seen, now)
        await asyncio.gather(
            *(self._show(one) for one in groups if one.is_dirty and one.due_at <= now)
        )

    async def _rest(self, began: float) -> None:
        """Wait for a wake, the next poll, or a topic that changed and has to wait for its turn."""
        due = min((one.due_at for one in self._groups.values() if one.is_dirty), default=None)
        until = began + POLL_SECONDS
        until = until if due is None else min(until, due)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), max(0.0, until - time.monotonic()))
        await asyncio.sleep(max(0.0, began + SHORTEST_REST_SECONDS - time.monotonic()))

    async def _show(self, group: Group) -> None:
        """Render a topic and give its sockets what changed. What happens meanwhile makes it dirty anew."""
        async with self._hands:
            group.rendered_at = time.monotonic()
            group.due_at = group.rendered_at + RENDER_SECONDS
            group.is_dirty = False
            try:
                bots, parts = await in_thread(_render, group.topic, group.key, group.user)
            except NotYours:
                for mailbox in group.mailboxes:
                    mailbox.end(GONE)
                return
            except Exception:
                logger.exception("the %s %s could not be rendered", group.topic.kind, group.key)
                self._try_again(group)
                return
        changed = {name: html for name, html in parts.items() if group.parts.get(name) != html}
        group.bots = bots
        group.parts |= parts
        if changed:
            update = Update(changed)
            for mailbox in group.mailboxes:
                mailbox.offer(update)
        if len(parts) < len(group.topic.parts):
            self._try_again(
                group
            )  # some could not be rendered: until they can, this is not current
        else:
            group.failures = 0
            group.current_at = group.rendered_at

    def _try_again(self, group: Group) -> None:
        group.failures += 1
        group.is_dirty = True
        group.due_at = time.monotonic() + min(LONGEST_BACKOFF_SECONDS, 2.0**group.failures)

    async def _listen(self) -> None:
        """Be woken by other processes."""
        layer: Any = get_channel_layer()
        failures = 0
        while True:
            try:
                channel = await layer.new_channel()
                await layer.group_add(wake.GROUP, channel)
                while True:
                    await layer.receive(channel)
                    failures = 0
                    self._news.set()
            except Exception as error:  # noqa: BLE001 (whatever the layer raises)
                failures += 1
                logger.warning("wakes of other processes can't be heard: %r", error)
                await asyncio.sleep(min(LONGEST_BACKOFF_SECONDS, 2.0**failures))


def _render(topic: Topic, key: str, user: Any) -> tuple[tuple[UUID, ...], dict[str, str]]:
    subject = topic.find(user, key)
    return topic.bots_of(subject), rendered(topic, subject)


_tailers: dict[asyncio.AbstractEventLoop, Tailer] = {}


def tailer() -> Tailer:
    """The tailer of this process's server, made on first use in its loop."""
    loop = asyncio.get_running_loop()
    if loop not in _tailers:
        for ended in [one for one in _tailers if one.is_closed()]:
            del _tailers[ended]
        _tailers[loop] = Tailer()
    return _tailers[loop]
