"""The kill switch on its pages: asked in numbers, in force at once, undone by a person alone."""

from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from bots import models, services
from bots.acts import DeskBusy
from market.errors import VenueUnavailable
from tests.bots.bulk_rows import hold, order_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL
from tradingagent.accounts.models import AuditEntry, User


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


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_halting_all_says_what_will_happen_in_numbers(client, ann, bot):
    second = paper_bot(ann, name="Kestrel")
    hold(bot, [(SYMBOL, "2", "300")])
    hold(second, [(SYMBOL, "-1", "150.5")])
    order_row(bot, 1, "SUBMITTED").save()

    html = client.get(reverse("halt")).content.decode()

    for wanted in (
        "2 bots, until you resume", "2 paper positions worth 450.50 USDT", "1 waiting entry",
        "Halt and close 2 positions",
    ):  # fmt: skip
        assert wanted in html
    assert f'href="{reverse("dashboard")}" autofocus>Keep trading' in html
    sheet = client.get(reverse("halt"), headers={"HX-Request": "true"}).content.decode()
    assert 'popovertargetaction="hide" autofocus>Keep trading' in sheet


def test_halting_all_halts_my_bots_alone(client, ann, bot):
    theirs = paper_bot(User.objects.create_user("bob@example.org"))
    hold(bot, [(SYMBOL, "2", "300")])

    answer = client.post(reverse("halt"), {"reason": " exchange notice "})

    halt = models.TradingHalt.objects.get()
    assert (halt.scope, halt.user, halt.reason, halt.flatten) == (
        "USER",
        ann,
        "exchange notice",
        False,
    )
    assert halt.halted_by == ann.email
    assert set(models.Bot.objects.filter(is_halted=True)) == {bot}
    assert not models.Bot.objects.get(pk=theirs.pk).is_halted
    assert answer["Location"] == reverse("dashboard")
    assert said(answer) == ["Halted: 1 bot."]
    assert not models.ManualAction.objects.exists()


def test_halting_may_close_everything(client, ann, bot):
    paper_bot(ann, name="Kestrel")
    hold(bot, [(SYMBOL, "2", "300")])
    order_row(bot, 1, "UNKNOWN").save()

    answer = client.post(reverse("halt"), {"flatten": "1"})

    assert said(answer) == [
        "Halted: 2 bots. 1 entry had left before and may still fill. What 1 of them held is being closed."
    ]
    assert models.ManualAction.objects.get().bot == bot


def test_halting_one_bot(client, ann, bot):
    other = paper_bot(ann, name="Kestrel")

    question = client.get(reverse("halt"), {"bot": str(bot.pk)}).content.decode()
    answer = client.post(reverse("halt"), {"bot": str(bot.pk), "flatten": "1"})

    assert "Halt Tidewater?" in question
    assert f'name="bot" value="{bot.pk}"' in question
    assert (answer["Location"], said(answer)) == (
        url("bot", bot),
        ["Halted: Tidewater. Nothing was held."],
    )
    assert not models.Bot.objects.get(pk=other.pk).is_halted


def test_a_halt_that_is_sent_twice_is_one_halt(client, bot):
    for _ in range(2):
        answer = client.post(reverse("halt"), {"request_id": "one", "reason": "x"})

    assert models.TradingHalt.objects.count() == 1
    assert said(answer)[-1] == "Halted: 1 bot."


def test_resuming_asks_and_keeps_who_and_why(client, ann, bot):
    services.halt(by=ann, user=ann, reason="exchange notice")

    question = client.get(reverse("resume")).content.decode()
    answer = client.post(reverse("resume"), {"reason": "it is over"})

    assert "ann@example.org halted all bots on" in question and "“exchange notice”" in question
    halt = models.TradingHalt.objects.get()
    assert halt.resumed_by == ann.email
    entry = AuditEntry.objects.get(action="resume")
    assert (entry.actor, entry.after) == (ann, {"reason": "it is over"})
    assert said(answer) == ["Resumed: decisions may open positions again."]
    assert not models.Bot.objects.get(pk=bot.pk).is_halted


def test_a_wider_halt_goes_on_and_is_named(client, ann, bot):
    services.halt(by=ann, bot_id=bot.pk)
    services.halt(by="operator")

    answer = client.post(reverse("resume"), {"bot": str(bot.pk)})

    assert said(answer) == ["Resumed, but a halt of its own or a wider one still covers Tidewater."]


def test_nobody_resumes_the_operators_halt(client, bot):
    services.halt(by="operator")

    question = client.get(reverse("resume")).content.decode()
    answer = client.post(reverse("resume"))

    assert "operator halted everyone on" in question
    assert "only the operator can resume that" in question and ">Resume</button>" not in question
    assert said(answer) == ["Nothing is halted here."]
    assert models.TradingHalt.objects.get().resumed_at is None


def test_who_halted_itself_can_be_resumed_by_hand(client, bot):
    models.BotState.objects.filter(bot=bot).update(trading_state="HALTED")

    question = client.get(reverse("resume"), {"bot": str(bot.pk)}).content.decode()

    assert "It halted itself at its hard drawdown" in question
    assert "play" in question and "Resume</button>" in question


@pytest.mark.parametrize(
    "refusal", [DeskBusy("the bot is busy: try again in a moment"), VenueUnavailable("no answer")]
)
def test_a_resume_that_can_not_be_done_now_is_said(client, bot, monkeypatch, refusal):
    def refuses(*_: Any, **__: Any) -> None:
        raise refusal

    monkeypatch.setattr(services, "resume", refuses)

    answer = client.post(reverse("resume"), {"bot": str(bot.pk)})

    text = str(refusal)
    assert said(answer) == [f"{text[0].upper()}{text[1:]}."]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({}, "Waiting for the desk."),
        ({"left": {SYMBOL: "2"}, "entries_left": ["0a1b2c3d4e5f"], "reason": "no answer", "is_flat": False},
         f"Not done yet: {SYMBOL}, entry 0a1b2c3d could not be closed (no answer). It is tried again"),
        ({"error": "KeyError: 'x'"}, "Not done yet (the last try failed). It is tried again"),
    ],
)  # fmt: skip
def test_what_a_halt_could_not_close_stands_on_the_page_of_its_bot(client, ann, bot, result, words):
    hold(bot, [(SYMBOL, "2", "300")])
    [action_id] = services.halt(by=ann, bot_id=bot.pk, flatten=True).actions
    models.ManualAction.objects.filter(pk=action_id).update(result=result)

    html = client.get(url("bot", bot)).content.decode()

    assert "Closing everything" in html and words in html
    assert "KeyError" not in html


def test_the_dashboard_of_a_halted_user_says_so(client, ann, bot):
    services.halt(by=ann, user=ann, reason="exchange notice")

    html = client.get("/").content.decode()

    assert 'id="halt-in-force"' in html and "exchange notice" in html
