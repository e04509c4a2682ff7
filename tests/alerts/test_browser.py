"""Alerts in a real browser: they arrive by themselves, nobody is kept out, nothing is wider than a phone."""

import os
from decimal import Decimal as D
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from bots.alerts.domain import AlertKind, Severity
from bots.alerts.models import Alert, AlertRule
from bots.alerts.scanning import scan
from bots.alerts.services import acknowledge, default_rules
from bots.domain.events import EventKind
from tests.alerts.scenes import NOON, SECOND, Scene, scene
from tests.browser.test_axe import FOUR_LOOKS, PHONE, Audit
from tests.browsers import NETWORK_DOWN, Server, apart, browsing, watched
from tests.live.stage import cookie_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture
def at() -> Scene:
    return scene()


@pytest.fixture
def cookie(at) -> str:
    return cookie_of(at.owner)[1].decode().removeprefix("sessionid=")


@pytest.fixture
def context(server, cookie):
    with browsing(server, cookie) as context:
        context.set_default_timeout(10_000)
        yield context


def told(at: Scene, kind: EventKind, payload: dict, seconds: int = 0) -> None:
    at.tell(kind, payload, at=NOON + seconds * SECOND)
    scan(NOON + seconds * SECOND)


def connected(context: BrowserContext, path: str = "/alerts/") -> tuple[Page, list[str]]:
    page, complaints = watched(context)
    page.goto(path)
    page.evaluate("window.same = true")
    return page, complaints


def test_alerts_arrive_and_are_acknowledged_without_a_reload(at, context) -> None:
    apart(at.rule)
    apart(at.rule, AlertKind.DENIAL)
    page, complaints = connected(context)
    expect(page.locator("#conn .word")).to_contain_text("Connected · ")
    expect(page.get_by_text("Nothing to tell")).to_be_visible()

    apart(at.fills)
    apart(scan, NOON)
    expect(page.get_by_role("link", name="Momentum: an order was filled")).to_be_visible()
    expect(page.locator(".side .count")).to_have_text("1")
    denied = {"kind": "ORDER_REJECTED", "symbol": "TEST", "text": "no"}
    apart(told, at, EventKind.NOTICE, denied)
    expect(page.locator(".side .count")).to_have_text("2")

    page.locator("#alerts-inbox li").last.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".side .count")).to_have_text("1")
    expect(page.locator("#alerts-inbox li").last).to_have_class("seen")
    assert apart(lambda: Alert.objects.get(kind="FILL").acknowledged_at)
    page.get_by_role("button", name="Acknowledge all").click()
    expect(page.get_by_text("all acknowledged")).to_be_visible()
    expect(page.locator(".side .count")).to_have_count(0)
    assert page.evaluate("window.same")
    assert complaints == []


def test_the_count_moves_on_a_page_that_does_not_and_what_is_typed_stays(at, context) -> None:
    apart(at.rule)
    page, complaints = connected(context, "/account/settings/")
    page.set_viewport_size({"width": 1280, "height": 800})  # a strip of icons
    expect(page.locator(".side .count")).to_have_count(0)
    page.locator("main input:not([type=hidden])").first.focus()
    apart(at.fills)
    apart(scan, NOON)
    expect(page.locator(".side .count")).to_be_visible()
    page.set_viewport_size(PHONE)
    expect(page.get_by_role("link", name="Alerts 1 not acknowledged")).to_be_visible()
    expect(page.locator(".bell .count")).to_have_text("1")
    expect(page.locator("main input:not([type=hidden])").first).to_be_focused()
    apart(acknowledge, at.owner)
    expect(page.locator(".bell .count")).to_have_count(0)
    assert page.evaluate("window.same") and complaints == []


@pytest.mark.parametrize("path", ["/alerts/", "/account/settings/"])
def test_what_came_while_the_line_was_cut_is_there_when_it_is_back(
    at, server, context, path
) -> None:
    apart(at.rule)
    page, complaints = connected(context, path)
    expect(page.locator("#unread-side")).to_be_attached()
    server.kill()
    apart(at.fills)
    apart(scan, NOON)
    server.start()
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator(".side .count")).to_have_text("1")
    if path == "/alerts/":
        expect(page.get_by_role("link", name="Momentum: an order was filled")).to_be_visible()
    assert page.evaluate("window.same")
    assert [one for one in complaints if not any(word in one for word in NETWORK_DOWN)] == []


def test_without_a_socket_the_count_is_asked_for(at, context) -> None:
    apart(at.rule)
    page, _ = watched(context)
    page.route_web_socket("**/ws/live/**", lambda socket: socket.close())
    page.clock.install()
    page.goto("/account/settings/")
    apart(at.fills)
    apart(scan, NOON)
    page.clock.run_for(8_000)
    expect(page.locator(".side .count")).to_have_text("1")


def test_without_script_everything_can_be_done(at, server, cookie) -> None:
    at.rule(AlertKind.FILL)
    at.rule(AlertKind.DENIAL)
    at.fills()
    told(at, EventKind.NOTICE, {"kind": "ORDER_REJECTED", "symbol": "TEST", "text": "no"})
    with browsing(server, cookie, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/alerts/")
        expect(page.locator(".side .count")).to_have_text("2")
        page.locator("#alerts-inbox").get_by_role(
            "button", name="Acknowledge Momentum"
        ).first.click()
        expect(page.locator(".side .count")).to_have_text("1")
        page.get_by_role("button", name="Acknowledge all").click()
        expect(page.get_by_text("all acknowledged")).to_be_visible()
        page.get_by_role("link", name="Change the rule: An order was filled").click()
        page.get_by_label("When").select_option("DRAWDOWN")
        page.get_by_role("button", name="Change the rule").click()
        expect(page.get_by_text("A rule on drawdown needs a level.")).to_be_visible()
        page.get_by_label("Level").fill("7.5")
        page.get_by_role("button", name="Change the rule").click()
        expect(page.get_by_text("The rule is changed.")).to_be_visible()
    assert apart(lambda: AlertRule.objects.get(kind="DRAWDOWN").threshold) == D("7.5")


def test_a_form_asks_for_what_its_kind_needs(at, context) -> None:
    page, complaints = connected(context)
    page.get_by_text("New rule", exact=False).first.click()
    form = page.get_by_role("form", name="New rule")
    for kind, asked in (
        ("FILL", ()),
        ("DRAWDOWN", ("Level",)),
        ("PNL", ("Level", "Told")),
        ("PRICE", ("Level", "Told", "Instrument")),
    ):
        form.get_by_label("When").select_option(kind)
        for label in ("Level", "Told", "Instrument"):
            expect(form.get_by_label(label, exact=True)).to_be_visible(visible=label in asked)
    assert complaints == []


def test_nobody_is_kept_out(at, server, cookie) -> None:
    default_rules(at.owner)
    rule = at.rule(channels=(at.channel("Telegram", "tgram://123456789:abcdefghijklmnop/111"),))
    at.rule(AlertKind.DENIAL, severity=Severity.CRITICAL)
    at.fills(1234)
    told(at, EventKind.NOTICE, {"kind": "BREAKER_TRIPPED", "symbol": "", "text": "DAILY_LOSS"}, 1)
    told(at, EventKind.NOTICE, {"kind": "ORDER_UNKNOWN", "symbol": "TEST", "text": "no answer"}, 2)
    stop = {"symbol": "TEST", "side": "LONG", "net_pnl": "-12.5", "exit_reason": "STOP"}
    told(at, EventKind.TRADE, stop, 3)
    acknowledge(at.owner, [Alert.objects.get(kind="FILL").pk])
    with browsing(server, cookie) as context:
        audit = Audit(context)
        page = audit.page
        for name, path in (("alerts", "/alerts/"), ("rule", f"/alerts/rules/{rule.pk}/")):
            page.goto(path)
            if folder := os.environ.get("SHOTS"):
                shots(page, folder, name)
            page.set_viewport_size(PHONE)
            assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
            audit.here(path, looks=FOUR_LOOKS)
        assert audit.found == {}


def shots(page: Page, folder: str, name: str) -> None:
    """Pictures to be looked at."""
    themes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        for width in (1440, 1280, 768, PHONE["width"]):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=f"{folder}/{name}-{theme}-{width}.png", full_page=True)
