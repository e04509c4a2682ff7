"""A person with a browser on the site, and everything that went wrong in it while they were there.

What they do is named as they would name it. The trap avoided: a page that looks right and complains in a console
that nobody reads, or asks another host for something.
"""

import re
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Locator, Page, WebSocket, expect

PASSWORD = "wren-otter-44"
SECONDS = 1000
PATIENCE = 20 * SECONDS
"""For what the site does at once; two tests at a time share two cores with all that trades."""
DECIDED = 45 * SECONDS
"""A decision is due, and what follows from it."""
BTC = "BTC/USDT:USDT"
LOCAL = ("data", "blob", "about")
PHONE: dict[str, Any] = {
    "viewport": {"width": 375, "height": 812},
    "is_mobile": True,
    "has_touch": True,
}


class Visitor:
    """One browser context. `complaints`: of consoles and pages, failed requests, requests to other hosts."""

    def __init__(self, browser: Browser, address: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(base_url=address, **options)
        self.context.set_default_timeout(PATIENCE)
        self.address = address
        self._said: list[str] = []
        self._forgiven: tuple[str, ...] = ()
        self._watch(self.context)

    def forgive(self, *words: str) -> None:
        """Complaints with one of these words were asked for."""
        self._forgiven += words

    @property
    def complaints(self) -> list[str]:
        return [one for one in self._said if not any(word in one for word in self._forgiven)]

    def _watch(self, context: BrowserContext) -> None:
        say = self._said.append
        host = urlsplit(self.address).netloc

        def asked(url: str) -> None:
            parts = urlsplit(url)
            if parts.scheme not in LOCAL and parts.netloc != host:
                say(f"asked another host: {url}")

        context.on(
            "console",
            lambda told: (
                say(f"{told.type}: {told.text}") if told.type in ("error", "warning") else None
            ),
        )
        context.on("weberror", lambda error: say(f"error on the page: {error.error}"))
        context.on("request", lambda request: asked(request.url))
        context.on(
            "response",
            lambda got: say(f"{got.status} of {got.url}") if got.status >= 400 else None,
        )
        context.on("requestfailed", lambda one: self._failed(one.url, one.failure or ""))
        context.on("page", lambda page: page.on("websocket", lambda one: asked_socket(one, asked)))

    def _failed(self, url: str, why: str) -> None:
        if "ERR_ABORTED" not in why:  # what was under way when the page was left
            self._said.append(f"{why} of {url}")

    # --- what they do ---

    def open(self, path: str) -> Page:
        """A new tab."""
        page = self.context.new_page()
        page.goto(path)
        return page

    def sign_up(self, email: str) -> Page:
        page = self.open("/account/signup/")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Password, once more").fill(PASSWORD)
        page.get_by_role("button", name="Sign up").click()
        page.wait_for_url(f"{self.address}/")
        return page

    def sign_in(self, email: str, password: str = PASSWORD) -> Page:
        page = self.open("/account/login/")
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{self.address}/")
        return page

    def make_bot(self, page: Page, name: str, *, trader: str = "buy_and_hold") -> str:
        """Fill in the form of a new bot that trades BTC at once, and send it; the path of the bot's page."""
        page.goto("/bots/new/")
        page.locator(f"[name=mind][value='rule:{trader}']").check()
        page.get_by_label("Candles of").select_option("60")
        page.get_by_label("Decides every").select_option("15")
        for box in page.locator("[name=simulated]").all():
            box.set_checked(box.get_attribute("value") == BTC)
        page.get_by_label("Name").fill(name)
        page.get_by_role("button", name="Make the bot").click()
        page.wait_for_url(re.compile(r"/bots/[0-9a-f-]{36}/$"))
        return urlsplit(page.url).path


def asked_socket(socket: WebSocket, asked: Any) -> None:
    """A socket counts as a request to its host."""
    asked(socket.url)


def stay(*pages: Page) -> None:
    """Leave a mark that a reload would take away."""
    for page in pages:
        page.evaluate("window.stayed = true")


def have_stayed(pages: Iterable[Page]) -> bool:
    return all(page.evaluate("window.stayed === true") for page in pages)


def is_connected(page: Page) -> None:
    """Wait until the page's socket has brought something."""
    expect(page.locator("#conn .word")).to_contain_text("Connected", timeout=PATIENCE)


def answer(page: Page, link: str, button: str, *, within: str = "body") -> None:
    """Follow a link to a question, in a sheet or on a page of its own, and give this answer."""
    page.locator(within).get_by_role("link", name=link, exact=True).click()
    page.locator("#halt-form").get_by_role("button", name=button, exact=True).click()


def until(page: Page, found: Locator, within: float = DECIDED / SECONDS) -> None:
    """Without script: load the page again until this is on it."""
    give_up = time.monotonic() + within
    while not found.count():
        assert time.monotonic() < give_up, f"{found} never came"
        page.wait_for_timeout(500)
        page.reload()
