"""The page of alerts in a real browser: nobody is kept out, the count is live, nothing is wider than a phone."""

import os

import pytest
from playwright.sync_api import expect

from bots.alerts.scanning import scan
from bots.alerts.services import default_rules
from tests.alerts.scenes import NOON, scene
from tests.browser.test_axe import PHONE, Audit
from tests.browsers import Server, browsing
from tests.live.stage import cookie_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture(scope="module")
def server(django_db_setup, tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


def test_the_page_in_a_browser(server):
    at = scene()
    default_rules(at.owner)
    at.rule(channels=(at.channel("Telegram", "tgram://123456789:abcdefghijklmnop/111"),))
    at.fills(3)
    scan(NOON)
    cookie = cookie_of(at.owner)[1].decode().removeprefix("sessionid=")
    with browsing(server, cookie) as context:
        audit = Audit(context)
        page = audit.page
        page.goto("/alerts/")
        expect(page.locator(".side .count")).to_have_text("1")
        page.get_by_role("button", name="Acknowledge all").click()
        expect(page.get_by_text("all acknowledged")).to_be_visible()
        expect(page.locator(".side .count")).to_have_count(0)
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        if folder := os.environ.get("SHOTS"):
            page.screenshot(path=f"{folder}/phone.png", full_page=True)
            page.set_viewport_size({"width": 1440, "height": 900})
            page.screenshot(path=f"{folder}/wide.png", full_page=True)
        audit.of("/alerts/")
        assert audit.found == {}
