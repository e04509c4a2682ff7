"""The line between a browser and the server, which a test can cut: what is open ends at once, nothing new is let in."""

import socket
from contextlib import suppress
from threading import Lock, Thread
from urllib.parse import urlsplit

from tradingagent.embedded.server import listen

CHUNK = 65536


class Wire:
    """Passes bytes on between a port of its own and the server. Ends with the test."""

    def __init__(self, server: str) -> None:
        self._server = (urlsplit(server).hostname or "", urlsplit(server).port or 80)
        self._listening = listen("127.0.0.1", 0)
        self._listening.listen()
        self._lock = Lock()
        self._ends: list[socket.socket] = []
        self._is_cut = False
        Thread(target=self._let_in, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            ends, self._ends = self._ends, []
        for end in ends:
            hang_up(end)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _let_in(self) -> None:
        with suppress(OSError):  # it is closed
            while True:
                here, _ = self._listening.accept()
                there = socket.create_connection(self._server)
                with self._lock:
                    is_cut = self._is_cut
                    self._ends += [] if is_cut else [here, there]
                if is_cut:
                    hang_up(here)
                    hang_up(there)
                    continue
                for way in ((here, there), (there, here)):
                    Thread(target=pass_on, args=way, daemon=True).start()


def pass_on(source: socket.socket, to: socket.socket) -> None:
    """Until one of the two hangs up."""
    with suppress(OSError):
        while data := source.recv(CHUNK):
            to.sendall(data)
    hang_up(source)
    hang_up(to)


def hang_up(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
