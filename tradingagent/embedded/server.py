"""The web server as a part: uvicorn on a socket of ours, in a thread with a loop of its own.

In a thread it leaves the signals alone; on the main thread it would send itself SIGTERM again after its end,
and nothing behind it would run.
"""

import errno
import socket
from ipaddress import ip_address

import uvicorn

from tradingagent.embedded.parts import ThreadPart

APPLICATION = "tradingagent.asgi:application"
FINISH_SECONDS = 2
"""How long requests and sockets have to end when the server does."""


class PortTaken(Exception):
    """Nobody can listen there; one sentence says why."""


def listen(host: str, port: int) -> socket.socket:
    """Take an address (port 0: any that is free) before anything else is begun; who asks already waits for
    the server. Raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"port {port} is taken by another program: choose one with PORT={port + 1}"
            ) from None
        raise PortTaken(f"nobody can listen on {host}:{port}: {error.strerror}") from None
    return listening


def address_of(listening: socket.socket) -> str:
    """The pages' address, as a person types it."""
    host, port = listening.getsockname()[:2]
    is_here = host in ("127.0.0.1", "::1") or ip_address(host).is_unspecified
    name = "localhost" if is_here else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


class WebServer(ThreadPart):
    """Serves the site. Its loop turns once a second or more often, or something blocks it."""

    may_stand_still = False

    def __init__(self, listening: socket.socket) -> None:
        super().__init__("the web server")
        self._listening = listening
        self.server = uvicorn.Server(
            uvicorn.Config(
                APPLICATION,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=FINISH_SECONDS,
                callback_notify=self._turn,
                timeout_notify=1,
            )
        )

    def run(self) -> None:
        self.server.run(sockets=[self._listening])

    def is_ready(self) -> bool:
        return self.server.started

    def stop(self) -> None:
        super().stop()
        self.server.should_exit = True

    async def _turn(self) -> None:
        self.turns_taken += 1
