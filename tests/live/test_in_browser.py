"""What a reader sees of a page that moves, in a real browser."""

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import BrowserContext, Page, expect

from bots import models
from tests.bots.paper_desks import paper_bot
from tests.browsers import NETWORK_DOWN, Server, apart, browsing, watched
from tests.live.stage import cookie_of, gain, tell

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=20_000)
EVENTS = "window.told = []; document.addEventListener('live:part', (e) => told.push(e.detail.id))"


@pytest.fixture
def bot() -> models.Bot:
    return paper_bot(name="mine")


@pytest.fixture
def server(bot, tmp_path):
    server = Server(tmp_path, "tests.live.site_settings")
    yield server
    server.kill()


@pytest.fixture
def context(bot, server):
    cookie = cookie_of(bot.owner)[1].decode().removeprefix("sessionid=")
    with browsing(server, cookie) as context:
        context.set_default_timeout(8000)
        yield context


def opened(context: BrowserContext, bot: models.Bot) -> tuple[Page, list[str]]:
    page, complaints = watched(context)
    page.goto(f"/sample/{bot.pk}/")
    page.evaluate(EVENTS)
    return page, complaints


def test_a_page_moves_and_what_the_reader_does_stays(bot, context) -> None:
    page, complaints = opened(context, bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    page.locator("summary").click()
    page.locator("a", has_text="more").focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h2'))")
    page.evaluate("document.getElementById('drawn').append('by a script')")

    apart(tell, bot)
    expect(page.locator("#event-1")).to_have_class("arrive")
    apart(gain, bot, "10001")
    expect(page.locator("[data-figure]")).to_have_class("fresh flash-up")
    apart(gain, bot, "9000")
    expect(page.locator("[data-figure]")).to_have_class("fresh flash-down")
    expect(page.locator("[data-figure]")).to_have_text("9000")
    expect(page.locator("[data-figure]")).to_have_class("fresh")  # it tints once
    expect(page.locator("#event-1")).not_to_have_class("arrive")

    expect(page.locator("details")).to_have_attribute("open", "")
    expect(page.locator("a", has_text="more")).to_be_focused()
    assert page.evaluate("getSelection().toString()") == "mine"
    expect(page.locator("#drawn")).to_have_text("by a script")
    assert set(page.evaluate("told")) == {"sample-totals", "sample-events"}
    shown = page.locator("#sample-totals time").inner_text()
    assert shown != page.locator("#sample-totals time").get_attribute("datetime")[11:19]  # Tokyo's
    assert complaints == []


def test_new_rows_wait_for_a_reader_who_is_further_down(bot, context) -> None:
    apart(tell, bot, 3)
    page, complaints = opened(context, bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    page.evaluate("""() => {
        const below = document.createElement('div');
        below.style.height = '4000px';
        below.append('what the reader reads');
        document.querySelector('main').append(below);
        scrollTo(0, 1500);
    }""")
    before = page.evaluate("document.querySelector('main > div').getBoundingClientRect().top")
    apart(tell, bot, 2)
    expect(page.locator("button.news")).to_have_text("2 new")
    apart(tell, bot)
    expect(page.locator("button.news")).to_have_text("3 new")
    after = page.evaluate("document.querySelector('main > div').getBoundingClientRect().top")
    assert abs(before - after) < 2
    page.locator("button.news").click()
    expect(page.locator("#event-4")).to_be_in_viewport()
    expect(page.locator("button.news")).to_have_count(0)
    apart(tell, bot)
    expect(page.locator("#event-7")).to_be_visible()
    expect(page.locator("button.news")).to_have_count(0)  # it is seen already
    assert complaints == []


def test_a_row_that_moves_to_the_top_takes_no_reader_along(bot, context) -> None:
    page, complaints = opened(context, bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    show = """rows => import('/static/js/live/swap.js').then(swap => swap.showParts(
        '<ul id="sample-events" tabindex="0">' + rows.map(n => `<li id="event-${n}" data-row>event ${n}</li>`).join('')
        + '</ul>'))"""
    top_of = "n => document.getElementById(`event-${n}`).getBoundingClientRect().top"
    for scrolled in ("document.scrollingElement", "document.getElementById('sample-events')"):
        page.evaluate(show, list(range(200, 0, -1)))
        page.evaluate("document.getElementById('event-120').scrollIntoView()")
        before = page.evaluate(top_of, 118)
        page.evaluate(show, [201, 120, *range(200, 120, -1), *range(119, 0, -1)])
        assert abs(page.evaluate(top_of, 118) - before) < 2, scrolled
        assert page.evaluate(f"{scrolled}.scrollTop") > 100
        page.evaluate("""() => {
            const sheet = new CSSStyleSheet();
            sheet.replaceSync('#sample-events { height: 300px; overflow-y: auto }');
            document.adoptedStyleSheets = [sheet];
        }""")
    assert complaints == []


def test_a_page_whose_server_went_away_says_so_and_misses_nothing(bot, server, context) -> None:
    page, complaints = watched(context)
    page.clock.install()
    page.goto(f"/sample/{bot.pk}/")
    page.evaluate("window.same = true")
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    server.kill()
    apart(tell, bot)
    apart(gain, bot, "12345")
    page.clock.run_for(7_000)
    expect(page.locator("#conn")).to_have_class("conn beat polling")
    expect(page.locator("#conn .word")).to_have_text("Reconnecting, asking every 15 s")
    expect(page.locator("main")).not_to_have_class("stale")
    page.clock.run_for(30_000)
    expect(page.locator("#conn .word")).to_contain_text("No connection since ")
    expect(page.locator("main")).to_have_class("stale")
    expect(page.locator(".stale-note")).to_contain_text("What you see is 3")
    page.clock.run_for(60_000)
    expect(page.locator(".stale-note")).to_contain_text("What you see is 1 min old.")

    server.start()
    page.evaluate(
        "dispatchEvent(new Event('online'))"
    )  # it hurries: no need to wait for its next try
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    expect(page.locator("#event-1")).to_be_visible()
    expect(page.locator("[data-figure]")).to_have_text("12345")
    expect(page.locator("main")).not_to_have_class("stale")
    expect(page.locator(".stale-note")).to_have_count(0)
    assert page.evaluate("window.same")  # all without a reload
    assert [one for one in complaints if not any(word in one for word in NETWORK_DOWN)] == []


def test_without_a_socket_it_asks(bot, context) -> None:
    page, complaints = watched(context)
    page.route_web_socket("**/ws/live/**", lambda socket: socket.close())
    page.clock.install()
    page.goto(f"/sample/{bot.pk}/")
    apart(tell, bot)
    page.clock.run_for(8_000)
    expect(page.locator("#event-1")).to_be_visible()
    expect(page.locator("#conn .word")).to_have_text("Reconnecting, asking every 15 s")
    apart(tell, bot)
    page.clock.run_for(16_000)
    expect(page.locator("#event-2")).to_be_visible()
    expect(page.locator("main")).not_to_have_class("stale")
    assert complaints == []


def test_who_is_signed_out_is_told_by_the_page(bot, context) -> None:
    page, _ = opened(context, bot)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    apart(Session.objects.all().delete)
    page.wait_for_url("**/account/login/**")
