"""The live parts by plain request: the bytes of the socket, for whom they are, in a fixed number of queries."""

from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from bots import models
from bots.live.topics import rendered
from tests.bots.bulk_rows import fill
from tests.bots.paper_desks import paper_bot
from tests.live.stage import Sample
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db


@pytest.fixture
def bot(sample: Sample) -> models.Bot:
    return paper_bot(name="mine & ours")


@pytest.fixture
def browser(bot: models.Bot) -> Client:
    client = Client()
    client.force_login(bot.owner)
    return client


def address(key: object, kind: str = "sample") -> str:
    return reverse("live_parts", args=[kind, str(key)])


def test_the_parts_are_those_of_the_socket(bot, browser, sample) -> None:
    answer = browser.get(address(bot.pk))
    assert answer.status_code == 200
    assert answer.content.decode() == "\n".join(rendered(sample.topic, bot).values())
    assert "no-store" in answer["Cache-Control"]


def test_what_is_not_yours_is_not_there(bot, browser) -> None:
    theirs = paper_bot(User.objects.create_user("else@example.org"))
    for path in (
        address(theirs.pk),
        address(uuid4()),
        address("nonsense"),
        address(bot.pk, kind="nothing"),
        reverse("live_parts", args=["sample"]),
    ):
        assert browser.get(path).status_code == 404, path
    assert Client().get(address(bot.pk)).status_code == 404


def test_it_is_only_read(bot, browser) -> None:
    assert browser.post(address(bot.pk)).status_code == 405


def test_it_asks_as_often_however_much_there_is(bot, browser, django_assert_num_queries) -> None:
    fill(bot, 50)
    with django_assert_num_queries(3):  # the session, its user, the bot
        browser.get(address(bot.pk))
