"""A bot's page: it adds up, says what state the bot is in, is one's own, and costs the same however long it traded."""

import re
from datetime import timedelta
from decimal import Decimal as D
from types import SimpleNamespace
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from bots import models, runtime, services
from bots.domain.bot import BotStatus
from bots.live.topics import rendered, topic_of
from bots.pages import bot as page
from bots.pages.bot_books import TABS
from market.instrument_rows import row_of
from market.models import LatestPrice
from risk.domain import Code
from tests.bots.bulk_rows import BEGAN, MINUTE, cycle_row, fill, hold, order_row
from tests.bots.paper_desks import paper_bot
from tests.scenarios.tables import SYMBOL, instrument
from tests.web.test_charts_queries import Feed, fills
from tradingagent.accounts.models import User

STORED_TABS = [tab for tab in TABS if tab != "candles"]
"""Candles are asked of the venue."""
PARTS = [f"bot-{name}" for name in page.PARTS]


@pytest.fixture
def ann(db) -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bot(ann) -> models.Bot:
    row_of("simulated", instrument(), BEGAN).save()
    return paper_bot(ann, name="Tidewater")


@pytest.fixture
def shown(client, ann, bot):
    client.force_login(ann)

    def ask(address: str = "", status: int = 200) -> str:
        answer = client.get(f"{reverse('bot', args=[bot.pk])}{address}")
        assert answer.status_code == status
        return answer.content.decode()

    return ask


def priced(price: str, at=None) -> None:
    LatestPrice.objects.update_or_create(
        venue="simulated", symbol=SYMBOL,
        defaults={"mark_price": D(price), "last_price": D(price), "at": at or timezone.now()},
    )  # fmt: skip


def told(bot: models.Bot, **changes: Any) -> None:
    """Change the columns of the bot's row."""
    models.Bot.objects.filter(pk=bot.pk).update(**changes)


def part(html: str, name: str) -> str:
    """The text of a part from its root on."""
    return html[html.index(f'id="bot-{name}"') :]


def figures(html: str, css: str) -> list[D]:
    """The numbers of a list, in order."""
    found = re.findall(rf'<ul class="{css}[^>]*>(.*?)</ul>', html, re.DOTALL)[0]
    texts = re.findall(r"<b>(?:<span[^>]*>)?([^<]+)", found)
    return [D(text.replace("−", "-").replace(",", "")) for text in texts]


# --- it adds up --------------------------------------------------------------------------------------


def test_the_figures_are_those_of_the_ledger_at_the_latest_price(bot, shown):
    hold(bot, [(SYMBOL, "2", "200")])
    models.BotState.objects.filter(bot=bot).update(
        cash=D("9990.005"), realized_pnl=D("-7.333"), fees=D("2.662")
    )
    priced("104.337")

    html = shown()

    assert "9998.679" in part(html, "stats").split("\n")[2]  # 9990.005 + 2 × 104.337 − 200
    assert "9,998<span" in html
    terms = figures(part(html, "stats"), "sum")
    assert terms == [D("-7.33"), D("-2.66"), D(0), D("8.67"), D("-1.32")]
    assert sum(terms[:-1]) == terms[-1]


@pytest.mark.parametrize("cents", ["0.005", "0.009", "0.0149", "-0.005", "3.33333333"])
def test_every_sum_agrees_with_its_own_terms(bot, shown, cents):
    hold(bot, [(SYMBOL, "-3", "300")])
    each = D(cents)
    models.BotState.objects.filter(bot=bot).update(
        realized_pnl=each, fees=each, funding=each, adjustments=each, cash=D(10_000) + 2 * each
    )
    priced("100.111")
    html = shown("?tab=ledger")

    opened = part(html, "stats").split("<dt>Open PnL</dt>")[1]
    stat = re.search(r">([+−]?[\d,.]+)</span>", opened)[1]
    assert D(stat.replace("−", "-")) == figures(html, "sum")[-2]
    for css in ("sum", "sum first"):
        *terms, total = figures(html if css == "sum" else part_after_tabs(html), css)
        assert sum(terms) == total


def part_after_tabs(html: str) -> str:
    return html[html.index('id="books"') :]


def test_equity_is_what_cash_and_prices_make_it(bot, shown):
    hold(bot, [(SYMBOL, "2", "200")])
    at = timezone.now() - timedelta(minutes=1)
    priced("110", at)

    standing = page.moving(bot)["standing"]

    assert standing.worth.equity == standing.state.cash + 20
    assert standing.worth.as_of == at
    assert standing.pnl == sum(value for _, value in page.terms(standing))


def test_without_a_price_the_last_mark_is_shown_and_said(bot, shown):
    hold(bot, [(SYMBOL, "2", "200")], unrealized="5")

    html = shown()

    assert "A price is missing" in part(html, "notices")
    assert "stale" in html[html.index('id="bot-stats"') :].split(">")[0]
    assert "10005.0" in part(html, "stats").split("\n")[2]


# --- what is held ------------------------------------------------------------------------------------


def test_a_position_with_its_plan_and_its_way_out(bot, shown):
    hold(bot, [(SYMBOL, "-2", "300")])
    priced("140")

    html = part(shown(), "positions")

    for words in ("SHORT 5×", "from 150.0", "140.0", "+20.00", "below 1"):
        assert words in html
    assert "The stop is not resting at the venue." in html
    assert f"{reverse('close_position', args=[bot.pk])}?symbol={SYMBOL}" in html


def test_a_stop_that_rests_is_not_missed(bot, shown):
    hold(bot, [(SYMBOL, "-2", "300")])
    stop = order_row(bot, 1, "ACCEPTED")
    stop.purpose, stop.trigger_price, stop.order_type = "STOP", D(160), "STOP_MARKET"
    stop.save()
    priced("150")

    assert "not resting" not in shown()
    assert "+6.7%" in part(shown("?tab=orders"), "orders")
    assert "Resting" in shown("?tab=orders")


def test_closing_asks_first_in_numbers(client, bot, shown):
    hold(bot, [(SYMBOL, "-2", "300")])
    priced("140")
    href = f"{reverse('close_position', args=[bot.pk])}?symbol={SYMBOL}"
    shown()

    html = client.get(href).content.decode()

    assert "Closes 2 TEST short, worth about 280.00 USDT" in html
    assert "+20.00 USDT of open profit" in html
    gone = client.get(href.replace(SYMBOL, "GONE/USDT:USDT")).content.decode()
    assert "Nothing is held of GONE/USDT:USDT now." in gone
    assert models.ManualAction.objects.count() == 0


# --- states ------------------------------------------------------------------------------------------


def controls(html: str) -> list[str]:
    inner = html[html.index('id="bot-controls"') :].split("</section>")[0]
    return [text.strip() for text in re.findall(r"</svg>([^<]+)</(?:a|button)>", inner)]


def test_a_draft_says_what_comes_next(bot, shown):
    told(bot, status=BotStatus.DRAFT)
    html = shown()

    assert "Tidewater is ready" in html
    assert f'action="{reverse("start_bot", args=[bot.pk])}"' in html
    assert controls(html) == ["Archive"]
    assert "Not started yet" in part(html, "status")


def test_its_buttons_come_alone_and_leave_the_message_to_the_page(client, bot, shown):
    client.post(reverse("pause_bot", args=[bot.pk]))

    html = client.get(reverse("bot_controls", args=[bot.pk])).content.decode()

    assert controls(html) == ["Start again", "Archive"]
    assert re.findall(r' id="([a-z-]+)"', html) == ["bot-controls", "start"]
    assert "csrfmiddlewaretoken" in html
    assert "Tidewater is paused" in shown()


def test_an_active_one_says_when_it_decides_next(bot, shown):
    html = shown()

    assert controls(html) == ["Run now", "Pause", "Halt bot"]
    due = re.findall(r'<time class="strong" datetime="([^"]+)" data-countdown>', html)
    assert len(due) == 1
    assert "Tidewater is ready" not in html


def test_what_may_still_fill_can_be_closed(bot, shown):
    order_row(bot, 1, "ACCEPTED").save()

    assert controls(shown()) == ["Run now", "Pause", "Flatten", "Halt bot"]


def test_a_paused_one_can_be_started_again(bot, shown):
    told(bot, status=BotStatus.PAUSED)
    html = shown()

    assert controls(html) == ["Start again", "Archive"]
    assert "It opens nothing; stops and targets still rest." in html


def test_an_archived_one_offers_nothing(bot, shown):
    told(bot, status=BotStatus.ARCHIVED)

    assert controls(shown()) == []


@pytest.mark.parametrize(
    ("scope", "words"),
    [("BOT", "this bot"), ("USER", "all of its owner's bots"), ("ALL", "everyone")],
)
def test_a_halted_one_says_who_why_and_when(ann, bot, shown, scope, words):
    services.halt(
        by="ops@example.org", reason="exchange <notice>",
        bot_id=bot.pk if scope == "BOT" else None, user=ann if scope == "USER" else None,
    )  # fmt: skip
    html = part(shown(), "notices").split("</ul>")[0]

    assert "ops@example.org" in html and "exchange &lt;notice&gt;" in html
    assert words.replace("'", "&#x27;") in html or words in html
    assert controls(shown())[-1] == "Resume"
    assert "Halted" in shown("?tab=halts")


def test_anothers_halt_is_none_of_its(bot, shown):
    other = paper_bot(name="other")
    services.halt(by="me", bot_id=other.pk)

    assert "hidden" in part(shown(), "notices").split(">")[0]
    assert "Never halted" in shown("?tab=halts")


def test_breakers_are_said_in_words_beside_their_code(bot, shown, monkeypatch):
    from bots.domain import stored_book
    from bots.domain.book import Book
    from risk.domain import BreakerState, TradingState

    breakers = BreakerState(
        state=TradingState.HALTED, reasons=frozenset({Code.HARD_DRAWDOWN, Code.LOSS_STREAK})
    )
    text = stored_book.book_text(Book(cash=bot.capital, breakers=breakers))
    models.BotState.objects.filter(bot=bot).update(book=text, trading_state="HALTED")
    html = shown()

    assert html.index('<code class="code">HARD_DRAWDOWN</code>') < html.index("LOSS_STREAK</code>")
    assert "until a person resumes it" in html
    assert controls(html)[-1] == "Resume"


def test_a_decision_under_way_is_said(bot, shown):
    running = cycle_row(bot, 1)
    running.status, running.ended_at, running.outcome = "RUNNING", None, None
    running.save()

    html = part(shown(), "status")

    assert "Deciding" in html and "data-since" in html
    assert "data-countdown" not in html
    assert "progressbar" not in html.split("</dl>")[0]  # a rule answers at once


def test_a_model_is_given_until_its_deadline(bot):
    began = timezone.now()
    activity: Any = SimpleNamespace(running=SimpleNamespace(started_at=began))
    asked: Any = SimpleNamespace(
        model_profile=SimpleNamespace(deadline_seconds=60), interval_seconds=180
    )

    assert page.span_of(asked, activity, None) == (began, began + MINUTE)
    idle: Any = SimpleNamespace(running=None)
    assert page.span_of(asked, idle, began) == (began - 3 * MINUTE, began)
    assert page.span_of(asked, idle, None) is None


def test_what_was_asked_and_is_not_done_yet_is_said(bot, shown):
    models.ManualAction.objects.create(
        bot=bot, kind="CLOSE", wanted={"symbol": SYMBOL}, request_id="a", requested_by="ann",
        requested_at=BEGAN, status="RUNNING", taken_at=BEGAN,
    )  # fmt: skip

    html = part(shown(), "notices")

    assert f"Closing {SYMBOL}" in html and "Its orders are on their way." in html


# --- addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", STORED_TABS)
def test_every_book_has_an_address(bot, shown, tab):
    assert 'aria-current="page"' in part_after_tabs(shown(f"?tab={tab}"))
    fill(bot, 3)
    assert 'aria-current="page"' in part_after_tabs(shown(f"?tab={tab}"))


def test_candles_as_a_table(bot, shown, monkeypatch):
    feed = Feed(700)
    monkeypatch.setattr(runtime, "open_feed", lambda bot: feed)

    html = part_after_tabs(shown("?tab=candles"))
    assert html.count("<tr") == 61
    assert "still open" in html

    feed.silent = True
    assert "The venue does not answer: the venue does not answer." in shown("?tab=candles")


@pytest.mark.parametrize(
    "address",
    ["?tab=x", "?symbol=NO/USDT:USDT", "?length=7m", "?range=2y", "?tab=trades&after=x",
     "?tab=ledger&after=-1", "?tab=decisions&after=1~2", "?tab=fills&after=~"],
)  # fmt: skip
def test_an_address_that_no_link_has_is_not_there(shown, address):
    shown(address, status=404)


@pytest.mark.parametrize("tab", ["trades", "decisions", "fills", "ledger"])
def test_older_rows_are_one_link_away_and_none_is_missed(bot, shown, tab):
    fill(bot, 60)
    fills(bot, 60)
    pages, address = [], f"?tab={tab}"
    while address:
        html = part_after_tabs(shown(address))
        pages.append(html)
        found = re.findall(r'href="(\?[^"]*after=[^"]*)"', html)
        address = found[0].replace("&amp;", "&").split("#")[0] if found else ""

    assert len(pages) == 3
    counts = [
        len(re.findall(r"<tr role=\"row\"(?! *><th role=\"columnheader)", html)) for html in pages
    ]
    if tab in ("trades", "fills"):
        assert sum(counts) == 60


def test_links_keep_what_else_was_chosen(bot, shown):
    html = shown(f"?tab=orders&range=7d&symbol={SYMBOL}")

    assert 'href="?tab=orders&amp;symbol=TEST%2FUSDT%3AUSDT&amp;range=1h#equity"' in html
    assert 'href="?tab=ledger&amp;symbol=TEST%2FUSDT%3AUSDT&amp;range=7d#books"' in html


def test_what_ended_without_a_decision_stands_among_the_decisions_once(bot, shown):
    fill(bot, 60)  # a cycle every half minute, a trade every minute
    pages, address = [], "?tab=decisions"
    while address:
        html = part_after_tabs(shown(address))
        pages.append(html)
        found = re.findall(r'href="(\?[^"]*after=[^"]*)"', html)
        address = found[0].replace("&amp;", "&").split("#")[0] if found else ""

    told = re.findall(r"Hit the target of TEST, \+0\.80</span>", "".join(pages))
    assert len(pages) == 3
    assert len(told) == 60


# --- whose it is, and what moves ---------------------------------------------------------------------


def test_another_users_bot_is_not_there(client, bot):
    client.force_login(User.objects.create_user("bob@example.org", is_superuser=True))

    for href in (
        reverse("bot", args=[bot.pk]),
        reverse("live_parts", args=["bot", bot.pk]),
        reverse("live_parts", args=["bot", "nonsense"]),
        f"{reverse('close_position', args=[bot.pk])}?symbol={SYMBOL}",
    ):
        assert client.get(href).status_code == 404


def test_nobody_is_asked_to_sign_in(client, bot):
    href = reverse("bot", args=[bot.pk])

    assert client.get(href).headers["Location"] == f"{reverse('account_login')}?next={href}"
    assert client.post(href).status_code == 405


@pytest.mark.parametrize("tab", ["positions", "orders", "trades"])
def test_page_and_socket_show_the_same(ann, bot, shown, tab):
    fill(bot, 9)
    hold(bot, [(SYMBOL, "2", "200")])
    priced("104")
    with time_machine.travel(timezone.now(), tick=False):  # no decision falls due between the two
        html = shown(f"?tab={tab}")
        parts = rendered(topic_of("bot"), page.find(ann, str(bot.pk)))

    assert list(parts) == PARTS
    here = [name for name in PARTS if f'id="{name}"' in html]
    assert len(here) == len(PARTS) - 2  # of the books, one is open
    for name in here:
        assert parts[name] in html


def test_what_moves_is_free_of_its_reader_and_of_the_time(ann, bot, shown):
    fill(bot, 9)
    hold(bot, [(SYMBOL, "2", "200")])
    priced("104")
    subject = page.find(ann, str(bot.pk))

    with time_machine.travel(timezone.now(), tick=False):  # no decision falls due between the two
        once, again = (rendered(topic_of("bot"), subject) for _ in range(2))

    assert once == again
    for html in once.values():
        assert not re.search(r"<form|csrf|<script|style=|ann@example", html)


def test_the_charts_are_told_when_something_changed(ann, bot):
    hold(bot, [(SYMBOL, "2", "200")])
    priced("104")
    versions = [page.moving(bot)["chart_version"]]
    priced("105", timezone.now() + timedelta(seconds=15))
    versions.append(page.moving(bot)["chart_version"])
    models.BotState.objects.filter(bot=bot).update(sequence=9)
    versions.append(page.moving(bot)["chart_version"])

    assert len(set(versions)) == 3
    assert page.moving(bot)["chart_version"] == versions[-1]


# --- cost --------------------------------------------------------------------------------------------


def counted(ask) -> int:
    with CaptureQueriesContext(connection) as caught:
        ask()
    return len(caught)


def test_the_number_of_queries_is_that_of_a_young_bot(bot, shown):
    def counts() -> dict[str, int]:
        models.TradingCycle.objects.filter(bot=bot).update(order_ids=["x"])
        return {tab: counted(lambda tab=tab: shown(f"?tab={tab}")) for tab in STORED_TABS}

    hold(bot, [(SYMBOL, "2", "200")])
    priced("104")
    fill(bot, 10)
    fills(bot, 10)
    young = counts()
    fill(bot, 990, 10)
    foreign_fills(bot, 990)

    assert counts() == young
    assert max(young.values()) <= 29  # of these the session, its user and the shell are six


def foreign_fills(bot: models.Bot, count: int) -> None:
    models.Fill.objects.bulk_create(
        models.Fill(
            bot=bot, order=None, sequence=place, symbol=SYMBOL, venue_trade_id=f"x{place}", side="BUY",
            quantity=D(1), price=D(100), fee=D("0.1"), fee_currency="USDT", liquidity="TAKER",
            reason="FOREIGN", at=BEGAN + place * MINUTE,
        )
        for place in range(count)
    )  # fmt: skip
