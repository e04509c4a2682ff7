"""A bot's page and a decision's in a real browser: charts are drawn and redrawn, figures and buttons follow."""

import re
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from bots import models, services
from market.models import LatestPrice
from tests.bots.bulk_rows import cycle_row, hold
from tests.bots.paper_desks import paper_bot
from tests.browsers import Server, apart, browsing, watched
from tests.live.stage import cookie_of, tell

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BTC = "BTC/USDT:USDT"
DRAWN = 12_000
"""The first look at the simulated market makes its days (ms)."""
PICTURE = "document.querySelector('#{} canvas').toDataURL()"


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def bot() -> models.Bot:
    bot = paper_bot(name="Tidewater", symbols=(BTC,), timeframe_seconds=180)
    hold(bot, [(BTC, "0.1", "4200")])
    now = timezone.now()
    price(42_100)
    models.EquityPoint.objects.bulk_create(
        models.EquityPoint(bot=bot, at=now - age * timedelta(minutes=1), equity=D(10_000 + age))
        for age in range(1, 50)  # none now: that is what the latest price makes
    )
    models.Fill.objects.create(
        bot=bot, sequence=1, symbol=BTC, venue_trade_id="1", side="BUY", quantity=D("0.1"),
        price=D(42_000), fee=D(1), fee_currency="USDT", liquidity="TAKER", reason="FOREIGN",
        at=now - timedelta(hours=3),
    )  # fmt: skip
    return bot


def price(value: int) -> None:
    LatestPrice.objects.update_or_create(
        venue="simulated", symbol=BTC,
        defaults={"mark_price": D(value), "last_price": D(value), "at": timezone.now()},
    )  # fmt: skip


@pytest.fixture
def browse(bot, server):
    """A browser context of these options, signed in."""
    cookie = cookie_of(bot.owner)[1].decode().removeprefix("sessionid=")
    opened = []

    def browse(**options) -> BrowserContext:
        opened.append(browsing(server, cookie, **options))
        context = opened[-1].__enter__()
        context.set_default_timeout(DRAWN)
        return context

    yield browse
    for one in reversed(opened):
        one.__exit__(None, None, None)


def shown(
    context: BrowserContext, bot: models.Bot, address: str = ""
) -> tuple[Page, list[str], list[str]]:
    """The bot's page once its charts are drawn; what the console complains of, and what was requested."""
    page, complaints = watched(context)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{reverse('bot', args=[bot.pk])}{address}")
    expect(page.locator("#candle-chart canvas").first).to_be_visible(timeout=DRAWN)
    expect(page.locator("#equity-chart canvas")).to_be_visible(timeout=DRAWN)
    return page, complaints, asked


def of(asked: list[str], name: str) -> list[str]:
    return [url for url in asked if f"/{name}.json" in url]


def test_charts_are_drawn_and_say_what_they_show(bot, browse, server) -> None:
    page, complaints, asked = shown(browse(viewport={"width": 1440, "height": 900}), bot)

    expect(page.locator("#candle-chart")).to_have_attribute(
        "aria-label", re.compile(r"^BTC/USDT:USDT: \d+ candles, the last price is [\d,.]+$")
    )
    expect(page.locator("#equity-chart")).to_have_attribute(
        "aria-label",
        re.compile(r"^Equity of Tidewater: from 10,049\.00 to 10,010\.00 USDT, lowest 10,001\.00"),
    )
    expect(page.locator("#levels")).to_contain_text("long from 42,000")
    expect(page.locator("#ohlc")).to_have_text(
        re.compile(r"O [\d,.]+ H [\d,.]+ L [\d,.]+ C [\d,.]+")
    )
    expect(page.locator(".chart-note")).to_have_count(0)
    expect(page.locator("time[data-countdown]")).to_have_text(re.compile(r"^\d+:\d\d$"))
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {
        server.url().split("/")[2]
    }
    assert complaints == []


def test_charts_take_on_another_theme(bot, browse) -> None:
    page, complaints, _ = shown(browse(viewport={"width": 1600, "height": 900}), bot)
    before = [page.evaluate(PICTURE.format(name)) for name in ("candle-chart", "equity-chart")]

    page.locator("label[for=theme-dark]").click()
    page.locator("label[for=theme-light]").click()
    page.locator("label[for=theme-dark]").click()
    page.wait_for_timeout(300)

    after = [page.evaluate(PICTURE.format(name)) for name in ("candle-chart", "equity-chart")]
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert complaints == []


def test_a_new_price_moves_figures_and_charts_without_a_reload(bot, browse) -> None:
    page, complaints, asked = shown(browse(), bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    first = len(of(asked, "candles"))

    apart(price, 43_000)

    expect(page.locator("#bot-stats .big")).to_contain_text("10,100.00")
    expect(
        page.locator(f"#position-{BTC.replace('/', '').replace(':', '').lower()}")
    ).to_contain_text("43,000")
    expect(page.locator("#equity-chart")).to_have_attribute(
        "aria-label", re.compile("to 10,100.00 USDT")
    )
    page.wait_for_function(
        "performance.getEntriesByType('resource').filter((one) => one.name.includes('candles.json')).length > 1"
    )
    again = of(asked, "candles")[first:]
    assert again and all("since=" in url for url in again)
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1
    assert complaints == []


def test_buttons_follow_what_others_do(bot, browse) -> None:
    page, complaints, _ = shown(browse(), bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")

    apart(services.pause_bot, bot.pk, by="somebody")

    expect(page.locator("#bot-state")).to_have_text("Paused")
    expect(page.locator("#bot-controls")).to_contain_text("Start again")
    expect(page.locator("#bot-controls")).not_to_contain_text("Run now")
    page.locator("#bot-controls button", has_text="Start again").click()
    expect(page.locator("#bot-state")).to_have_text("Active")
    assert complaints == []


def test_a_change_by_others_never_takes_the_page_from_its_reader(bot, browse) -> None:
    """A form may be on its way when its own effect comes by the socket: a page that loads itself again then
    takes the answer from it."""
    models.Position.objects.all().delete()
    models.Bot.objects.update(status="DRAFT")
    page, complaints, _ = shown(browse(), bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    page.evaluate("window.stayed = true")

    apart(services.halt, by="somebody", bot_id=bot.pk)

    expect(page.locator("#bot-controls")).to_contain_text("Resume")
    expect(page.locator("#start")).to_be_visible()
    apart(services.resume, by="somebody", bot_id=bot.pk)
    apart(services.start_bot, bot.pk, by="somebody")
    expect(page.locator("#start")).to_be_hidden()
    expect(page.locator("#bot-controls")).to_contain_text("Pause")
    apart(hold_also, bot)
    expect(page.locator("#bot-controls")).to_contain_text("Flatten")
    assert page.evaluate("window.stayed")
    assert complaints == []


def test_counts_of_tabs_follow(bot, browse) -> None:
    page, _, _ = shown(browse(), bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    expect(page.locator("[data-count=positions]")).to_have_text("1")

    apart(hold_also, bot)

    expect(page.locator("[data-count=positions]")).to_have_text("2")


def hold_also(bot: models.Bot) -> None:
    models.Position.objects.create(
        bot=bot, symbol="ETH/USDT:USDT", base="ETH", contract_size=D(1), quantity=D(1),
        entry_cost=D(1700), margin=D(340), leverage=D(5), opened_at=timezone.now(),
    )  # fmt: skip
    tell(bot)


def test_closing_asks_in_a_sheet(bot, browse) -> None:
    page, complaints, _ = shown(browse(), bot)

    page.locator("#bot-positions .act a").click()

    sheet = page.locator("#halt")
    expect(sheet).to_be_visible()
    expect(sheet).to_contain_text("Closes 0.1 BTC long")
    expect(sheet.locator("button", has_text="Keep it")).to_be_focused()
    sheet.locator("button", has_text="Keep it").click()
    expect(sheet).to_be_hidden()
    assert complaints == []


def test_a_silent_venue_is_said_and_what_was_drawn_stays(bot, browse) -> None:
    page, _, _ = shown(browse(), bot)
    silence = '{"problem": "simulated does not answer", "candles": [], "fills": [], "levels": []}'
    page.route(
        "**/candles.json*",
        lambda route: route.fulfill(status=503, content_type="application/json", body=silence),
    )
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")

    apart(price, 43_000)

    expect(page.locator("#candle-chart .chart-note")).to_have_text(
        "Simulated does not answer. The candles end where they were last seen."
    )
    expect(page.locator("#candle-chart canvas").first).to_be_visible()


def test_on_a_phone_nothing_is_wider_than_the_screen(bot, browse) -> None:
    phone = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True}
    page, complaints, asked = shown(browse(**phone), bot)

    assert all("count=60" in url for url in of(asked, "candles"))
    assert page.evaluate("document.scrollingElement.scrollWidth") == 375
    assert complaints == []


def test_without_script_there_are_tables_and_buttons(bot, browse) -> None:
    page, _ = watched(browse(java_script_enabled=False))
    page.goto(reverse("bot", args=[bot.pk]))

    page.locator("#candle-chart a").click()
    expect(page.locator("#books tbody tr")).to_have_count(60)
    page.locator("#equity-chart a").click()
    expect(page.locator("#books tbody tr")).to_have_count(49)
    page.locator("#bot-controls a", has_text="Pause").click()
    page.locator("#halt-form").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#bot-state")).to_have_text("Paused")
    expect(page.locator("#toasts")).to_contain_text("Tidewater is paused")


def test_a_decision_prints_whole(bot, browse) -> None:
    cycle = cycle_row(bot, 1, "DECIDED")
    apart(cycle.save)
    page, complaints = watched(browse())
    page.goto(reverse("decision", args=[bot.pk, cycle.pk]))
    page.evaluate("""() => document.getElementById('record').innerHTML =
        '<details class="fold"><summary>Full prompt</summary><pre class="raw">all of it</pre></details>'""")
    expect(page.locator("pre")).to_be_hidden()

    page.emulate_media(media="print")

    expect(page.locator("pre")).to_be_visible()
    expect(page.locator(".side")).to_be_hidden()
    expect(page.locator("#h-record")).to_be_visible()
    assert complaints == []
