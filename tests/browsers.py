"""A real browser on the real server, which is a process of its own: a test can kill it and start it again."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections
from playwright.sync_api import BrowserContext, Page, sync_playwright

from tests.concurrency.processes import database_url
from tradingagent.embedded.server import listen

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update")  # fmt: skip
NETWORK_DOWN = ("net::ERR_", "WebSocket connection to")
"""How a browser says that a server is down."""
STARTS_WITHIN = 30


class Server:
    """The site on the test's database and a port of its own."""

    def __init__(self, folder: Path, settings_module: str = "tradingagent.settings") -> None:
        self._log = folder / "server.log"
        self._env = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": "memory://localhost",  # its tasks are for no worker of another test
            "DJANGO_SETTINGS_MODULE": settings_module,
        }
        with listen("127.0.0.1", 0) as free:
            self._port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "tradingagent.asgi:application", "--port",
                 str(self._port), "--no-access-log"],
                cwd=settings.BASE_DIR, env=self._env, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        give_up = time.monotonic() + STARTS_WITHIN
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                raise AssertionError(self._log.read_text())
            time.sleep(0.1)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self._port}{path}"

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
            return True
        return False


@contextmanager
def browsing(server: Server, cookie: str | None = None, **options: Any) -> Iterator[BrowserContext]:
    """A browser, signed in where a session's key is given. `options`: of Playwright's context."""
    with (
        sync_playwright() as driver,
        driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS) as browser,
        browser.new_context(base_url=server.url(), **options) as context,
    ):
        if cookie is not None:
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": server.url("/")}])
        yield context


def watched(context: BrowserContext) -> tuple[Page, list[str]]:
    """A new page, and the list of what its console will complain of."""
    complaints: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None,
    )
    return page, complaints


def apart(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Do something with the database: not in the thread in which the browser's driver has its loop."""

    def done() -> Any:
        try:
            return function(*args, **options)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as other:
        return other.submit(done).result()
