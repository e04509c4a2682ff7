"""The dashboard, a new bot and the kill switch in a real browser, with script and without."""

import re
from decimal import Decimal as D

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, expect

from bots import models, services
from market.models import LatestPrice
from tests.bots.bulk_rows import cycle_row, hold, point_row
from tests.bots.paper_desks import paper_bot
from tests.browsers import Server, apart, browsing, watched
from tests.live.stage import cookie_of
from tradingagent.accounts.models import User

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

BTC = "BTC/USDT:USDT"
PAGES = (
    "/",
    "/?of=each&range=7d",
    "/bots/",
    "/bots/?archived",
    "/bots/new/",
    "/halt/",
    "/resume/",
    "/equity/?of=each",
)


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def ann() -> User:
    return User.objects.create_user("ann@example.org")


@pytest.fixture
def bot(ann) -> models.Bot:
    bot = paper_bot(ann, name="Tidewater", symbols=(BTC,))
    hold(bot, [(BTC, "0.1", "4200")])
    price(42_100)
    models.EquityPoint.objects.bulk_create(point_row(bot, number) for number in range(30))
    cycle_row(bot, 3, "DECIDED").save()
    return bot


def price(value: int) -> None:
    LatestPrice.objects.update_or_create(
        venue="simulated", symbol=BTC,
        defaults={"mark_price": D(value), "last_price": D(value), "at": timezone.now()},
    )  # fmt: skip


@pytest.fixture
def browse(ann, server):
    """A browser context of these options, signed in."""
    cookie = cookie_of(ann)[1].decode().removeprefix("sessionid=")
    opened = []

    def browse(**options) -> BrowserContext:
        opened.append(browsing(server, cookie, **options))
        context = opened[-1].__enter__()
        context.set_default_timeout(8000)
        return context

    yield browse
    for one in reversed(opened):
        one.__exit__(None, None, None)


def shown(context: BrowserContext, path: str) -> tuple[Page, list[str]]:
    page, complaints = watched(context)
    page.goto(path)
    return page, complaints


def test_a_new_price_moves_figures_without_a_reload(bot, browse, server) -> None:
    asked: list[str] = []
    context = browse()
    page, complaints = watched(context)
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/")
    expect(page.locator("#curves-chart canvas")).to_be_visible()
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    expect(page.locator("#dashboard-totals .big")).to_contain_text("10,010.00")

    apart(price, 43_000)

    expect(page.locator("#dashboard-totals .big")).to_contain_text("10,100.00")
    expect(page.locator("#dashboard-positions")).to_contain_text("43,000")
    expect(page.locator("#dashboard-bots")).to_contain_text("10,100.00")
    expect(page.locator("#curves-chart")).to_have_attribute(
        "aria-label", re.compile(r"10,100\.00 USDT")
    )
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1
    hosts = {url.split("/")[2] for url in asked if url.startswith(("http", "ws"))}
    assert hosts == {server.url().split("/")[2]}
    assert complaints == []


def test_another_bot_appears_by_itself(ann, bot, browse) -> None:
    page, complaints = shown(browse(), "/")
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")

    apart(lambda: services.start_bot(paper_bot(ann, name="Kestrel", status="DRAFT").pk, by=ann))

    expect(page.locator("#dashboard-bots")).to_contain_text("Kestrel")
    assert complaints == []


def test_a_form_is_checked_while_it_is_filled_in(ann, browse) -> None:
    page, complaints = shown(browse(), "/bots/new/")
    total = page.locator("#new-bot-sum")
    expect(total).to_contain_text("follows the rule EMA trend")
    expect(page.locator("#id_symbols")).to_be_hidden()
    expect(page.get_by_label("RSI over")).to_be_hidden()

    page.get_by_label("RSI mean reversion").first.check()
    expect(total).to_contain_text("follows the rule RSI mean reversion")
    expect(page.get_by_label("RSI over")).to_be_visible()
    expect(page.get_by_label("Fast average")).to_be_hidden()
    page.get_by_label("Paper capital").fill("ten")
    page.get_by_label("Name").focus()
    expect(page.locator("#err-capital")).to_have_text("An amount, such as 10,000.")
    expect(total).to_contain_text("Something is still missing")
    page.get_by_label("Paper capital").fill("5,000")
    page.get_by_label("Name").fill("Knot")
    page.get_by_label("Paper capital").focus()
    expect(page.locator("#err-capital")).to_be_hidden()
    expect(total).to_contain_text("Knot follows the rule RSI mean reversion")
    expect(total).to_contain_text("5,000 of paper money")
    page.get_by_label("Market").select_option("okx")
    expect(page.locator("#id_symbols")).to_be_visible()
    expect(page.locator("#err-symbols")).to_contain_text("Name at least one")
    page.get_by_label("Market").select_option("simulated")
    expect(total).to_contain_text("the simulated market")

    page.get_by_role("button", name="Make the bot").click()

    expect(page.locator("h1")).to_have_text("Knot")
    expect(page.locator("#toasts")).to_contain_text("Knot is ready. Start it when you are.")
    assert complaints == []


def test_a_change_that_meets_the_answer_to_another_is_checked_too(ann, browse) -> None:
    page, complaints = shown(browse(), "/bots/new/")
    held: list[Route] = []

    def hold(route: Route) -> None:  # Playwright takes no method of a built-in type
        held.append(route)

    page.route("**/bots/new/check/", hold, times=1)
    page.get_by_label("Paper capital").fill("ten")
    page.get_by_label("Name").focus()
    while not held:
        page.wait_for_timeout(20)

    page.get_by_label("Market").select_option("okx")
    held[0].continue_()

    expect(page.locator("#err-symbols")).to_contain_text("Name at least one")
    assert complaints == []


def test_the_kill_switch_opens_a_sheet_whose_focus_is_on_the_way_out(bot, browse) -> None:
    page, complaints = shown(browse(), "/")

    page.get_by_role("link", name="Halt all").click()

    sheet = page.locator("#halt")
    expect(sheet).to_contain_text("1 paper position worth 4,210.00 USDT")
    way_out = sheet.get_by_role("button", name="Keep trading")
    expect(way_out).to_be_focused()
    way_out.click()
    expect(sheet).to_be_hidden()
    page.get_by_role("link", name="Halt all").click()
    sheet.get_by_label("Reason").fill("exchange notice")
    sheet.get_by_role("button", name="Halt", exact=True).click()
    expect(page.locator("#toasts")).to_contain_text("Halted: 1 bot.")
    expect(page.locator("#halt-in-force")).to_contain_text("exchange notice")
    expect(page.locator("#dashboard-matters")).to_contain_text("All bots halted by ann@example.org")
    page.locator("#halt-in-force").get_by_role("link", name="Resume").click()
    sheet.get_by_role("button", name="Resume").click()
    expect(page.locator("#halt-in-force")).to_have_count(0)
    assert complaints == []


def test_reading_and_every_control_work_without_script(bot, browse) -> None:
    page, _ = shown(browse(java_script_enabled=False), "/")
    expect(page.locator("#dashboard-totals")).to_contain_text("10,010.00")
    page.locator(".chart-note a").click()
    expect(page.locator("tbody")).to_contain_text("10,010.00")

    page.goto("/")
    page.get_by_role("link", name="Halt all").click()
    page.get_by_role("button", name="Halt and close 1 position").click()
    expect(page.locator("#toasts")).to_contain_text(
        "Halted: 1 bot. What 1 of them held is being closed."
    )
    page.goto("/bots/new/")
    page.get_by_label("Flat").check()
    page.get_by_label("Name").fill("Tidewater")
    page.get_by_role("button", name="Make the bot").click()
    expect(page.locator("#err-name")).to_have_text("There is a bot 'Tidewater' already.")
    page.get_by_label("Name").fill("Knot")
    page.get_by_role("button", name="Make the bot").click()
    expect(page.locator("h1")).to_have_text("Knot")
    assert apart(lambda: models.Bot.objects.get(name="Knot").trader) == "flat"


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_page_is_wider_than_a_phone(bot, browse, theme) -> None:
    page, complaints = watched(
        browse(viewport={"width": 375, "height": 800}, has_touch=True, color_scheme=theme)
    )

    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 375, path

    assert complaints == []
