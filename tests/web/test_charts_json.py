"""The numbers behind a bot's charts: right, small, one's own, and said in words while the venue is silent."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots import models
from market.domain.data import to_milliseconds
from market.models import LatestPrice
from tests.bots.bulk_rows import hold
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL
from tests.web.test_charts_queries import START, bar, feed, fills  # noqa: F401 (a fixture)
from tradingagent.accounts.models import User

MINUTE = timedelta(minutes=1)


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bot(ann) -> models.Bot:
    return paper_bot(ann, name="Tidewater")


@pytest.fixture
def page(client, ann, bot):
    client.force_login(ann)

    def ask(name: str, **query):
        return client.get(reverse(name, args=[bot.pk]), query)

    return ask


def store_points(bot, count: int) -> list:
    now = timezone.now().replace(microsecond=0)
    points = [(now - age * MINUTE, D(10_000) + age) for age in reversed(range(count))]
    models.EquityPoint.objects.bulk_create(
        models.EquityPoint(bot=bot, at=at, equity=equity) for at, equity in points
    )
    return points


# --- equity ----------------------------------------------------------------------------------------


def test_equity_is_what_is_stored(page, bot):
    points = store_points(bot, 90)

    told = page("bot_equity", range="all").json()

    assert told["points"] == [[to_milliseconds(at), float(equity)] for at, equity in points]
    assert told["now"] is None  # nothing is held: what is stored last is what it is


@pytest.mark.parametrize(("span", "expected"), [("1h", 60), ("1d", 90), ("7d", 90), ("all", 90)])
def test_a_range_is_so_long(page, bot, span, expected):
    store_points(bot, 90)

    assert abs(len(page("bot_equity", range=span).json()["points"]) - expected) <= 1


def test_since_is_what_came_after(page, bot):
    points = store_points(bot, 90)
    since = to_milliseconds(points[-3][0])

    told = page("bot_equity", range="all", since=since).json()

    assert [at for at, _ in told["points"]] == [to_milliseconds(at) for at, _ in points[-3:]]


def test_a_thousand_points_are_thinned_and_keep_their_extremes(page, bot):
    points = store_points(bot, 1000)
    models.EquityPoint.objects.filter(bot=bot, at=points[500][0]).update(equity=D(1))

    told = page("bot_equity", range="all").json()["points"]

    assert len(told) <= 500
    assert [to_milliseconds(points[500][0]), 1.0] in told


def test_what_is_held_is_worth_its_latest_price(page, bot):
    hold(bot, [(SYMBOL, "2", "200")])
    at = timezone.now().replace(microsecond=0)
    LatestPrice.objects.create(
        venue="simulated", symbol=SYMBOL, mark_price=D(110), last_price=D(110), at=at
    )

    assert page("bot_equity").json()["now"] == [to_milliseconds(at), 10_020.0]


# --- candles ---------------------------------------------------------------------------------------


def test_candles_with_fills_and_levels(page, bot, feed):  # noqa: F811
    first = bar(201).opened_at
    fills(bot, 2)
    models.Fill.objects.filter(bot=bot).update(at=first + MINUTE, quantity=D("0.051"))
    hold(bot, [(SYMBOL, "-2", "300")])

    told = page("bot_candles", symbol=SYMBOL).json()

    assert len(told["candles"]) == 500
    assert told["candles"][0] == [to_milliseconds(first), 301.0, 303.0, 300.0, 302.0, 5.0]
    assert (told["open"], told["seconds"], told["problem"]) == (True, 180, "")
    assert {one["text"] for one in told["fills"]} == {"buy 0.051 at 100.00"}
    assert {(one["kind"], one["price"]) for one in told["levels"]} == {
        ("entry", 150.0), ("stop", 1.0), ("target", 999.0),
    }  # fmt: skip


def test_only_the_last_candles_travel_again(page, bot, feed):  # noqa: F811
    since = to_milliseconds(bar(699).opened_at)

    told = page("bot_candles", since=since).json()

    assert [candle[0] for candle in told["candles"]] == [since, since + 180_000]
    assert len(page("bot_candles", count=60).json()["candles"]) == 60


def test_small_prices_keep_five_digits(page, bot, feed, monkeypatch):  # noqa: F811
    small = D("0.000012345")
    monkeypatch.setattr(
        "tests.web.test_charts_queries.bar", lambda place, **more: _small(bar(place, **more), small)
    )

    told = page("bot_candles").json()

    assert told["candles"][-1][4] == 0.000012345
    assert told["decimals"] == 9


def _small(candle, price):
    from dataclasses import replace

    return replace(candle, open=price, high=price, low=price, close=price)


def test_a_silent_venue_is_said(page, bot, feed):  # noqa: F811
    feed.silent = True

    answer = page("bot_candles")

    assert answer.status_code == 503
    assert answer.json()["problem"] == "the venue does not answer"
    assert answer.json()["candles"] == []


def test_the_last_price_moves_nothing_when_nothing_is_new(page, bot, feed, client):  # noqa: F811
    first = page("bot_candles")
    again = client.get(
        reverse("bot_candles", args=[bot.pk]), headers={"if-none-match": first["ETag"]}
    )

    assert (again.status_code, again.content) == (304, b"")


# --- doors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bot_equity", "bot_candles"])
@pytest.mark.parametrize("who", [None, "bob@example.org"])
def test_another_users_numbers_are_not_there(client, bot, feed, name, who):  # noqa: F811
    if who:
        client.force_login(User.objects.create_user(who, is_superuser=True))

    assert client.get(reverse(name, args=[bot.pk])).status_code == 404


@pytest.mark.parametrize("name", ["bot_equity", "bot_candles"])
def test_it_is_kept_by_nobody_else_and_read_only(page, client, bot, feed, name):  # noqa: F811
    assert page(name)["Cache-Control"] == "private, no-cache"
    assert client.post(reverse(name, args=[bot.pk])).status_code == 405


@pytest.mark.parametrize(
    ("name", "query", "status"),
    [
        ("bot_equity", {"range": "2y"}, 400), ("bot_equity", {"since": "x"}, 400),
        ("bot_equity", {"since": "9" * 15}, 400), ("bot_candles", {"since": "-1"}, 400),
        ("bot_candles", {"count": "1e9"}, 400), ("bot_candles", {"symbol": "NO/USDT:USDT"}, 404),
        ("bot_candles", {"timeframe": "61"}, 404), ("bot_candles", {"timeframe": "9" * 15}, 404),
        ("bot_candles", {"timeframe": "900"}, 200), ("bot_candles", {"count": "0"}, 200),
    ],
)  # fmt: skip
def test_what_no_script_sends_is_refused_in_words(page, feed, name, query, status):  # noqa: F811
    assert page(name, **query).status_code == status


@pytest.mark.parametrize("count", [10, 1000])
def test_the_number_of_queries_is_fixed(page, bot, feed, count):  # noqa: F811
    fills(bot, count)
    store_points(bot, count)
    found = {}
    for name in ("bot_equity", "bot_candles"):
        with CaptureQueriesContext(connection) as caught:
            assert page(name, range="all").status_code == 200
        found[name] = len(caught) - 2  # the session and its user

    assert found == {"bot_equity": 5, "bot_candles": 5}
