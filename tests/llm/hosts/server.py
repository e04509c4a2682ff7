"""A host on this machine that does what a test tells it, request by request, and keeps what it was sent."""

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DRIP_SECONDS = 0.1


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    raw: str

    @property
    def key(self) -> str:
        """The key that came with it, wherever its host expects one."""
        sent = self.headers.get("x-api-key") or self.headers.get("authorization", "")
        return sent.removeprefix("Bearer ")


Answer = Callable[["Talk"], None]


@dataclass
class Talk:
    """The connection of one request, to be answered byte by byte."""

    seen: Seen
    socket: socket.socket
    is_over: threading.Event

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)


@dataclass
class Host:
    """`answers` are given in order, the last one for ever. `{key}` in an answer becomes the request's key."""

    answers: deque[Answer] = field(default_factory=deque)
    requests: list[Seen] = field(default_factory=list)
    port: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)
    keeps_connections: bool = False
    connections: set[tuple[str, int]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer_with(self, *answers: Answer) -> None:
        self.answers = deque(answers)

    def take(self, seen: Seen) -> Answer:
        self.requests.append(seen)
        return self.answers.popleft() if len(self.answers) > 1 else self.answers[0]

    @property
    def body(self) -> dict[str, Any]:
        """What the last request said."""
        return self.requests[-1].body


@contextmanager
def a_host() -> Iterator[Host]:
    """A server that lives as long as the block."""
    host = Host()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen = Seen(self.path, headers, json.loads(raw), f"{self.headers}\n{raw.decode()}")
            answer = host.take(seen)
            self.close_connection = not host.keeps_connections
            host.connections.add(self.client_address)
            with suppress(OSError):  # whoever asked has gone
                answer(Talk(seen, self.connection, host.is_over))

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    host.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.is_over.set()
        server.shutdown()
        server.server_close()
        thread.join()


# --- what a host may do ----------------------------------------------------------------------------


def head(status: int, length: int | None, **headers: str) -> bytes:
    said = {"Content-Type": "application/json", "Connection": "close", **headers}
    if length is not None:
        said["Content-Length"] = str(length)
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in said.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def says(content: object, status: int = 200, **headers: str) -> Answer:
    """Answer with JSON, or with bytes as they are. Underscores in names of headers become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def answer(talk: Talk) -> None:
        whole = content if isinstance(content, bytes) else json.dumps(content).encode()
        whole = whole.replace(b"{key}", talk.seen.key.encode())
        said = {name: value.replace("{key}", talk.seen.key) for name, value in named.items()}
        talk.send(head(status, len(whole), **said) + whole)

    return answer


def never_answers(talk: Talk) -> None:
    talk.is_over.wait(30)


def drips_its_answer(talk: Talk) -> None:
    talk.send(head(200, 1_000_000))
    _drip(talk, b" ")


def drips_its_headers(talk: Talk) -> None:
    talk.send(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    _drip(talk, b"a")


def _drip(talk: Talk, byte: bytes) -> None:
    while not talk.is_over.wait(DRIP_SECONDS):
        talk.send(byte)


def closes_before(talk: Talk) -> None:
    """The connection ends without a word."""


def closes_in_the_middle(talk: Talk) -> None:
    talk.send(head(200, 1000) + b'{"half": ')


def shouts_the_key(talk: Talk) -> None:
    key = talk.seen.key
    talk.send(f"HTTP/1.1 418 {key}\r\nX-Key: {key}\r\nContent-Length: 0\r\n\r\n".encode())


def breaks_the_protocol(talk: Talk) -> None:
    talk.send(f"HTTP/1.1 200 OK\r\nBad {talk.seen.key}\x00: {talk.seen.key}\r\n\r\n".encode())
