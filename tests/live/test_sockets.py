"""Sockets of pages, on real transactions: who is let in, what arrives, how soon, how often."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from bots import consumers, models, services
from bots.live import mailbox, tailer, topics
from bots.live.topics import Topic
from bots.models import HaltScope
from tests.bots.paper_desks import paper_bot
from tests.live.stage import (
    Socket,
    commit,
    cookie_of,
    gain,
    in_loop,
    opened,
    tell,
    tell_without_a_wake,
)
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bot(sample) -> models.Bot:
    return paper_bot(name="mine")


@pytest.fixture
def cookie(bot) -> tuple[bytes, bytes]:
    return cookie_of(bot.owner)


def page_of(bot: models.Bot) -> str:
    return f"sample:{bot.pk}"


def sockets_are_refused(*sockets: Socket) -> None:
    async def scene() -> None:
        for socket in sockets:
            assert (await socket.knock())["type"] == "websocket.close"
            await socket.hang_up()

    in_loop(scene)


def test_another_users_page_is_refused_like_one_that_is_not_there(bot, cookie) -> None:
    theirs = paper_bot(User.objects.create_user("else@example.org"))
    sockets_are_refused(
        Socket(page_of(theirs), cookie),
        Socket(f"sample:{uuid4()}", cookie),
        Socket("sample:nonsense", cookie),
        Socket("sample", cookie),
        Socket("nothing:1", cookie),
        Socket("", cookie),
        Socket(page_of(bot), None),
        Socket(page_of(bot), (b"cookie", b"sessionid=madeup")),
    )


def test_nobody_is_let_in_unnamed_whatever_the_topic_says(bot, monkeypatch) -> None:
    careless = Topic(kind="open", find=lambda *_: bot, bots_of=lambda _: (bot.pk,), parts={})
    monkeypatch.setitem(topics._topics, "open", careless)
    sockets_are_refused(Socket("open:1", None))
    assert Client().get("/live/open/1/").status_code == 404


def test_a_page_of_another_site_is_refused(bot, cookie) -> None:
    elsewhere = (b"origin", b"http://elsewhere.example")
    sockets_are_refused(Socket(page_of(bot), cookie, headers=[cookie, elsewhere]))


def test_no_other_address_has_a_socket(bot, cookie) -> None:
    sockets_are_refused(Socket(page_of(bot), cookie, path="/ws/other/"))


def test_a_server_that_can_answers_404(bot, cookie) -> None:
    async def scene() -> None:
        socket = Socket(f"sample:{uuid4()}", cookie, extensions={"websocket.http.response": {}})
        start = await socket.knock()
        body = await socket.line.receive_output(5)
        assert (start["type"], start["status"]) == ("websocket.http.response.start", 404)
        assert (body["type"], body["body"]) == ("websocket.http.response.body", b"")
        await socket.line.wait()

    in_loop(scene)


def test_a_page_gets_all_its_parts_when_it_connects(bot, cookie) -> None:
    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            parts = await page.parts_come()
            assert set(parts) == {"sample-totals", "sample-events"}
            assert ">10000</b>" in parts["sample-totals"]

    in_loop(scene)


def test_a_committed_event_arrives_and_only_what_it_changed(bot, cookie, monkeypatch) -> None:
    monkeypatch.setattr(tailer, "POLL_SECONDS", 60)  # what comes, comes by a wake

    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            await asyncio.sleep(tailer.RENDER_SECONDS + 0.1)
            await commit(tell, bot)
            parts = await page.parts_come()
            assert set(parts) == {"sample-events"}
            assert "<li>1</li>" in parts["sample-events"]

    in_loop(scene)


def test_a_halt_arrives(bot, cookie, monkeypatch) -> None:
    monkeypatch.setattr(tailer, "POLL_SECONDS", 60)

    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            await asyncio.sleep(tailer.RENDER_SECONDS + 0.1)
            await commit(lambda: services.halt(by="operator"))
            await page.until("<li>1</li>")

    in_loop(scene)
    assert models.TradingHalt.objects.get().scope == HaltScope.ALL


@pytest.mark.parametrize("change", [tell_without_a_wake, lambda bot: gain(bot, "9000.5")])
def test_a_lost_wake_costs_a_second(bot, cookie, change) -> None:
    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            await asyncio.sleep(tailer.RENDER_SECONDS + 0.1)
            committed = await commit(change, bot)
            await page.parts_come()
            assert time.monotonic() - committed < tailer.POLL_SECONDS + 1

    in_loop(scene)


def test_a_storm_of_events_is_rendered_twice_a_second(bot, cookie, sample) -> None:
    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            began, count = time.monotonic(), 0
            while time.monotonic() - began < 2:
                await commit(tell, bot)
                count += 1
            await page.until(f"<li>{count}</li>")
            seconds = time.monotonic() - began
            assert count > 10
            assert 3 <= len(sample.renderings) <= seconds / tailer.RENDER_SECONDS + 2

    in_loop(scene)


def test_a_topic_is_rendered_once_for_all_its_sockets(bot, cookie, sample) -> None:
    async def scene() -> None:
        async with AsyncExitStack() as several:
            pages = [
                await several.enter_async_context(opened(page_of(bot), cookie)) for _ in range(5)
            ]
            for page in pages:
                await page.parts_come()
            await asyncio.sleep(2 * tailer.RENDER_SECONDS + 0.2)
            before = len(sample.renderings)
            await commit(tell, bot)
            for page in pages:
                await page.until("<li>1</li>")
            await asyncio.sleep(0.2)
            assert len(sample.renderings) == before + 1

    in_loop(scene)


def test_a_socket_that_dropped_gets_the_present_state(bot, cookie) -> None:
    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            async with opened(page_of(bot), cookie) as dropped:
                await dropped.parts_come()
            await commit(tell, bot)
            await commit(gain, bot, "12345")
            async with opened(page_of(bot), cookie) as again:
                await again.until("<li>1</li>")
                await again.until(">12345</b>")
                assert set(again.parts) == {"sample-totals", "sample-events"}
            await page.until(">12345</b>")

    in_loop(scene)


def test_a_page_that_is_no_longer_its_users_ends(bot, cookie) -> None:
    other = User.objects.create_user("else@example.org")

    def give_away() -> None:
        models.Bot.objects.filter(pk=bot.pk).update(owner=other)
        tell(bot)

    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            await commit(give_away)
            assert await page.end() == tailer.GONE

    in_loop(scene)


def signs_out(bot: models.Bot) -> None:
    Session.objects.all().delete()


def lets_it_expire(bot: models.Bot) -> None:
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))


def is_locked_out(bot: models.Bot) -> None:
    User.objects.update(is_active=False)


def changes_the_password(bot: models.Bot) -> None:
    user = User.objects.get(pk=bot.owner.pk)
    user.set_password("another one entirely")
    user.save()


@pytest.mark.parametrize("ends", [signs_out, lets_it_expire, is_locked_out, changes_the_password])
def test_a_socket_does_not_outlive_its_session(bot, cookie, monkeypatch, ends) -> None:
    monkeypatch.setattr(consumers, "BEAT_SECONDS", 0.3)

    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            assert await page.message(2) == {"type": "beat"}
            await commit(ends, bot)
            assert await page.end() == consumers.SIGNED_OUT

    in_loop(scene)


def test_no_beat_tells_of_what_could_not_be_looked_at(bot, cookie, monkeypatch) -> None:
    """What a page shows while the database is down is old, and nothing may say otherwise."""
    monkeypatch.setattr(consumers, "BEAT_SECONDS", 0.2)
    monkeypatch.setattr(tailer, "POLL_SECONDS", 0.1)

    def broken(*_: object) -> None:
        raise OSError("the database is down")

    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            assert await page.message(1) == {"type": "beat"}
            monkeypatch.setattr(tailer, "look", broken)
            await asyncio.sleep(3 * tailer.POLL_SECONDS + tailer.RENDER_SECONDS + 0.3)
            while not page.line.output_queue.empty():
                page.line.output_queue.get_nowait()
            assert await page.line.receive_nothing(0.5)

    in_loop(scene)


def test_a_page_that_asks_is_answered(bot, cookie) -> None:
    async def scene() -> None:
        async with opened(page_of(bot), cookie) as page:
            await page.parts_come()
            for _ in range(5):
                await page.say(text=consumers.PING)
            assert await page.message(1) == {"type": "beat"}
            await page.say(text="anything else")
            await page.say(bytes=b"\x00")
            assert await page.line.receive_nothing(0.3)

    in_loop(scene)


def test_one_user_has_so_many_sockets_and_no_more(bot, cookie, monkeypatch) -> None:
    monkeypatch.setattr(consumers, "SOCKETS_OF_A_USER", 1)
    other = paper_bot(User.objects.create_user("else@example.org"))
    theirs = cookie_of(other.owner)

    async def scene() -> None:
        async with (
            opened(page_of(bot), cookie),
            opened(page_of(other), theirs),
            opened(page_of(bot), cookie) as second,
        ):
            assert await second.end() == consumers.TOO_MANY
        async with opened(page_of(bot), cookie) as again:
            await again.parts_come()

    in_loop(scene)


def test_a_socket_that_can_not_keep_up_ends_with_the_present_state() -> None:
    async def scene() -> None:
        post = mailbox.Mailbox()
        for number in range(1000):
            post.offer(mailbox.Update({"a": f"<i>{number}</i>", f"b{number % 3}": "x"}))
        update = post.take()
        assert update is not None
        assert update.parts == {"a": "<i>999</i>", "b0": "x", "b1": "x", "b2": "x"}
        assert post.take() is None

    asyncio.run(scene())
