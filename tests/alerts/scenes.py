"""A bot with things to tell, rules that want to hear them, and servers on this machine that take messages."""

import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from django.db import transaction

from bots import events, models
from bots.alerts import services
from bots.alerts.domain import AlertKind
from bots.alerts.models import AlertChannel, AlertRule, ChannelKind
from bots.alerts.services import RuleWish
from bots.domain.events import EventKind
from tests.bots.paper_desks import paper_bot
from tradingagent.accounts.models import User
from tradingagent.accounts.secrets import Secret

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)


@dataclass
class Scene:
    """A user, a bot of theirs, and what it tells."""

    owner: User
    bot: models.Bot

    def rule(self, kind: AlertKind = AlertKind.FILL, **wish: Any) -> AlertRule:
        wanted = RuleWish(owner=self.owner, kind=kind, **wish)
        return services.save_rule(wanted, by=self.owner)

    def channel(self, name: str, address: str, kind=ChannelKind.APPRISE) -> AlertChannel:
        return services.create_channel(
            owner=self.owner, name=name, kind=kind, address=Secret(address), by=self.owner
        )

    def fills(self, count: int = 1, at: datetime = NOON, bot: models.Bot | None = None) -> None:
        payload = {"symbol": "TEST", "side": "BUY", "quantity": "1", "price": "100"}
        self.tell(EventKind.FILL, payload, count, at, bot)

    def tell(
        self,
        kind: EventKind,
        payload: dict[str, Any],
        count: int = 1,
        at: datetime = NOON,
        bot: models.Bot | None = None,
    ) -> None:
        with transaction.atomic():
            events.emit((bot or self.bot).pk, [(at, kind, payload)] * count)


def scene(**fields: Any) -> Scene:
    bot = paper_bot(name="Momentum", **fields)
    return Scene(bot.owner, bot)


# --- servers on this machine -------------------------------------------------------------------------


@dataclass
class Hook:
    """A webhook. `statuses`: what it answers next, 200 when there is none left; `taken`: what it took."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    taken: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    location: str = ""
    before: Callable[[], None] = lambda: None


@contextmanager
def webhook() -> Iterator[Hook]:
    import json

    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.asked += 1
            body = self.rfile.read(int(self.headers["content-length"]))
            hook.before()
            status = hook.statuses.pop(0) if hook.statuses else 200
            if status == 200:
                hook.taken.append(
                    json.loads(body) | {"id": self.headers["Idempotency-Key"], "at": self.path}
                )
            self.send_response(status)
            if hook.location:
                self.send_header("Location", hook.location)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        hook.url = f"json://127.0.0.1:{server.server_port}"
        try:
            yield hook
        finally:
            server.shutdown()


@dataclass
class Mailbox:
    """A mail server. `is_dead`: it refuses what it is given for now; `hangs_up`: it is gone once it has the
    mail; `taken`: the mails it took."""

    port: int = 0
    is_dead: bool = False
    hangs_up: bool = False
    taken: list[str] = field(default_factory=list)


@contextmanager
def mail_server(settings: Any) -> Iterator[Mailbox]:
    """A mail server that the settings name."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                word = line.upper().split()[0]
                if word == "DATA":
                    self.say("354 go on")
                    lines = []
                    while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                        lines.append(text)
                    if box.is_dead:
                        self.say("451 not now, canary-of-the-server")
                        continue
                    box.taken.append("\n".join(lines))
                if word == "QUIT" and box.hangs_up:
                    return
                self.say("221 bye" if word == "QUIT" else "250 ok")
                if word == "QUIT":
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        box.port = server.server_address[1]
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", box.port
        try:
            yield box
        finally:
            server.shutdown()
