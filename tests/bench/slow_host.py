"""`python -m tests.bench.slow_host SECONDS`: a host that speaks chat completions, thinks so long, and then holds.

A process of its own, so that what it needs is not counted as the worker's. It prints its address, and answers
GET with the number of requests that it thought about at the same time, at most.
"""

import asyncio
import json
import sys

from tests.llm.hosts.wires import chat

ANSWER = json.dumps(chat()).encode()


class Host:
    """Counts who waits."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.inside = self.most = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request after the other, until it is closed."""
        while head := await self._head(reader):
            if head.startswith(b"GET"):
                answer = str(self.most).encode()
            else:
                await reader.readexactly(_length(head))
                answer = await self._think()
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                + f"content-length: {len(answer)}\r\n\r\n".encode()
                + answer
            )
            await writer.drain()
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> bytes:
        try:
            return await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def _think(self) -> bytes:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await asyncio.sleep(self.seconds)
        self.inside -= 1
        return ANSWER


def _length(head: bytes) -> int:
    lines = head.decode("latin-1").lower().split("\r\n")
    return next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))


async def main(seconds: float) -> None:
    """Serve until the process is ended."""
    server = await asyncio.start_server(Host(seconds).serve, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
