"""What people do on the site, in a real browser, while the traders of a real demo trade."""

import re
from uuid import UUID

import pytest
from playwright.sync_api import Page, expect

from tests.browser.visitors import (
    BTC,
    DECIDED,
    PHONE,
    Visitor,
    answer,
    have_stayed,
    is_connected,
    stay,
    until,
)
from tests.concurrency.processes import wait_for
from tests.embedded.demos import Demo, rows
from tradingagent.embedded.first_run import EMAIL, KEPT_IN

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.sqlite]

FILLS = "SELECT count(*) FROM bots_fill f JOIN bots_bot b ON f.bot_id = b.id WHERE b.name = '{}'"
DECISIONS = """
    SELECT count(*) FROM bots_tradingcycle c JOIN bots_bot b ON c.bot_id = b.id
    WHERE b.name = '{}' AND c.status = 'DONE'"""
OF_THE_DEMO = """
    SELECT o.bot_id, o.cycle_id, e.arena_id FROM bots_fill f
    JOIN bots_order o ON f.order_id = o.client_order_id JOIN lab_entrant e ON e.bot_id = o.bot_id LIMIT 1"""
TABS = (
    "positions", "orders", "trades", "decisions", "fills", "ledger", "candles", "equity", "halts",
)  # fmt: skip
WIDTH = "document.scrollingElement.scrollWidth"
KNOCK = """path => new Promise(done => {
    const socket = new WebSocket(`ws://${location.host}/ws/live/?topic=${path}`);
    socket.onopen = () => done("open");
    socket.onclose = ({ code }) => done(`closed with ${code}`);
})"""


def counted(demo: Demo, query: str, name: str) -> int:
    return rows(demo.folder, query.format(name))[0][0]


@pytest.fixture
def held(demo) -> tuple[UUID, UUID, UUID]:
    """A bot of the demo that holds something, the decision that opened it, and its arena."""
    assert wait_for(lambda: rows(demo.folder, OF_THE_DEMO), 60)
    bot, cycle, arena = rows(demo.folder, OF_THE_DEMO)[0]
    return UUID(bot), UUID(cycle), UUID(arena)


@pytest.fixture
def owner(demo, visit):
    """Signs in the demo's own user, whose arena trades."""

    def sign_in(**options) -> tuple[Visitor, Page]:
        owner = visit(**options)
        return owner, owner.sign_in(EMAIL, (demo.folder / KEPT_IN).read_text().strip())

    return sign_in


def test_from_signing_up_to_signing_out(visit, demo) -> None:
    ann = visit(viewport={"width": 1440, "height": 900})
    page = ann.sign_up("ann@example.org")
    expect(page.get_by_role("heading", name="No bot yet")).to_be_visible()
    address = ann.make_bot(page, "Wren")
    home = ann.open("/")
    is_connected(home)
    stay(home)

    page.get_by_role("button", name="Start").click()
    expect(page.locator("#bot-state")).to_have_text("Active")
    stay(page)
    bought = re.compile("Opened a long of .* BTC")
    expect(page.locator("#bot-decisions li").first).to_contain_text(bought, timeout=DECIDED)
    expect(page.locator("#bot-positions tbody tr")).to_have_count(1)
    expect(page.locator("[data-count=positions]")).to_have_text("1")
    expect(home.locator("#dashboard-feed li").first).to_contain_text("Wren opened a long")
    expect(home.locator("#dashboard-positions tbody tr")).to_have_count(1)
    assert counted(demo, FILLS, "Wren") == 1
    assert have_stayed([page, home])

    answer(page, "Pause", "Pause")
    expect(page.locator("#bot-state")).to_have_text("Paused")
    expect(home.locator("#dashboard-bots tbody")).to_contain_text("Paused")
    expect(page.locator("#bot-positions tbody tr")).to_have_count(1)  # and its stop rests
    page.locator(".tabs").get_by_role("link", name="Orders").click()
    expect(page.locator("#bot-orders tbody")).to_contain_text("Sell stop")
    expect(page.locator("#bot-orders tbody")).to_contain_text("Resting")

    watching = ann.open(address)
    is_connected(watching)
    stay(watching)
    answer(page, "Flatten", "Close 1 position")
    expect(watching.locator("#bot-positions")).to_contain_text("Nothing is held", timeout=DECIDED)
    expect(watching.locator("[data-count=trades]")).to_have_text("1")
    expect(home.locator("#dashboard-positions")).to_contain_text("Nothing is held")
    assert have_stayed([watching, home])

    home.close()
    watching.close()
    page.goto("/account/settings/")  # a page that asks for nothing while its reader leaves
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/login/")
    page.goto(address)
    page.wait_for_url(re.compile("/account/login/.next="))


def test_a_halt_of_everything_is_on_every_page_and_nothing_opens(visit, demo) -> None:
    bob = visit()
    page = bob.sign_up("bob@example.org")
    address = bob.make_bot(page, "Crake")
    answer(page, "Halt all", "Halt")
    expect(page.locator("#toasts")).to_contain_text("Halted")
    for path in ("/", "/bots/", "/bots/new/", address, "/arena/", "/arena/new/", "/account/settings/"):  # fmt: skip
        page.goto(path)
        expect(page.locator("#halt-in-force")).to_contain_text("HALTED")
    page.goto(address)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#bot-decisions li").first).to_contain_text("denied", timeout=DECIDED)
    expect(page.locator("#bot-state")).to_have_text("Halted")
    assert counted(demo, FILLS, "Crake") == 0
    watching = bob.open(address)
    is_connected(watching)
    stay(watching)

    answer(page, "Resume", "Resume", within="#halt-in-force")

    expect(page.locator("#toasts")).to_contain_text("Resumed")
    expect(page.locator("#halt-in-force")).to_have_count(0)
    expect(watching.locator("#bot-state")).to_have_text("Active")
    page.goto(address)
    page.get_by_role("button", name="Run now").click()
    expect(watching.locator("#bot-positions tbody tr")).to_have_count(1, timeout=DECIDED)
    expect(watching.locator("#bot-decisions li").first).to_contain_text("Opened a long")
    assert have_stayed([watching])


def test_figures_move_on_dashboard_bot_and_arena_without_a_reload(owner, held) -> None:
    bot_id, _, arena_id = held
    someone, home = owner()
    bot, arena = someone.open(f"/bots/{bot_id}/"), someone.open(f"/arena/{arena_id}/")
    shown = [
        home.locator("#dashboard-totals [data-figure]").first,
        bot.locator("#bot-stats [data-figure]").first,
        arena.locator("#entrant-1 [data-figure]").first,
    ]
    for page in (home, bot, arena):
        is_connected(page)
    stay(home, bot, arena)
    before = [figure.inner_text() for figure in shown]

    for figure, text in zip(shown, before, strict=True):
        expect(figure).not_to_have_text(text, timeout=DECIDED)

    assert have_stayed([home, bot, arena])


def test_a_cut_line_is_said_and_no_decision_is_missed(visit, wire, demo) -> None:
    far, near = visit(wire.address), visit()
    far.forgive("net::ERR_", "WebSocket connection to")
    page = far.sign_up("cleo@example.org")
    address = far.make_bot(page, "Dotterel")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#bot-positions tbody tr")).to_have_count(1, timeout=DECIDED)
    is_connected(page)
    stay(page)
    elsewhere = near.sign_in("cleo@example.org")
    before = counted(demo, DECISIONS, "Dotterel")
    assert wait_for(lambda: told_of(page) == counted(demo, DECISIONS, "Dotterel"), 20)

    wire.cut()
    for more in (1, 2):
        elsewhere.goto(address)
        elsewhere.get_by_role("button", name="Run now").click()
        assert wait_for(lambda: counted(demo, DECISIONS, "Dotterel") >= before + more, 30)  # noqa: B023
    expect(page.locator("#conn .word")).to_contain_text("Reconnecting")
    assert told_of(page) < counted(demo, DECISIONS, "Dotterel")
    wire.mend()

    is_connected(page)
    assert wait_for(lambda: told_of(page) == counted(demo, DECISIONS, "Dotterel"), 20)
    assert have_stayed([page])


def told_of(page: Page) -> int:
    """How many decisions the page tells of, those of a run counted."""
    told = page.locator("#bot-decisions .feed-title").all_inner_texts()
    runs = [re.search(r"(\d+) times in a row", text) for text in told]
    return sum(int(run.group(1)) if run else 1 for run in runs)


def test_on_a_phone_no_page_is_wider_and_every_control_is_in_reach(owner, visit, held) -> None:
    bot_id, cycle_id, arena_id = held
    stranger = visit(**PHONE)
    stranger.forgive("404")
    for path in ("/account/login/", "/account/signup/", "/account/password/reset/", "/nothing/"):
        fits(stranger.open(path))
    _, page = owner(**PHONE)
    paths = [
        "/", "/bots/", "/bots/new/", "/equity/", "/arena/", "/arena/new/", f"/arena/{arena_id}/",
        f"/arena/{arena_id}/equity/", "/halt/", "/resume/", "/account/settings/",
        "/account/password/change/", f"/bots/{bot_id}/decisions/{cycle_id}/",
        f"/bots/{bot_id}/",
    ]  # fmt: skip
    for path in paths:
        page.goto(path)
        fits(page)
    for tab in TABS:
        page.goto(f"/bots/{bot_id}/?tab={tab}")
        assert page.evaluate(WIDTH) <= 375, tab

    page.goto("/")
    page.get_by_role("navigation", name="Main, phone").get_by_role("link", name="Bots").tap()
    page.get_by_role("link", name="Cash", exact=True).tap()
    answer(page, "Pause", "Pause")
    expect(page.locator("#bot-state")).to_have_text("Paused")
    page.get_by_role("button", name="Start again").tap()
    expect(page.locator("#bot-state")).to_have_text("Active")
    page.get_by_role("link", name="Halt", exact=True).tap()
    sheet = page.locator("#halt")
    expect(sheet.get_by_role("button", name="Halt", exact=True)).to_be_in_viewport(ratio=1)
    sheet.get_by_role("button", name="Keep trading").tap()
    expect(sheet).to_be_hidden()


def fits(page: Page) -> None:
    for chart in page.locator(".chart[data-src]").all():
        expect(chart.locator("canvas").first).to_be_visible(timeout=DECIDED)
    assert page.evaluate(WIDTH) <= 375, page.url


def test_without_script_all_is_read_and_every_control_works(owner, visit, held) -> None:
    bot_id, cycle_id, arena_id = held
    _, page = owner(java_script_enabled=False)
    expect(page.locator("#dashboard-totals")).to_contain_text("Equity")
    page.goto(f"/bots/{bot_id}/")
    expect(page.locator("#bot-positions tbody tr").first).to_contain_text(BTC)
    page.goto(f"/bots/{bot_id}/decisions/{cycle_id}/")
    expect(page.get_by_role("heading", name="What the limits did")).to_be_visible()
    page.goto(f"/arena/{arena_id}/")
    expect(page.locator("#arena-table tbody")).to_contain_text("Buy and hold")

    dan = visit(java_script_enabled=False)
    page = dan.sign_up("dan@example.org")
    address = dan.make_bot(page, "Whimbrel")
    page.get_by_role("button", name="Start").click()
    until(page, page.locator("#bot-positions tbody tr"))
    answer(page, "Pause", "Pause")
    expect(page.locator("#bot-state")).to_have_text("Paused")
    answer(page, "Halt all", "Halt")
    page.goto(address)
    expect(page.locator("#halt-in-force")).to_be_visible()
    answer(page, "Resume", "Resume", within="#halt-in-force")
    expect(page.locator("#halt-in-force")).to_have_count(0)
    page.goto(address)
    answer(page, "Flatten", "Close 1 position")
    until(page, page.locator("#bot-positions").get_by_text("Nothing is held"))
    page.goto("/account/settings/")
    page.locator("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/account/login/")


def test_what_belongs_to_another_is_not_there(owner, visit, held) -> None:
    bot_id, cycle_id, arena_id = held
    pages = (f"/bots/{bot_id}/", f"/bots/{bot_id}/decisions/{cycle_id}/", f"/arena/{arena_id}/")
    parts = (f"/live/bot/{bot_id}/", f"/live/arena/{arena_id}/", f"/bots/{bot_id}/equity.json")
    topics = (f"bot:{bot_id}", f"arena:{arena_id}")
    someone, _ = owner()
    eve = visit()
    eve.forgive("404", "WebSocket connection to")
    for visitor, status, heading, knocked in (
        (someone, 200, "", "open"),
        (eve, 404, "There is nothing here", "closed with 1006"),
    ):
        page = visitor.open("/account/settings/") if visitor is someone else eve.sign_up("eve@example.org")  # fmt: skip
        assert [visitor.context.request.get(visitor.address + path).status for path in parts] == [
            status
        ] * len(parts)
        assert [page.evaluate(KNOCK, topic) for topic in topics] == [knocked] * len(topics)
        for path in pages:
            answered = page.goto(path)
            assert answered is not None and answered.status == status
            expect(page.locator("h1")).to_contain_text(heading)
