"""Buttons on bots: done once, answered in words, refused in words, and nobody else's."""

from typing import Any
from uuid import uuid4

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from bots import models, services
from bots.acts import DeskBusy
from bots.domain.bot import BotStatus
from bots.urls import urlpatterns
from llm.hosts import Provider
from llm.models import ModelProfile, PromptTemplate, ProviderKey
from market.errors import VenueUnavailable
from risk.models import RiskProfile
from tests.bots.bulk_rows import a_row_of_each, cycle_row, hold, order_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, IdempotencyKey, User
from tradingagent.accounts.secrets import Secret

POSTS = ("start_bot", "run_bot")
ONLY_SENT = (*POSTS, "check_model", "give_limits", "rename_limits")
ASKED_FIRST = ("pause_bot", "archive_bot", "flatten_bot", "close_position")
FOR_SCRIPTS = ("bot_equity", "bot_candles", "live_parts")


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


@pytest.fixture
def bot(ann) -> models.Bot:
    return paper_bot(ann, name="Tidewater")


def url(name: str, bot: models.Bot) -> str:
    return reverse(name, args=[bot.pk])


def ask(client: Client, name: str, bot: models.Bot, **fields: Any) -> Any:
    return client.post(url(name, bot), fields)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def status(bot: models.Bot) -> str:
    return models.Bot.objects.values_list("status", flat=True).get(pk=bot.pk)


# --- what they do ----------------------------------------------------------------------------------------


def test_start_and_pause(client, bot):
    models.Bot.objects.update(status=BotStatus.DRAFT)

    started = ask(client, "start_bot", bot)

    assert (started.status_code, started["Location"]) == (302, url("bot", bot))
    assert said(started) == ["Tidewater is started: its first decision comes at once."]
    assert status(bot) == "ACTIVE"
    paused = ask(client, "pause_bot", bot)
    assert (
        said(paused)[-1] == "Tidewater is paused: it opens nothing, what it holds stays protected."
    )
    assert status(bot) == "PAUSED" and not models.ManualAction.objects.exists()


def test_a_start_under_a_halt_says_so(client, ann, bot):
    models.Bot.objects.update(status=BotStatus.DRAFT)
    services.halt(by=ann, user=ann)

    assert said(ask(client, "start_bot", bot)) == [
        "Tidewater is started, but a halt keeps it from opening."
    ]


def test_a_pause_may_close_everything(client, bot):
    answer = ask(client, "pause_bot", bot, flatten="1")

    assert "everything it holds is being closed" in said(answer)[0]
    assert models.ManualAction.objects.get().kind == "FLATTEN"


def test_run_now_asks_for_a_decision(client, bot, monkeypatch, django_capture_on_commit_callbacks):
    sent: list[Any] = []
    monkeypatch.setattr(
        "bots.services.lifecycle.enqueue", lambda task, **kwargs: sent.append(kwargs)
    )

    ask(client, "run_bot", bot, request_id="one")

    assert [one["bot_id"] for one in sent] == [str(bot.pk)]
    assert sent[0]["request_id"]


def test_archive_leads_to_the_list(client, bot):
    models.Bot.objects.update(status=BotStatus.PAUSED)

    answer = ask(client, "archive_bot", bot)

    assert answer["Location"] == reverse("bots")
    assert said(answer) == ["Tidewater is archived. Its history stays."]
    assert status(bot) == "ARCHIVED"


def test_flatten_asks_first_and_then_does_it(client, bot):
    hold(bot, [(SYMBOL, "2", "300")])
    order_row(bot, 1, "SUBMITTED").save()

    question = client.get(url("flatten_bot", bot)).content.decode()
    answer = ask(client, "flatten_bot", bot, request_id="one")

    assert "Closes 1 paper position worth 300.00 USDT at market, reduce-only." in question
    assert "Cancels 1 waiting entry." in question
    assert f'href="{url("bot", bot)}" autofocus' in question
    assert said(answer) == ["Everything that Tidewater holds is being closed."]
    assert models.ManualAction.objects.get().kind == "FLATTEN"


def test_close_one_position_and_come_back_to_where_it_was_asked(client, bot):
    hold(bot, [(SYMBOL, "2", "300")])

    answer = ask(client, "close_position", bot, symbol=SYMBOL, next="/?money=paper-usdt")

    assert answer["Location"] == "/?money=paper-usdt"
    assert said(answer) == [f"{SYMBOL} of Tidewater is being closed."]
    assert models.ManualAction.objects.get().wanted == {"symbol": SYMBOL}


@pytest.mark.parametrize(
    "elsewhere", ["https://example.com/", "//example.com/", "javascript:alert(1)", "x"]
)
def test_nobody_is_sent_to_another_site(client, bot, elsewhere):
    assert ask(client, "run_bot", bot, next=elsewhere)["Location"] == url("bot", bot)


# --- refusals are sentences --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "before", "sentence"),
    [
        ("start_bot", "ACTIVE", "Tidewater is active already."),
        ("pause_bot", "PAUSED", "Tidewater is paused already."),
        ("archive_bot", "ARCHIVED", "Tidewater is archived already."),
        ("pause_bot", "DRAFT", "Tidewater is DRAFT: it can't become PAUSED."),
        ("archive_bot", "ACTIVE", "Tidewater is ACTIVE: it can't become ARCHIVED."),
        ("run_bot", "ARCHIVED", "Tidewater is archived."),
    ],
)
def test_what_can_not_be_done_now_is_said(client, bot, name, before, sentence):
    models.Bot.objects.update(status=before)

    answer = ask(client, name, bot)

    assert (answer.status_code, answer["Location"]) == (302, url("bot", bot))
    assert said(answer) == [sentence]
    assert status(bot) == before


def test_what_is_not_held_can_not_be_closed(client, bot):
    answer = ask(client, "close_position", bot, symbol="<b>")

    assert said(answer) == ["Nothing is held of <b>."]


def test_who_holds_something_is_not_archived(client, bot):
    models.Bot.objects.update(status=BotStatus.PAUSED)
    hold(bot, [(SYMBOL, "2", "300")])

    assert said(ask(client, "archive_bot", bot)) == [
        "Tidewater holds a position: flatten it first."
    ]


@pytest.mark.parametrize(
    "refusal",
    [DeskBusy("the bot is busy: try again in a moment"), VenueUnavailable("no answer"), ValueError("no"),
     services.NotNow("not now"), services.NothingToResume("nothing is halted here")],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "service"),
    [("start_bot", "start_bot"), ("pause_bot", "pause_bot"), ("run_bot", "run_now"),
     ("archive_bot", "archive_bot"), ("flatten_bot", "flatten_bot"), ("close_position", "close_position")],
)  # fmt: skip
def test_every_refusal_is_a_message(client, bot, monkeypatch, name, service, refusal):
    def refuses(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(services, service, refuses)
    models.Bot.objects.update(status="DRAFT")

    answer = ask(client, name, bot, symbol=SYMBOL)

    assert answer.status_code == 302
    text = str(refusal)
    assert said(answer) == [f"{text[0].upper()}{text[1:]}."]


# --- once ------------------------------------------------------------------------------------------------


def test_a_form_that_is_sent_twice_is_done_once(client, bot):
    hold(bot, [(SYMBOL, "2", "300")])
    form = {"request_id": "one", "symbol": SYMBOL}

    first, second = (ask(client, "close_position", bot, **form) for _ in range(2))

    assert models.ManualAction.objects.count() == 1
    assert said(first)[0] == said(second)[-1]
    assert first["Location"] == second["Location"]
    assert AuditEntry.objects.filter(action="ask_close").count() == 1


def test_a_start_that_is_sent_twice_is_no_error(client, bot):
    models.Bot.objects.update(status=BotStatus.DRAFT)

    for _ in range(2):
        answer = ask(client, "start_bot", bot, request_id="one")

    assert set(said(answer)) == {"Tidewater is started: its first decision comes at once."}
    assert AuditEntry.objects.filter(action="start_bot").count() == 1


def test_while_the_first_is_under_way_nothing_is_done_again(client, bot):
    form = {"request_id": "one"}
    ask(client, "run_bot", bot, **form)
    IdempotencyKey.objects.update(status=None, body=None)

    answer = ask(client, "run_bot", bot, **form)

    assert said(answer)[-1] == "That is being done already."
    assert AuditEntry.objects.filter(action="run_now").count() == 1


def test_an_id_that_came_with_something_else_keeps_nobody_from_acting(client, bot):
    for symbol in (SYMBOL, "OTHER/USDT:USDT"):
        models.Position.objects.all().delete()
        hold(bot, [(symbol, "2", "300")])
        ask(client, "close_position", bot, request_id="one", symbol=symbol)

    assert models.ManualAction.objects.count() == 2


def test_what_failed_may_be_sent_again(client, bot, monkeypatch):
    def breaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as broken:
        broken.setattr(services, "run_now", breaks)
        with pytest.raises(RuntimeError):
            ask(client, "run_bot", bot, request_id="one")
    answer = ask(client, "run_bot", bot, request_id="one")

    assert said(answer) == ["Tidewater decides now, out of turn."]


@pytest.mark.parametrize("request_id", ["", "x" * 61, "halt:1"])
def test_an_id_that_is_none_is_left_aside(client, bot, request_id):
    for _ in range(2):
        ask(client, "flatten_bot", bot, request_id=request_id)

    assert models.ManualAction.objects.count() == (1 if request_id == "halt:1" else 2)


# --- doors -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*POSTS, *ASKED_FIRST])
def test_looking_changes_nothing(client, bot, name):
    answer = client.get(url(name, bot), {"symbol": SYMBOL})

    assert answer.status_code == (405 if name in POSTS else 200)
    assert status(bot) == "ACTIVE" and not models.ManualAction.objects.exists()


@pytest.mark.parametrize("name", ASKED_FIRST)
def test_questions_have_the_way_out_in_front(client, bot, name):
    html = client.get(url(name, bot), {"symbol": SYMBOL}).content.decode()

    assert html.count(" autofocus") == 1
    assert f'class="btn" href="{url("bot", bot)}" autofocus' in html
    assert f'action="{url(name, bot)}"' in html


def test_a_pause_says_what_is_at_stake(client, bot):
    hold(bot, [(SYMBOL, "2", "300")])

    html = client.get(url("pause_bot", bot)).content.decode()

    assert "1 paper position worth 300.00 USDT: kept with its stop resting, or closed" in html
    assert 'name="flatten" value="1"' in html and "Pause and close 1 position" in html


def test_the_list_offers_what_comes_next(client, ann, bot):
    paper_bot(ann, name="resting", status=BotStatus.PAUSED)
    holding = paper_bot(ann, name="holding", status=BotStatus.PAUSED)
    hold(holding, [(SYMBOL, "2", "300")])

    html = client.get(reverse("bots")).content.decode()

    assert f'href="{url("pause_bot", bot)}"' in html
    assert html.count("/archive/") == 2 and url("archive_bot", holding) not in html


@pytest.mark.parametrize("name", [*POSTS, *ASKED_FIRST])
def test_a_form_of_another_site_is_refused(ann, bot, name):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)

    assert strict.post(url(name, bot)).status_code == 403


def arguments(pattern: Any, bot: models.Bot, cycle: models.TradingCycle) -> dict[str, Any]:
    """What an address of this bot and its owner's is made of."""
    known: dict[str, Any] = {
        "bot_id": bot.pk, "cycle_id": cycle.pk, "kind": "bot", "key": str(bot.pk),
    }  # fmt: skip
    wanted = pattern.pattern.converters
    if {"profile_id", "key_id"} & wanted.keys():
        key = ProviderKey.objects.create(
            owner=bot.owner, provider=Provider.OPENAI, name="key", key=Secret("none")
        )
        row = ModelProfile.objects.create(
            owner=bot.owner, name="model", provider=Provider.OPENAI, model="m", provider_key=key
        )
        known |= {"profile_id": row.pk, "key_id": key.pk}
    if "template_id" in wanted:
        template = PromptTemplate.objects.create(
            owner=bot.owner, name="prompt", system="You trade.", user="{{clock}}"
        )
        known["template_id"] = template.pk
    if "risk_id" in wanted:
        known["risk_id"] = RiskProfile.objects.create(owner=bot.owner, name="limits").pk
    return {name: known[name] for name in wanted}


PATTERNS = [pattern for pattern in urlpatterns if pattern.pattern.converters]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: f"{one.name} {one.pattern}")
@pytest.mark.parametrize("method", ["get", "post"])
def test_what_is_somebody_elses_is_not_there(client, pattern, method):
    """Every address of the desk, as bots.urls lists them, with another user's ids."""
    theirs = paper_bot(User.objects.create_user("bob@example.org"))
    a_row_of_each(theirs)
    cycle = models.TradingCycle.objects.get(bot=theirs)
    kwargs = arguments(pattern, theirs, cycle)
    if kwargs.get("kind") and "key" not in kwargs:
        kwargs["kind"] = "nonsense"  # the dashboard's is the asker's own
    before = models.Bot.objects.values().get(pk=theirs.pk)

    answer = getattr(client, method)(reverse(pattern.name, kwargs=kwargs), {"symbol": SYMBOL})

    assert answer.status_code in (404, 405)
    assert method == "post" or answer.status_code == 404 or pattern.name in ONLY_SENT
    assert models.Bot.objects.values().get(pk=theirs.pk) == before
    assert models.ManualAction.objects.count() == 1


@pytest.mark.parametrize("name", ["halt", "resume"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_halts_what_is_not_theirs(client, name, method):
    theirs = paper_bot(User.objects.create_user("bob@example.org"))

    for named in (theirs.pk, uuid4(), "nonsense"):
        answer = getattr(client, method)(reverse(name), {"bot": str(named)})
        assert answer.status_code == 404

    assert not models.TradingHalt.objects.exists()


@pytest.mark.parametrize("pattern", urlpatterns, ids=lambda one: f"{one.name} {one.pattern}")
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_is_nobody_is_asked_to_sign_in(bot, pattern, method):
    cycle = cycle_row(bot, 1)
    cycle.save()
    kwargs = arguments(pattern, bot, cycle)

    answer = getattr(Client(), method)(reverse(pattern.name, kwargs=kwargs))

    if answer.status_code == 302:
        assert answer["Location"].startswith(reverse("account_login"))
    else:  # what scripts fetch is not there for nobody
        assert answer.status_code == 405 or pattern.name in FOR_SCRIPTS
        assert answer.status_code in (404, 405)
    assert not AuditEntry.objects.exists()


def test_a_bot_of_nobody_is_not_there(client):
    for name in (*POSTS, *ASKED_FIRST):
        assert client.post(reverse(name, args=[uuid4()])).status_code == 404
