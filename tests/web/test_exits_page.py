"""The page of a bot's own exits: typed, checked, saved once, shown on the bot's page, and nobody else's."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from bots import events, models, rows
from bots.domain.bot import BotStatus
from bots.domain.events import EventKind
from bots.domain.exits import ExitRules, Rung
from tests.bots.paper_desks import paper_bot
from tests.web.test_controls import said
from tradingagent.accounts.models import AuditEntry, User

TYPED = {
    "trailing": "1.5", "trailing_from": "1", "break_even": "1", "ladder": "1:50%, 2:25%", "hours": "36.5",
}  # fmt: skip
RULES = ExitRules(
    trailing_fraction=D("0.015"),
    trailing_from_r=D(1),
    break_even_at_r=D(1),
    ladder=(Rung(at_r=D(1), fraction=D("0.5")), Rung(at_r=D(2), fraction=D("0.25"))),
    time_stop=timedelta(hours=36, minutes=30),
)


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
    return paper_bot(ann, name="Tidewater", symbols=("BTC/USDT:USDT",))


def url(bot: models.Bot) -> str:
    return reverse("bot_exits", args=[bot.pk])


def post(client: Client, bot: models.Bot, **typed: str) -> Any:
    return client.post(url(bot), dict.fromkeys(TYPED, "") | typed)


def notice(bot: models.Bot, kind: str, text: str) -> None:
    payload = {"kind": kind, "symbol": "BTC/USDT:USDT", "text": text}
    with transaction.atomic():
        events.emit(bot.pk, [(timezone.now(), EventKind.NOTICE, payload)])


def exits(bot: models.Bot) -> ExitRules:
    return rows.exits_of(models.Bot.objects.get(pk=bot.pk))


def test_what_is_typed_is_kept_and_typed_again(client, bot) -> None:
    answer = post(client, bot, **TYPED)
    assert answer.url == reverse("bot", args=[bot.pk])
    assert said(answer) == ["Tidewater manages its exits by these rules from its next beat on."]
    assert exits(bot) == RULES
    page = client.get(url(bot)).content.decode()
    for text in TYPED.values():
        assert f'value="{text}"' in page
    assert AuditEntry.objects.get(action="update_bot").after["exits"][
        "Closes what was held for"
    ] == ("1 d 12 h 30 min")


def test_all_empty_is_off(client, bot) -> None:
    post(client, bot, **TYPED)
    answer = post(client, bot)
    assert exits(bot).is_off
    assert said(answer)[-1:] == ["Tidewater moves no stop by itself any more. What it moved stays."]


def test_saving_what_is_there_changes_nothing(client, bot) -> None:
    assert said(post(client, bot)) == ["Nothing differs: Tidewater goes on as before."]
    assert not AuditEntry.objects.filter(action="update_bot").exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"trailing": "wide"}, "Give a number, such as 1.5."),
        ({"trailing": "80"}, "A stop trails at 0.1% to 50% of the price, not 80%."),
        ({"trailing_from": "1"}, "A stop that trails from some profit on needs its distance."),
        ({"break_even": "0"}, "A profit in R is above 0, and at most 100, not 0."),
        ({"ladder": "half"}, "A rung is written as 1:50% (half at 1 R), not &#x27;half&#x27;."),
        ({"ladder": "2:50%, 1:50%"}, "Each rung of a ladder is higher than the one before: 1 R comes after 2 R."),
        ({"ladder": "1:80%, 2:80%"}, "The rungs of a ladder close 160%, and there is no more than 100%."),
        ({"hours": "0"}, "A time stop is from one minute to 365 days."),
        ({"hours": "99999999"}, "A time stop is from one minute to 365 days."),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_said_beside_its_field(client, bot, typed, sentence: str) -> None:
    answer = post(client, bot, **typed)
    assert answer.status_code == 422
    assert sentence in answer.content.decode()
    assert exits(bot).is_off


def test_the_page_of_the_bot_shows_rules_and_acts(client, bot) -> None:
    page = client.get(reverse("bot", args=[bot.pk])).content.decode()
    assert "None: stops and targets rest where the trader put them." in page
    assert url(bot) in page
    post(client, bot, **TYPED)
    notice(bot, "MANAGED_EXIT", "trailing stop: the stop moves from 95 to 98, mark 100")
    notice(bot, "LIQUIDATION", "something else")
    page = client.get(reverse("bot", args=[bot.pk])).content.decode()
    assert "at 1.5% from 1 R on" in page
    assert "Trailing stop: the stop moves from 95 to 98, mark 100" in page
    assert "something else" not in page


def test_a_bot_in_an_arena_or_archived_cannot_be_changed(client, bot) -> None:
    models.Bot.objects.update(cohort=bot.pk)
    shown = client.get(url(bot)).content.decode()
    assert "runs beside others" in shown and shown.count(" disabled ") + shown.count(
        " disabled>"
    ) == len(TYPED)
    page = client.get(reverse("bot", args=[bot.pk])).content.decode()
    assert url(bot) not in page and "Entrants of an arena differ" in page
    answer = post(client, bot, **TYPED)
    assert answer.status_code == 422
    assert "only its name may change" in answer.content.decode()
    models.Bot.objects.update(cohort=None, status=BotStatus.ARCHIVED)
    assert "Tidewater is archived." in client.get(url(bot)).content.decode()
    assert post(client, bot, **TYPED).status_code == 422
    assert exits(bot).is_off


def test_nobody_elses(client, bot) -> None:
    other = paper_bot(User.objects.create_user("bob@example.org"))
    assert client.get(url(other)).status_code == 404
    assert post(client, other, **TYPED).status_code == 404
    assert exits(other).is_off
    assert Client().get(url(bot)).status_code == 302
