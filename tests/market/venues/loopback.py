"""A venue on this machine: a real HTTP server that speaks its wire format, and fails in any way asked for.

    with LoopbackVenue("okx", now) as venue:
        client = VenueClient("okx", base_url=venue.url, is_paced=False)
        venue.market.now += MINUTE            # its clock and its prices move by hand
        venue.set_price("BTC", Decimal(59000))
        venue.fail(Failure.ERROR_500, "book")

The server's clock is `market.now`, never the machine's.
"""

import json
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.market.venues.wires import SYMBOLS, WIRES, Market


class Failure(StrEnum):
    """How an answer goes wrong."""

    RATE_LIMIT = "429"
    BANNED = "418"
    ERROR_500 = "500"
    HANG = "never answers"
    DRIP = "a byte at a time"
    CLOSE = "closes the connection"
    CUT = "closes in the middle of the answer"
    GARBAGE = "garbage instead of JSON"
    HTML = "a web page"
    REDIRECT = "leads elsewhere"
    EMPTY = "empty lists"
    OTHER_SHAPE = "JSON of another shape"
    MISSING_FIELDS = "fields are missing"
    ZEROS = "every number is 0"
    NULLS = "every number is null"


NUMBERS_KEPT = {"code", "ts", "time", "T", "t", "E", "closeTime", "fundingTime", "timestamp"}


def _empty(payload: Any) -> Any:
    if isinstance(payload, list):
        return []
    return {key: [] if isinstance(value, list) else value for key, value in payload.items()
            if isinstance(value, list) or key in ("code", "msg")}  # fmt: skip


def _without_fields(payload: Any) -> Any:
    if isinstance(payload, list):
        return [_without_fields(value) for value in payload][:2] if payload and not isinstance(
            payload[0], dict | list) else [_without_fields(value) for value in payload]  # fmt: skip
    if isinstance(payload, dict):
        kept = {"symbol", "instId", "instType", "code", "msg", "coin", "name"}
        return {
            key: _without_fields(value)
            for key, value in payload.items()
            if key in kept or isinstance(value, list | dict)
        }
    return payload


def _numbers(payload: Any, instead: Any, key: str = "") -> Any:
    if isinstance(payload, dict):
        return {name: _numbers(value, instead, name) for name, value in payload.items()}
    if isinstance(payload, list):
        if payload and not isinstance(payload[0], dict | list):  # a row: its first value is a time
            return [payload[0] if len(payload) > 4 else instead, *[instead for _ in payload[1:]]]
        return [_numbers(value, instead, key) for value in payload]
    if key in NUMBERS_KEPT or isinstance(payload, bool) or payload is None:
        return payload
    try:
        Decimal(str(payload))
    except ArithmeticError:
        return payload
    return instead


CHANGES = {
    Failure.EMPTY: _empty,
    Failure.OTHER_SHAPE: lambda payload: {"a": 1} if isinstance(payload, list) else [1, "a", None],
    Failure.MISSING_FIELDS: _without_fields,
    Failure.ZEROS: lambda payload: _numbers(payload, "0"),
    Failure.NULLS: lambda payload: _numbers(payload, None),
}


@dataclass(frozen=True, slots=True)
class _Fault:
    failure: Failure
    what: str | None
    coin: str | None

    def hits(self, what: str, coin: str | None) -> bool:
        return self.what in (None, what) and self.coin in (None, coin)


class LoopbackVenue:
    """One venue (`binanceusdm`, `okx` or `hyperliquid`) with BTC, ETH and SOL perpetuals."""

    def __init__(self, kind: str, now: datetime) -> None:
        self.kind = kind
        self.symbols = SYMBOLS[kind]
        self.market = Market(now)
        self.requests: list[tuple[str, str | None]] = []
        self.delay = 0.0
        self._faults: list[_Fault] = []
        self._wire = WIRES[kind]()
        self._lock = Lock()
        self._closing = Event()
        self._server = _Server(("127.0.0.1", 0), self)
        self._thread = Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "LoopbackVenue":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # What a test does to it

    def advance(self, step: timedelta) -> datetime:
        """Let time pass; prices that were set for the moment go back to the path."""
        self.market.now += step
        self.market.prices.clear()
        self.market.marks.clear()
        return self.market.now

    def set_price(self, coin: str, price: Decimal) -> None:
        """Set the last price of this moment: ticker, book, mark and the moving candle follow."""
        self.market.prices[coin] = price

    def set_minute(
        self, coin: str, opened_at: datetime, bar: tuple[str, str, str, str, str]
    ) -> None:
        """Set open, high, low, close and volume (in coins) of a minute."""
        at = int(opened_at.timestamp()) * 1000
        open_, high, low, close, volume = map(Decimal, bar)
        self.market.minutes[coin, at] = (open_, high, low, close, volume)

    def tell_time(self, what: str, at: datetime) -> None:
        """Answer to this (`book`, `mark`, `ticker`, `time`) as of another time; `candles` and `marks`: show
        none that opened after it."""
        self.market.told_at[what] = at

    def fail(self, failure: Failure, what: str | None = None, coin: str | None = None) -> None:
        """Fail from now on, at everything or at one kind of request or coin."""
        self._faults.append(_Fault(failure, what, coin))

    def heal(self) -> None:
        """Answer rightly again."""
        self._faults.clear()
        self.market.told_at.clear()

    def count(self, what: str, coin: str | None = None) -> int:
        """How many requests came for this."""
        return sum(asked == what and coin in (None, about) for asked, about in list(self.requests))

    # What the server does

    def answer(self, path: str, asked: dict[str, Any]) -> tuple[Failure | None, bytes]:
        what, coin, payload = self._wire.answer(self.market, path, asked)
        with self._lock:
            self.requests.append((what, coin))
        if self.delay:
            time.sleep(self.delay)
        fault = next((one for one in self._faults if one.hits(what, coin)), None)
        failure = fault.failure if fault is not None else None
        if failure in CHANGES:
            payload = CHANGES[failure](payload)
        return failure, json.dumps(payload).encode()

    def wait_for_close(self) -> None:
        self._closing.wait(20)

    @property
    def is_closing(self) -> bool:
        return self._closing.is_set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], venue: LoopbackVenue) -> None:
        super().__init__(address, _Handler)
        self.venue = venue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server's."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else head and body, written apart, wait 40 ms for each other
    server: _Server
    STATUS = {Failure.RATE_LIMIT: 429, Failure.BANNED: 418}

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._answer(parts.path, dict(parse_qsl(parts.query)))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(urlsplit(self.path).path, json.loads(body))

    def _answer(self, path: str, asked: dict[str, Any]) -> None:
        try:
            failure, body = self.server.venue.answer(path, asked)
        except KeyError as error:  # no such endpoint: the test should see it
            return self._send(404, json.dumps({"code": "404", "msg": str(error)}).encode())
        match failure:
            case Failure.HANG:
                self.server.venue.wait_for_close()
                self.close_connection = True
            case Failure.CLOSE:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            case Failure.CUT:
                self._head(200, len(body) + 100, {})
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            case Failure.DRIP:
                self._drip(body)
            case Failure.GARBAGE:
                self._send(200, b"\x00{]not json" + body[:20])
            case Failure.HTML:
                self._send(200, b"<html><body>down for maintenance</body></html>", "text/html")
            case Failure.REDIRECT:
                self._send(302, b"", Location="https://example.org/elsewhere")
            case Failure.RATE_LIMIT | Failure.BANNED:
                self._send(self.STATUS[failure], b'{"code":-1003,"msg":"no"}')
            case Failure.ERROR_500:
                self._send(500, b"Internal error", "text/plain")
            case _:
                self._send(200, body)
        return None

    def _drip(self, body: bytes) -> None:
        self._head(200, len(body), {})
        for byte in body:
            if self.server.venue.is_closing:
                break
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.05)
        self.close_connection = True

    def _send(self, status: int, body: bytes, kind: str = "application/json", **more: str) -> None:
        self._head(status, len(body), more, kind)
        self.wfile.write(body)

    def _head(
        self, status: int, length: int, more: dict[str, str], kind: str = "application/json"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        for name, value in more.items():
            self.send_header(name, value)
        self.end_headers()


@contextmanager
def only_loopback(monkeypatch: pytest.MonkeyPatch):
    """Refuse every connection that leaves this machine, and every look-up of a name; yields what was
    tried."""
    tried: list[object] = []
    connect = socket.socket.connect
    look_up = socket.getaddrinfo

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in (
            "127.0.0.1",
            "::1",
        ):
            tried.append(address)
            raise OSError(f"{address} is not this machine")
        connect(self, address)

    def guarded_look_up(host: Any, *rest: Any, **more: Any) -> Any:
        if host not in ("127.0.0.1", "localhost", "::1"):
            tried.append(host)
            raise OSError(f"{host} is not this machine")
        return look_up(host, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        patch.setattr(socket, "getaddrinfo", guarded_look_up)
        yield tried
