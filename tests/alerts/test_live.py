"""The inbox and its count move by themselves: on the socket of every page, and by asking; nobody else's do."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots import consumers, wake
from bots.alerts import pages, services
from bots.alerts.domain import AlertKind
from bots.alerts.models import Alert, AlertRule
from bots.alerts.scanning import scan
from bots.alerts.summaries import summarize
from bots.live.look import look
from tests.alerts.scenes import HOUR, MINUTE, NOON, SECOND, scene
from tests.bots.paper_desks import paper_bot
from tests.live.stage import Socket, commit, cookie_of, in_loop, opened
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
DAY = 24 * HOUR
BOTH = "alerts&topic=unread"
"""What the page of alerts follows: the inbox, and what stands around every page."""


@pytest.fixture
def at():
    at = scene()
    at.rule()
    return at


@pytest.fixture
def stranger() -> User:
    return paper_bot(User.objects.create_user("else@example.org"), name="theirs").owner


def told(at, now=NOON) -> None:
    """Something happens, and is found."""
    at.fills(at=now)
    scan(now)


def count_in(parts: dict[str, str]) -> list[str]:
    html = parts["unread-side"] + parts["unread-top"]
    return re.findall(r'aria-hidden="true">(\d+)</span>', html)


def test_an_alert_arrives_grows_and_is_acknowledged_without_a_reload(at) -> None:
    cookie = cookie_of(at.owner)

    async def play() -> None:
        async with opened(BOTH, cookie) as socket:
            await socket.until("Nothing to tell")
            while not {"unread-side", "unread-top"} <= set(socket.parts):
                await socket.parts_come()
            committed = await commit(told, at)
            assert await socket.until("Momentum: an order was filled") - committed < 1
            await socket.until(">1</span>")
            assert count_in(socket.parts) == ["1", "1"]
            await commit(told, at, NOON + SECOND)
            await socket.until("× 2")
            committed = await commit(services.acknowledge, at.owner)
            assert await socket.until("all acknowledged") - committed < 1
            while count_in(socket.parts):
                await socket.parts_come()
            await commit(told, at, NOON + 2 * SECOND)  # it goes on: it is to be looked at again
            await socket.until("1 not acknowledged")

    in_loop(play)


def test_every_page_has_the_count_on_its_own_socket(at) -> None:
    cookie = cookie_of(at.owner)

    async def play() -> None:
        async with opened(f"bot:{at.bot.pk}&topic=unread", cookie) as socket:
            while not {"bot-status", "unread-side", "unread-top"} <= set(socket.parts):
                await socket.parts_come()
            await commit(told, at)
            await socket.until(">1</span>")

    in_loop(play)


def test_the_alerts_of_others_never_come(at, stranger) -> None:
    mine, theirs = cookie_of(at.owner), cookie_of(stranger)

    async def play() -> None:
        async with opened(BOTH, mine) as socket, opened(BOTH, theirs) as other:
            for one in (socket, other):
                await one.until("Nothing to tell")
                while not {"unread-side", "unread-top"} <= set(one.parts):
                    await one.parts_come()
            await commit(told, at)
            await socket.until("Momentum")
            await other.say(text="ping")
            while (came := await other.message())["type"] != "beat":
                other.parts |= came["parts"]
            assert count_in(other.parts) == [] and "Momentum" not in str(other.parts)

    in_loop(play)


def test_who_may_not_follow(at) -> None:
    mine = cookie_of(at.owner)
    refused = (
        Socket(BOTH, None),
        Socket(f"alerts:{at.owner.pk}", mine),
        Socket("unread:1", mine),
        Socket(f"{BOTH}&topic=dashboard", mine),  # one page, and what stands around it
        Socket("alerts&topic=nothing", mine),
    )

    async def play() -> None:
        for socket in refused:
            assert (await socket.knock())["type"] == "websocket.close"
            await socket.hang_up()

    in_loop(play)


def test_a_page_that_follows_two_topics_is_one_socket(at, monkeypatch) -> None:
    monkeypatch.setattr(consumers, "SOCKETS_OF_A_USER", 2)
    cookie = cookie_of(at.owner)

    async def play() -> None:
        async with opened(BOTH, cookie), opened(BOTH, cookie) as second:
            await second.until("Nothing to tell")
            async with opened(BOTH, cookie) as third:
                assert await third.end() == consumers.TOO_MANY

    in_loop(play)


def test_by_asking_the_same_bytes_come(at, stranger) -> None:
    told(at)
    client, other = Client(), Client()
    client.force_login(at.owner)
    other.force_login(stranger)
    inbox, unread = (client.get(f"/live/{kind}/").content.decode() for kind in ("alerts", "unread"))
    assert "Momentum: an order was filled" in inbox and ">1</span>" in unread
    page = client.get("/alerts/").content.decode()
    assert inbox in page
    assert all(part in page for part in unread.split("\n"))
    assert "csrf" not in inbox and "<form" not in inbox  # it is the same for every viewer
    for kind in ("alerts", "unread"):
        assert "Momentum" not in other.get(f"/live/{kind}/").content.decode()
        assert client.get(f"/live/{kind}/{at.owner.pk}/").status_code == 404
        assert Client().get(f"/live/{kind}/").status_code == 404


def test_whoever_writes_wakes_the_pages(at, monkeypatch) -> None:
    at.rule(AlertKind.DAILY_SUMMARY)
    AlertRule.objects.update(created_at=NOON - DAY)
    at.fills()
    woken: list[int] = []
    monkeypatch.setattr(wake, "_listeners", [lambda: woken.append(1)])
    for act in (
        lambda: scan(NOON),
        lambda: services.acknowledge(at.owner),
        lambda: summarize(NOON),
    ):
        before = len(woken)
        act()
        assert len(woken) == before + 1


# --- what a look sees --------------------------------------------------------------------------------


def another(at) -> None:
    at.rule()
    told(at, NOON + MINUTE)


def goes_on(at) -> None:
    services.acknowledge(at.owner)
    told(at, NOON + SECOND)


CHANGES = {
    "a new one": another,
    "one that grows": lambda at: told(at, NOON + SECOND),
    "one that is acknowledged": lambda at: services.acknowledge(at.owner),
    "one that is acknowledged goes on": goes_on,
    "one that is gone": lambda _: Alert.objects.all().delete(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(at, change) -> None:
    told(at)

    def sign() -> object:
        seen = look((), {at.owner.pk}, {pages.signs_of: {at.owner.pk}})
        return seen.sign_of((), at.owner.pk, pages.signs_of)

    before = sign()
    assert sign() == before
    CHANGES[change](at)
    assert sign() != before


def test_a_look_asks_once_for_everybody(at, stranger) -> None:
    def asked(*users: int) -> int:
        with CaptureQueriesContext(connection) as captured:
            pages.signs_of(users)
        return len(captured)

    assert asked(at.owner.pk) == asked(at.owner.pk, stranger.pk) == 1
