"""The tailer by itself, with a market of signs that the test sets: when it looks, what it renders, what it sends."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from bots.live import tailer as tailing
from bots.live.look import Seen
from bots.live.mailbox import Mailbox
from bots.live.tailer import GONE, Group, Tailer
from bots.live.topics import Topic
from tradingagent.accounts.access import NotYours

TOPIC: Any = Topic(kind="sample", find=lambda *_: None, bots_of=lambda _: (), parts={"a": None})  # type: ignore[dict-item]
USER = SimpleNamespace(pk=1)


class World:
    """What a look finds and what a rendering gives."""

    def __init__(self) -> None:
        self.signs: dict[UUID, int] = {}
        self.html: dict[str, str] = {}
        self.looks = 0
        self.renderings: list[str] = []
        self.down: Exception | None = None

    def look(self, bots: set[UUID], owners: set[int], asked: dict[Any, set[int]]) -> Seen:
        self.looks += 1
        if self.down is not None:
            raise self.down
        return Seen(bots={bot: (self.signs.get(bot, 0),) for bot in bots}, owners={})

    def render(self, topic: Topic, key: str, user: Any) -> tuple[tuple[UUID, ...], dict[str, str]]:
        self.renderings.append(key)
        if self.html.get(key) == "gone":
            raise NotYours("gone")
        if self.html.get(key) == "broken":
            raise LookupError("broken")
        return (UUID(key),), {"sample-a": self.html.get(key, "first")}

    def change(self, key: str, html: str) -> None:
        self.signs[UUID(key)] = self.signs.get(UUID(key), 0) + 1
        self.html[key] = html


@pytest.fixture
def world(monkeypatch) -> World:
    """A world whose seconds are tenths."""
    world = World()
    monkeypatch.setattr(tailing, "look", world.look)
    monkeypatch.setattr(tailing, "_render", world.render)
    monkeypatch.setattr(tailing, "POLL_SECONDS", 0.1)
    monkeypatch.setattr(tailing, "RENDER_SECONDS", 0.05)
    monkeypatch.setattr(tailing, "SHORTEST_REST_SECONDS", 0.01)
    return world


def join(follow: Tailer, key: str) -> tuple[Group, Mailbox]:
    post = Mailbox()
    return follow.join(TOPIC, key, USER, (UUID(key),), post), post


async def came(post: Mailbox) -> Mapping[str, str]:
    for _ in range(100):
        await post.wait(0.02)
        if (update := post.take()) is not None:
            return update.parts
    raise AssertionError("nothing came")


def test_nobody_listens_nobody_looks(world: World) -> None:
    async def scene() -> None:
        follow = Tailer()
        group, post = join(follow, str(uuid4()))
        assert follow.is_running
        assert await came(post) == {"sample-a": "first"}
        follow.leave(group, post)
        await asyncio.sleep(0.05)
        looks = world.looks
        await asyncio.sleep(0.4)
        assert world.looks == looks
        assert not follow.is_running
        again, later = join(follow, group.key)
        assert await came(later) == {"sample-a": "first"}
        follow.leave(again, later)

    asyncio.run(scene())


def test_it_looks_each_second(world: World) -> None:
    async def scene() -> None:
        follow = Tailer()
        group, post = join(follow, str(uuid4()))
        await came(post)
        before = world.looks
        await asyncio.sleep(1)
        assert 4 <= world.looks - before <= 11
        follow.leave(group, post)

    asyncio.run(scene())


def test_it_looks_when_it_is_woken_but_no_more_often_than_it_may(world: World, monkeypatch) -> None:
    monkeypatch.setattr(tailing, "POLL_SECONDS", 60)
    monkeypatch.setattr(tailing, "SHORTEST_REST_SECONDS", 0.1)

    async def scene() -> None:
        follow = Tailer()
        group, post = join(follow, str(uuid4()))
        await came(post)
        await asyncio.sleep(0.2)
        before = world.looks
        for _ in range(100):
            await asyncio.to_thread(follow.woken)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        assert 3 <= world.looks - before <= 40
        follow.leave(group, post)

    asyncio.run(scene())


def test_what_did_not_change_is_not_rendered_and_what_looks_the_same_not_sent(world: World) -> None:
    async def scene() -> None:
        follow = Tailer()
        one, two = str(uuid4()), str(uuid4())
        joined = [join(follow, one), join(follow, two)]
        for _, post in joined:
            await came(post)
        await asyncio.sleep(0.3)
        assert sorted(world.renderings) == sorted([one, two])
        world.change(one, "second")
        assert await came(joined[0][1]) == {"sample-a": "second"}
        world.change(two, "first")  # something changed that the page does not show
        await asyncio.sleep(0.3)
        assert joined[1][1].take() is None
        assert world.renderings.count(two) == 2
        for group, post in joined:
            follow.leave(group, post)

    asyncio.run(scene())


def test_a_newcomer_gets_everything_and_the_others_nothing(world: World) -> None:
    async def scene() -> None:
        follow = Tailer()
        key = str(uuid4())
        group, first = join(follow, key)
        await came(first)
        same, second = join(follow, key)
        assert same is group
        assert await came(second) == {"sample-a": "first"}
        await asyncio.sleep(0.2)
        assert first.take() is None
        assert follow.sockets_of(USER) == 2
        follow.leave(group, first)
        assert follow.is_running
        follow.leave(group, second)

    asyncio.run(scene())


def test_it_goes_on_after_the_database_was_down_and_is_not_current_meanwhile(
    world: World, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(tailing, "LONGEST_BACKOFF_SECONDS", 0.1)

    async def scene() -> None:
        follow = Tailer()
        key = str(uuid4())
        group, post = join(follow, key)
        await came(post)
        await asyncio.sleep(0.2)
        assert group.is_current()
        world.down = OSError("the database is down")
        await asyncio.sleep(0.6)
        assert not group.is_current()
        late, newcomer = join(follow, key)
        await asyncio.sleep(0.1)
        assert newcomer.take() is None  # what was true once is not handed out as present
        world.change(key, "after")
        world.down = None
        assert await came(post) == {"sample-a": "after"}
        assert (await came(newcomer))["sample-a"] == "after"
        await asyncio.sleep(0.2)
        assert group.is_current()
        follow.leave(group, post)
        follow.leave(late, newcomer)

    asyncio.run(scene())
    assert "pages can't follow what happens" in caplog.text


def test_a_page_that_can_not_be_rendered_is_tried_less_and_less_and_keeps_no_other_back(
    world: World, monkeypatch
) -> None:
    monkeypatch.setattr(tailing, "LONGEST_BACKOFF_SECONDS", 0.3)

    async def scene() -> None:
        follow = Tailer()
        bad, good = str(uuid4()), str(uuid4())
        world.html[bad] = "broken"
        joined = [join(follow, bad), join(follow, good)]
        await came(joined[1][1])
        world.change(good, "second")
        assert await came(joined[1][1]) == {"sample-a": "second"}
        await asyncio.sleep(1)
        assert 2 <= world.renderings.count(bad) <= 6
        assert not joined[0][0].is_current()
        world.html[bad] = "mended"
        assert await came(joined[0][1]) == {"sample-a": "mended"}
        for group, post in joined:
            follow.leave(group, post)

    asyncio.run(scene())


def test_a_page_that_is_gone_ends_its_sockets(world: World) -> None:
    async def scene() -> None:
        follow = Tailer()
        key = str(uuid4())
        group, post = join(follow, key)
        await came(post)
        world.change(key, "gone")
        await asyncio.sleep(0.3)
        assert post.end_code == GONE
        follow.leave(group, post)

    asyncio.run(scene())


def test_what_changes_without_a_sign_is_seen_after_a_while(world: World, monkeypatch) -> None:
    monkeypatch.setattr(tailing, "REFRESH_SECONDS", 0.3)

    async def scene() -> None:
        follow = Tailer()
        key = str(uuid4())
        group, post = join(follow, key)
        await came(post)
        world.html[key] = "renamed"
        assert await came(post) == {"sample-a": "renamed"}
        follow.leave(group, post)

    asyncio.run(scene())


def test_a_wake_after_the_server_has_gone_is_no_error(world: World) -> None:
    async def scene() -> Tailer:
        return Tailer()

    follow = asyncio.run(scene())
    follow.woken()
