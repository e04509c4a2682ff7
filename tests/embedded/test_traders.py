"""The arena of a venue is made once, started once, and then its owner's."""

from datetime import UTC, datetime

import pytest

from bots import services
from bots.domain.bot import BotStatus
from bots.lab import services as lab
from bots.lab.models import Arena
from bots.models import Bot
from market.venues import feeds
from tests.market.venues.loopback import Failure, LoopbackVenue
from tradingagent.embedded.first_run import demo_login
from tradingagent.embedded.traders import arena_at, in_words

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(tmp_path):
    return demo_login(tmp_path).user


@pytest.fixture
def okx(settings):
    feeds.forget_feeds()
    with LoopbackVenue("okx", datetime.now(UTC)) as venue:
        settings.VENUE_URLS = {"okx": venue.url}
        yield venue
    feeds.forget_feeds()


def ignore(_: str) -> None:
    """What is said meanwhile."""


def test_the_first_run_makes_and_starts_it(user):
    said: list[str] = []
    arena = arena_at("simulated", user, [], said.append)

    assert arena.is_running
    assert said == ["Making the first traders on the simulated market …"]
    assert [*in_words(arena)] == [
        "5 traders on the simulated market: BTC, ETH, SOL, 10,000 USDT of paper money each"
    ]
    bots = Bot.objects.filter(owner=user)
    assert {bot.status for bot in bots} == {BotStatus.ACTIVE}
    assert len({bot.started_at for bot in bots}) == 1


def test_the_second_run_makes_nothing(user):
    first = arena_at("simulated", user, [], ignore)
    before = [*Bot.objects.order_by("pk").values()]
    again = arena_at("simulated", user, [], pytest.fail)

    assert again == first
    assert [*Bot.objects.order_by("pk").values()] == before


def test_one_that_was_made_and_not_started_is_started(user):
    lab.create_baseline_arena(user, by=user)

    assert arena_at("simulated", user, [], pytest.fail).is_running
    assert Arena.objects.count() == 1


def test_what_its_owner_stopped_stays_stopped(user):
    arena = arena_at("simulated", user, [], ignore)
    lab.stop_arena(arena.pk, by=user)
    arena = arena_at("simulated", user, [], pytest.fail)

    assert {bot.status for bot in Bot.objects.all()} == {BotStatus.PAUSED}
    assert "stopped as you left them" in next(in_words(arena))


def test_one_bot_that_its_owner_paused_stays_paused(user):
    arena_at("simulated", user, [], ignore)
    bot = Bot.objects.first()
    services.pause_bot(bot.pk, by=user)
    arena_at("simulated", user, [], pytest.fail)

    bot.refresh_from_db()
    assert bot.status == BotStatus.PAUSED


def test_each_venue_has_an_arena_of_its_own_and_the_others_are_named(user, okx):
    arena_at("simulated", user, [], ignore)
    arena = arena_at("okx", user, [], ignore)

    assert (arena.venue, arena.name) == ("okx", "Baselines at okx")
    assert arena.symbols == ["BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"]
    assert [*in_words(arena)] == [
        "5 traders at okx: BTC, ETH, SOL, 10,000 USDT of paper money each",
        "and 5 bots on the simulated market, started before",
    ]


def test_a_venue_that_falls_silent_meanwhile_is_left_for_the_simulated_market(user, okx):
    okx.fail(Failure.ERROR_500)
    said: list[str] = []
    arena = arena_at("okx", user, [], said.append)

    assert arena.venue == "simulated"
    assert said[1].startswith("okx can't be reached")
    assert said[1].endswith(": trading on the simulated market instead.")
    assert Arena.objects.count() == 1
