"""The dashboard and the list of bots: what they show adds up, moves as it was rendered, and costs the same."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots import models, queries
from bots.domain.bot import BotMode, BotStatus
from bots.live.topics import page_context, rendered, topic_of
from bots.pages import dashboard as page
from bots.pages.bot_lists import spark
from bots.pages.figures_of_all import drawdown_of, exposure_of, model_cost_of
from bots.pages.stories import feed
from llm.hosts import Provider
from llm.models import ModelProfile
from market.instrument_rows import row_of
from market.models import ExchangeAccount, LatestPrice
from tests.bots.bulk_rows import cycle_row, fill, hold, order_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL, instrument
from tests.web.scenes import seed
from tradingagent.accounts.access import NotYours
from tradingagent.accounts.models import User

OTHER = "OTHER/USDT:USDT"


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def client(ann) -> Client:
    signed_in = Client()
    signed_in.force_login(ann)
    return signed_in


def price(symbol: str, mark: str) -> None:
    LatestPrice.objects.update_or_create(
        venue="simulated",
        symbol=symbol,
        defaults={"mark_price": D(mark), "last_price": D(mark), "at": timezone.now()},
    )


def live_bot(owner: User, **fields: Any) -> models.Bot:
    bot = paper_bot(owner, **fields)
    account = ExchangeAccount.objects.create(owner=owner, name=bot.name, venue="binanceusdm")
    models.Bot.objects.filter(pk=bot.pk).update(
        mode=BotMode.LIVE, sim_account=None, exchange_account=account
    )
    return bot


def text_of(html: str) -> str:
    whole = html.replace('<span class="dec">', "")
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", whole))


def part(html: str, name: str) -> str:
    """The text of a live part of the dashboard."""
    found = re.search(rf'<(\w+) id="dashboard-{name}".*?</\1>', html, re.DOTALL)
    assert found is not None
    return text_of(found[0])


# --- what it shows -----------------------------------------------------------------------------------


def test_nobody_is_asked_to_sign_in(db):
    for name in ("dashboard", "bots", "new_bot", "halt", "resume", "equity_table"):
        answer = Client().get(reverse(name))

        assert answer.status_code == 302
        assert answer["Location"].startswith(reverse("account_login"))


def test_without_a_bot_it_says_what_to_do_next(client):
    html = client.get("/").content.decode()

    assert "No bot yet" in html and f'href="{reverse("new_bot")}"' in html
    assert "data-live" not in html


def test_figures_of_the_page_agree_with_each_other(client, ann):
    bot = paper_bot(ann, name="first")
    second = paper_bot(ann, name="second")
    hold(bot, [(SYMBOL, "2", "300")])
    hold(second, [(OTHER, "-3", "150")])
    price(SYMBOL, "160.005")
    price(OTHER, "45")

    answer = client.get("/")

    html = answer.content.decode()
    assert "20,035.01 USDT" in part(html, "totals")  # 20.01 and 15 are open
    assert "2 positions" in part(html, "totals")
    held = [shown.one.held.unrealized_pnl for shown in answer.context["positions"]]
    assert sum(held) == answer.context["total"].unrealized_pnl == D("35.01")
    assert answer.context["total"].equity == sum(line.equity for line in answer.context["lines"])


def test_the_sum_of_the_day_agrees_to_the_cent(client, ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "1", "100")])
    price(SYMBOL, "100.005")
    now = timezone.now()
    models.LedgerEntry.objects.bulk_create(
        models.LedgerEntry(bot=bot, sequence=9 + n, at=now, kind=kind, amount=D(amount), key=str(n))
        for n, (kind, amount) in enumerate(
            (("REALIZED_PNL", "1.005"), ("FEE", "-0.335"), ("FUNDING", "0.005"))
        )
    )
    models.BotState.objects.filter(bot=bot).update(
        opened_at=now - timedelta(days=2), equity_at=now, day_open_nav=D("9998.333")
    )

    html = client.get("/").content.decode()

    (terms,) = re.findall(r'<ul class="sum".*?</ul>', html, re.DOTALL)
    shown = [
        D(one.replace("−", "-").replace(",", "")) for one in re.findall(r">([+−]?[\d.,]+)<", terms)
    ]
    assert sum(shown[:-1]) == shown[-1] == D("1.67")
    assert "+1.67" in part(html, "totals")


def test_paper_and_live_and_currencies_are_kept_apart(client, ann):
    paper_bot(ann, name="paper one")
    paper_bot(ann, name="paper two", currency="USDC", capital=D(300))
    live_bot(ann, name="real", capital=D(70))

    real = client.get("/").content.decode()
    usdc = client.get("/?money=paper-usdc").content.decode()

    assert "70.00 USDT" in part(real, "totals")
    assert "300.00 USDC" in part(usdc, "totals")
    for html in (real, usdc):
        assert re.findall(r'href="\?money=([a-z-]+)"', html) == [
            "live-usdt", "paper-usdc", "paper-usdt"
        ]  # fmt: skip
        assert re.findall(r'<tr role="row" class="group">.*?>(LIVE|PAPER)<', html) == [
            "LIVE",
            "PAPER",
            "PAPER",
        ]
    assert 'data-live="dashboard:paper-usdc"' in usdc and 'data-live="dashboard"' in real


def test_days_and_positions_of_one_money_are_its_own(client, ann):
    paper, real = paper_bot(ann, name="paper"), live_bot(ann, name="real", capital=D(70))
    hold(paper, [(SYMBOL, "1", "100")])
    hold(real, [(OTHER, "1", "10")])
    price(SYMBOL, "103")
    price(OTHER, "12")
    fill(paper, 2)

    shown = client.get("/?money=paper-usdt").context
    real_shown = client.get("/").context

    assert [one.one.bot for one in shown["positions"]] == ["paper"]
    assert (shown["today"].net, real_shown["today"].net) == (3, 2)
    assert {one.bot for one in shown["stories"]} == {"paper"} and not real_shown["stories"]
    said = [(one.title, one.mode) for one in real_shown["matters"]]
    assert said == [
        (one.title, one.mode) for one in shown["matters"]
    ]  # a problem is one wherever you look
    assert {mode for _, mode in said} == {"LIVE", "PAPER"}


@pytest.mark.parametrize("money", ["paper-eur", "live-usdt", "nonsense", "paper"])
def test_money_that_no_bot_has_is_not_there(client, ann, money):
    paper_bot(ann)

    assert client.get(f"/?money={money}").status_code == 404
    assert client.get(f"/live/dashboard/{money}/").status_code == 404


def test_a_missing_price_is_said(client, ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "2", "300")], unrealized="-7")

    html = client.get("/").content.decode()

    assert "a price is missing, as of" in part(html, "totals")
    assert 'id="dashboard-totals" class="card stale"' in html
    assert "9,993.00" in part(html, "totals")


def test_what_needs_a_look(client, ann):
    fine, held_back, halted = (paper_bot(ann, name=name) for name in ("fine", "low", "out"))
    models.BotState.objects.filter(bot=held_back).update(trading_state="REDUCING")
    models.BotState.objects.filter(bot=halted).update(trading_state="HALTED")
    hold(fine, [(SYMBOL, "1", "100")])
    price(SYMBOL, "100")
    models.TradingHalt.objects.create(
        scope="BOT",
        bot=fine,
        halted_by="ann@example.org",
        halted_at=timezone.now(),
        reason="looks odd",
    )

    said = part(client.get("/").content.decode(), "matters")

    for wanted in (
        "fine halted by ann@example.org", "looks odd", "low may only close", "out has halted itself",
        "fine: the stop of TEST is not known to rest",
    ):  # fmt: skip
        assert wanted in said


def test_a_stop_that_rests_needs_no_look(client, ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "1", "100")])
    row_of("simulated", instrument(), timezone.now()).save()
    price(SYMBOL, "100")
    stop = order_row(bot, 1, "ACCEPTED")
    stop.purpose, stop.reduce_only = "STOP", True
    stop.save()

    html = client.get("/").content.decode()

    assert 'id="dashboard-matters"' in html and "Needs a look" in html
    assert re.search(r'id="dashboard-matters"[^>]* hidden>', html)
    assert "every one has its stop resting at the venue" in part(html, "positions")


# --- shares of limits ----------------------------------------------------------------------------------


def test_exposure_is_measured_against_all_limits_together(ann):
    for name, profile in (("a", "conservative"), ("b", "aggressive")):
        hold(paper_bot(ann, name=name, profile=profile), [(SYMBOL, "10", "1000")])
    price(SYMBOL, "100")
    found = queries.portfolio(ann)

    use: Any = exposure_of(found.bots, found.totals[0])

    assert (use.now, use.of, use.used) == (D("0.1"), D("2.5"), D("0.04"))  # 1 and 4 times


def test_a_limit_that_one_bot_does_not_have_is_no_share(ann):
    hold(paper_bot(ann, profile="raw"), [(SYMBOL, "10", "1000")])
    paper_bot(ann)
    price(SYMBOL, "100")
    found = queries.portfolio(ann)

    assert exposure_of(found.bots, found.totals[0]).used == 0
    use = drawdown_of(found.bots)
    assert use is not None and use.of == D("0.15")


def test_the_deepest_drawdown_is_the_one_nearest_to_its_limit(ann):
    for name, profile, peak in (
        ("careful", "conservative", 10_500),
        ("bold", "aggressive", 11_000),
    ):
        models.BotState.objects.filter(bot=paper_bot(ann, name=name, profile=profile)).update(
            peak_nav=D(peak)
        )

    use = drawdown_of(queries.bots_of(ann))

    assert use is not None and (use.bot, use.of, use.soft) == ("careful", D("0.08"), D("0.5"))
    assert drawdown_of(()) is None


def test_budgets_count_for_who_asks_a_model(ann):
    model = ModelProfile.objects.create(owner=ann, name="m", provider=Provider.SCRIPTED)
    paper_bot(ann, name="asks", trader="", model_profile=model)
    paper_bot(ann, name="does not")

    use = model_cost_of(queries.bots_of(ann), queries.Today(model=D("-1.25")))

    assert (use.now, use.of, use.used) == (D("1.25"), D(5), D("0.25"))


@pytest.mark.parametrize(
    ("values", "points"),
    [([], ""), ([None, D(1)], ""), ([D(1), D(1)], "0,12.0 100,12.0"),
     ([None, D(1), D(3), D(2)], "0,22.0 50,2.0 100,12.0")],
)  # fmt: skip
def test_small_lines(values, points):
    assert spark(values) == points


# --- what moves ----------------------------------------------------------------------------------------


def test_the_page_shows_the_bytes_that_the_socket_sends(client, ann):
    bot = paper_bot(ann, name="first")
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "160")
    fill(bot, 4)

    with time_machine.travel(timezone.now(), tick=False):  # small lines move on with each minute
        html = client.get("/").content.decode()
        polled = client.get("/live/dashboard/").content.decode()
        parts = rendered(topic_of("dashboard"), page.find(ann))

    assert set(parts) == {f"dashboard-{name}" for name in page.PARTS}
    for bytes_of_part in parts.values():
        assert bytes_of_part in polled
        assert bytes_of_part in html


def test_parts_know_nothing_of_who_looks(ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "160")

    shown = "".join(rendered(topic_of("dashboard"), page.find(ann)).values())

    for forbidden in ("csrf", "<form", "style=", "<script", "onclick", ann.email):
        assert forbidden not in shown


def test_parts_stay_the_same_while_nothing_happens(ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "160")
    fill(bot, 3)
    topic = topic_of("dashboard")

    with time_machine.travel(timezone.now(), tick=False) as now:
        first = rendered(topic, page.find(ann))
        now.shift(timedelta(milliseconds=1))
        assert rendered(topic, page.find(ann)) == first


def test_nobody_has_no_dashboard(ann):
    from django.contrib.auth.models import AnonymousUser

    with pytest.raises(NotYours):
        page.find(AnonymousUser())
    assert Client().get("/live/dashboard/").status_code == 404


def test_the_dashboard_follows_the_users_own_bots(ann):
    mine = paper_bot(ann)
    paper_bot(ann, status=BotStatus.ARCHIVED)
    paper_bot(User.objects.create_user("bob@example.org"))

    assert page.bots_of(page.find(ann)) == (mine.pk,)


# --- the list of bots ----------------------------------------------------------------------------------


def test_bots_with_their_money_and_their_last_decision(client, ann):
    bot = paper_bot(ann, name="first")
    live_bot(ann, name="real", capital=D(70))
    paper_bot(ann, name="gone", status=BotStatus.ARCHIVED)
    cycle_row(bot, 9, "DECIDED").save()

    html = client.get("/bots/").content.decode()

    said = text_of(html)
    assert "1 live bot LIVE 70.00 USDT together" in said
    assert "1 paper bot PAPER 10,000.00 USDT together" in said
    assert "Held: nothing to do" in said and "None yet" in said
    assert "gone" not in said
    archived = text_of(client.get("/bots/?archived").content.decode())
    assert "gone" in archived and "first" not in archived.split("Archived bots", 2)[-1]


def test_a_list_without_bots_says_what_to_do_next(client):
    assert "Make the first bot" in client.get("/bots/").content.decode()
    assert "No bot was archived" in client.get("/bots/?archived").content.decode()


# --- how often the database is asked ---------------------------------------------------------------------


def asked(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as caught:
        assert client.get(path).status_code == 200
    return len(caught)


def test_thirty_bots_cost_as_many_queries_as_one(client, ann):
    def with_everything(name: str) -> None:
        bot = paper_bot(ann, name=name)
        hold(bot, [(SYMBOL, "2", "300"), (OTHER, "-1", "50")])
        fill(bot, 3)
        models.TradingCycle.objects.filter(bot=bot).update(order_ids=["x"])

    price(SYMBOL, "160")
    price(OTHER, "45")
    row_of("simulated", instrument(), timezone.now()).save()
    with_everything("0")
    paths = ("/", "/bots/", "/live/dashboard/", "/equity/?of=each", "/equity.json", "/halt/")
    few = {path: asked(client, path) for path in paths}

    for number in range(1, 30):
        with_everything(str(number))

    assert {path: asked(client, path) for path in paths} == few
    assert few["/"] <= 22 and few["/bots/"] <= 12


def test_what_the_docstring_says_of_queries(ann):
    bot = paper_bot(ann)
    hold(bot, [(SYMBOL, "2", "300")])
    price(SYMBOL, "160")
    fill(bot, 3)
    models.TradingCycle.objects.update(order_ids=["x"])

    with CaptureQueriesContext(connection) as caught:
        page_context("dashboard", page.find(ann))

    assert len(caught) == 16


# --- real bots -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_bots_that_really_traded():
    until = datetime(2026, 11, 27, 11, 20, tzinfo=UTC)
    with time_machine.travel(until, tick=False):
        user = User.objects.create_user("ann@example.org")
        seed(user, until=until, steps=6)
        signed_in = Client()
        signed_in.force_login(user)
        answer = signed_in.get("/")
        ids = [line.id for line in answer.context["lines"]]
        told = feed(queries.doings_of(ids))

    html = answer.content.decode()
    opened = next(story for story in told if story.act.startswith("opened a long of"))
    assert opened.cycle_id is not None
    held_to = [said.code for story in told for said in story.verdicts]
    assert "MAX_LEVERAGE wanted=25 allowed=10" in held_to
    assert "every one has its stop resting at the venue" in part(html, "positions")
    won = sum(line.equity - line.paid_in for line in answer.context["lines"])
    assert answer.context["today"].net == won == sum(value for _, value in answer.context["terms"])
