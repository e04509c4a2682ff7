"""HTTP to hosts that users name: a deadline for the whole exchange, and only addresses that may be reached.

The traps avoided: a timeout of an HTTP client is for each read, so a host that drips a byte a second holds a
thread for ever; a redirect takes the key to another host; and a name that resolves to this machine or its
network lets a user talk to what only the operator should (the database, the cloud's metadata).
"""

import atexit
import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, cast

import httpcore2
import httpx2

_ends_at: ContextVar[float | None] = ContextVar("ends_at", default=None)

CONNECT_SECONDS: Final = 10.0
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of one answer; a longer one is cut off as an error."""
MOST_CONNECTIONS: Final = 500
_OF_IPV4: Final = tuple(map(ipaddress.IPv6Network, ("::/96", "64:ff9b::/96", "64:ff9b:1::/48")))


class AddressNotAllowed(httpcore2.ConnectError):
    """The host's name leads to this machine or a private network, which this user may not reach."""


class AnswerNotTaken(httpx2.ReadError):
    """The answer came in a form that is not read, and would come so again."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Every read and write of this thread ends when these seconds are over, however slowly bytes come."""
    token = _ends_at.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


@cache
def http_client(*, may_reach_private: bool) -> httpx2.Client:
    """The process's client: no redirect followed, no proxy or password taken from the environment.

    `may_reach_private`: this machine and its network, too. Raises the exceptions of httpx2; an address
    that may not be reached is a ConnectError that says so.
    """
    transport = httpx2.HTTPTransport(
        trust_env=False, limits=httpx2.Limits(max_connections=MOST_CONNECTIONS)
    )
    # The public way to give a pool its network is to build the pool; the transport builds its own.
    cast(Any, transport)._pool._network_backend = _Network(may_reach_private)
    client = httpx2.Client(
        transport=transport,
        follow_redirects=False,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
        event_hooks={"response": [_bounded]},
    )
    atexit.register(client.close)
    return client


def is_private(address: str) -> bool:
    """True for an address of this machine, of a private network, or of no machine in particular."""
    found = ipaddress.ip_address(address.split("%", maxsplit=1)[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = _carried(found) or found
    return not found.is_global or found.is_multicast


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for: mapped, of 6to4, or of a translator of networks."""
    if any(address in network for network in _OF_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _bounded(response: httpx2.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise AnswerNotTaken("the answer is packed, which was not asked for")
    response.stream = _Counted(response.stream)


class _Counted(httpx2.SyncByteStream):
    """A body that ends with an error when it grows too long."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for part in self._stream:
            size += len(part)
            if size > MOST_BYTES:
                raise AnswerNotTaken(f"the answer is longer than {MOST_BYTES} bytes")
            yield part

    def close(self) -> None:
        self._stream.close()


def _left(timeout: float | None, error: type[Exception]) -> float | None:
    """The seconds that a step may take. Raises `error` when there are none."""
    ends_at = _ends_at.get()
    if ends_at is None:
        return timeout
    left = ends_at - time.monotonic()
    if left <= 0:
        raise error("the time for the whole exchange is over")
    return left if timeout is None else min(timeout, left)


class _Network(httpcore2.NetworkBackend):
    """Connects to what may be reached, and hands out streams that keep the deadline."""

    def __init__(self, may_reach_private: bool) -> None:
        self._plain = httpcore2.SyncBackend()
        self._may_reach_private = may_reach_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        wait = CONNECT_SECONDS if timeout is None else min(timeout, CONNECT_SECONDS)
        *others, last = _addresses(host, port, self._may_reach_private)
        for address in others:
            left = _left(wait, httpcore2.ConnectTimeout)
            with suppress(httpcore2.ConnectError, httpcore2.ConnectTimeout):
                return _Stream(
                    self._plain.connect_tcp(address, port, left, local_address, socket_options)
                )
        left = _left(wait, httpcore2.ConnectTimeout)
        return _Stream(self._plain.connect_tcp(last, port, left, local_address, socket_options))


def _addresses(host: str, port: int, may_reach_private: bool) -> list[str]:
    """Where to connect to, looked up once, so that the name can't lead elsewhere a moment later."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(f"{host} has no address") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not may_reach_private and any(map(is_private, addresses)):
        raise AddressNotAllowed(f"{host} is an address of a private network")
    return addresses


class _Stream(httpcore2.NetworkStream):
    """A connection whose every step ends with the deadline."""

    def __init__(self, stream: httpcore2.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
