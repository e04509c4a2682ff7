"""The pages of arenas: one's own alone, without script too, the same bytes as the live parts."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bots import services
from bots.domain.bot import BotStatus
from bots.lab import pages
from bots.lab.models import Arena
from bots.live.topics import rendered, topic_of
from llm.hosts import Provider
from llm.models import ModelProfile
from market.errors import VenueUnavailable
from risk.models import RiskProfile
from tests.bots.desks import buys
from tests.lab.arenas import bots_of, ground, statuses
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import User

pytestmark = pytest.mark.django_db(transaction=True)
OF_ONE = ("arena", "arena_equity", "arena_numbers")
ACTS = ("start_arena", "stop_arena")


@pytest.fixture
def at(monkeypatch):
    return ground(monkeypatch)


@pytest.fixture
def site(at) -> Client:
    client = Client()
    client.force_login(at.owner)
    return client


def text(answer) -> str:
    return answer.content.decode()


def said(answer) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def form(**fields) -> dict:
    return {
        "name": "Season 1", "venue": "simulated", "symbols": SYMBOL, "capital": "2500",
        "interval_seconds": "60", "risk_profile": str(RiskProfile.objects.get(owner=None, name="balanced").pk),
        "baselines": ["buy_and_hold", "flat"], **fields,
    }  # fmt: skip


# --- whose -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*OF_ONE, *ACTS])
def test_anothers_arena_is_not_there(at, name):
    arena = at.started("flat", "buy_and_hold")
    client = Client()
    client.force_login(User.objects.create(email="b@example.org"))
    ask = client.post if name in ACTS else client.get
    assert ask(reverse(name, args=[arena.pk])).status_code == 404
    assert client.get(f"/live/arena/{arena.pk}/").status_code == 404
    assert client.get("/live/arena/nonsense/").status_code == 404
    assert Arena.objects.get().is_running
    assert str(arena.name) not in text(client.get(reverse("arenas")))


@pytest.mark.parametrize("name", ["arenas", "new_arena", *OF_ONE, *ACTS])
def test_nobody_is_asked_to_sign_in(at, name):
    arena = at.arena("flat", "buy_and_hold")
    address = reverse(name, args=[] if name in ("arenas", "new_arena") else [arena.pk])
    answer = Client().post(address) if name in ACTS else Client().get(address)
    assert answer.status_code == 302 and "/account/login/" in answer["Location"]
    assert BotStatus.ACTIVE not in statuses(arena)


@pytest.mark.parametrize("name", ACTS)
def test_what_changes_something_is_a_post(at, site, name):
    arena = at.arena("flat", "buy_and_hold")
    assert site.get(reverse(name, args=[arena.pk])).status_code == 405


# --- the list and the form -----------------------------------------------------------------------------


def test_an_empty_list_says_what_an_arena_is_and_what_to_do(at, site):
    html = text(site.get(reverse("arenas")))
    assert "No arena yet" in html and reverse("new_arena") in html


def test_the_list_names_the_state_of_each(at, site):
    at.started("flat", "buy_and_hold")
    at.tick("100")
    at.arena("flat", name="Next")
    html = text(site.get(reverse("arenas")))
    assert html.index("Next") < html.index("Season 1")
    assert "Not started" in html and "Running" in html


def test_the_form_makes_an_arena_that_nobody_started(at, site):
    ModelProfile.objects.create(owner=at.owner, name="m", provider=Provider.SCRIPTED)
    shown = text(site.get(reverse("new_arena")))
    limits = re.findall(r"<option[^>]*>([^<]+)</option>", shown.split('name="risk_profile"')[1])
    assert 'value="10000"' in shown and any("Balanced" in one for one in limits)
    assert not any("raw" in one.lower() for one in limits)
    models = re.findall(r'name="models" value="(\d+)"', shown)
    answer = site.post(reverse("new_arena"), form(models=models), follow=True)

    arena = Arena.objects.get()
    assert answer.redirect_chain == [(reverse("arena", args=[arena.pk]), 302)]
    assert said(answer) == ["Season 1 is made. Nobody trades before you start it."]
    labels = list(arena.entrants.order_by("place").values_list("label", flat=True))
    assert labels == ["m", "Buy and hold", "Cash"]
    assert (arena.interval_seconds, arena.timeframe_seconds, arena.capital) == (60, 60, 2500)
    assert "Start<span" in text(answer) and at.sent == []


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"name": ""}, "This field is required"),
        ({"symbols": "NOPE/USDT:USDT"}, "Simulated does not list NOPE/USDT:USDT."),
        ({"capital": "0"}, "greater than or equal to 1"),
        ({"baselines": []}, "Choose who takes part"),
        ({"risk_profile": "999999"}, "Select a valid choice"),
    ],
)
def test_what_makes_no_sense_is_said_where_it_was_typed(at, site, fields, sentence):
    answer = site.post(reverse("new_arena"), form(**fields))
    assert answer.status_code == 422
    assert sentence in text(answer)
    assert not Arena.objects.exists()


def test_a_silent_venue_is_said(at, site, monkeypatch):
    def silent():
        raise VenueUnavailable("binanceusdm does not answer")

    monkeypatch.setattr(at.feed, "instruments", silent)
    answer = site.post(reverse("new_arena"), form())
    assert answer.status_code == 422 and "Binanceusdm does not answer." in text(answer)


def test_anothers_models_are_not_offered(at, site):
    other = User.objects.create(email="b@example.org")
    theirs = ModelProfile.objects.create(owner=other, name="theirs", provider=Provider.SCRIPTED)
    assert "theirs" not in text(site.get(reverse("new_arena")))
    answer = site.post(reverse("new_arena"), form(models=[theirs.pk]))
    assert answer.status_code == 422


# --- one arena -----------------------------------------------------------------------------------------


def test_it_starts_and_stops_without_script(at, site):
    arena = at.arena("flat", "buy_and_hold")
    page = reverse("arena", args=[arena.pk])
    answer = site.post(reverse("start_arena", args=[arena.pk]), follow=True)
    assert said(answer) == ["Season 1 runs: all entrants decide from this instant on."]
    assert set(statuses(arena)) == {BotStatus.ACTIVE}
    again = site.post(reverse("start_arena", args=[arena.pk]), follow=True)
    assert said(again) == ["Season 1 is running already."]
    answer = site.post(reverse("stop_arena", args=[arena.pk]), follow=True)
    assert "nobody opens anything any more" in said(answer)[0]
    assert set(statuses(arena)) == {BotStatus.PAUSED}
    assert "Stopped" in text(site.get(page))


def test_the_page_shows_what_the_live_parts_show(at, site):
    arena = at.started("flat", "buy_and_hold")
    at.trader.answers.append(buys())
    for bot in reversed(bots_of(arena)):
        services.run_slot(bot.pk, "one")
    page = text(site.get(reverse("arena", args=[arena.pk])))
    parts = rendered(topic_of("arena"), pages.find(at.owner, str(arena.pk)))

    assert set(parts) == {"arena-verdict", "arena-feed", "arena-table", "arena-state"}
    for html in parts.values():
        assert html in page
        assert "csrf" not in html and "<form" not in html and "style=" not in html
    polled = text(site.get(f"/live/arena/{arena.pk}/"))
    assert polled == "\n".join(parts.values())
    assert f'data-live="arena:{arena.pk}"' in page
    assert "Too few to tell." in page and "opened a long" in page


def test_nothing_is_ranked_coloured_or_called_better(at, site):
    arena = at.started("flat", "buy_and_hold")
    at.trader.answers.append(buys())
    services.run_slot(bots_of(arena)[1].pk, "one")
    parts = rendered(topic_of("arena"), pages.find(at.owner, str(arena.pk)))
    for word in ('class="up', 'class="down', "aria-sort", "leader", "best", "winner"):
        assert word not in parts["arena-table"] + parts["arena-verdict"]


def test_the_curves_stand_in_a_table_too(at, site):
    arena = at.started("flat", "buy_and_hold")
    html = text(site.get(reverse("arena_numbers", args=[arena.pk])))
    assert "Buy and hold" in html and html.count("<tr") > 10
    told = site.get(reverse("arena_equity", args=[arena.pk])).json()
    assert [one["name"] for one in told["series"]] == ["Cash", "Buy and hold"]
    assert reverse("arena_numbers", args=[arena.pk]) in text(
        site.get(reverse("arena", args=[arena.pk]))
    )


def test_no_page_offers_to_start_an_entrant_alone(at, site):
    bot = bots_of(at.arena("flat", "buy_and_hold"))[0]
    html = text(site.get(reverse("bot", args=[bot.pk])))
    assert "Not started yet" in html and reverse("start_bot", args=[bot.pk]) not in html


def test_before_the_start_the_page_says_so(at, site):
    arena = at.arena("flat", "buy_and_hold")
    html = text(site.get(reverse("arena", args=[arena.pk])))
    assert "Not started." in html and "The curves begin at the start" in html
    assert site.get(reverse("arena_equity", args=[arena.pk])).json()["series"] == []
    assert "Not started" in text(site.get(reverse("arena_numbers", args=[arena.pk])))


def test_names_of_strangers_are_text(at, site):
    arena = at.arena("flat", "buy_and_hold", name="<b>x</b>")
    html = text(site.get(reverse("arena", args=[arena.pk])))
    assert "<b>x</b>" not in html and "&lt;b&gt;x&lt;/b&gt;" in html


def test_a_page_costs_the_same_for_two_and_for_five(at, site):
    small = at.started("flat", "buy_and_hold")
    large = at.started("flat", "buy_and_hold", "ema_trend", "seeded_random", name="large")
    costs = []
    for arena in (small, large):
        with CaptureQueriesContext(connection) as captured:
            site.get(reverse("arena", args=[arena.pk]))
        costs.append(len(captured))
    assert costs[0] == costs[1] <= 16  # session, user, arena, ten of its parts, three of the shell
