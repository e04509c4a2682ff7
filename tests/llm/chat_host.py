"""A model's host on this machine: a real HTTP server that speaks OpenAI's chat completions.

with ChatHost() as host:
    profile.base_url = host.url
    host.refuse(401)            # the next requests fail, and quote the key that they came with
"""

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self

READY = '{"summary": "ready", "decisions": []}'


class ChatHost:
    """`keys`: those that requests came with. `waits`: seconds before each answer."""

    def __init__(self, waits: float = 0) -> None:
        self.keys: list[str] = []
        self.bodies: list[Any] = []
        self.waits = waits
        self._status = 200
        host = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                host._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def refuse(self, status: int) -> None:
        self._status = status

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length", 0))
        self.bodies.append(json.loads(request.rfile.read(length)))
        key = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.keys.append(key)
        time.sleep(self.waits)
        if self._status == 200:
            message = {"role": "assistant", "content": READY}
            said: Any = {
                "id": "1", "object": "chat.completion", "created": 1, "model": "tiny",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120},
            }  # fmt: skip
        else:
            said = {"error": {"message": f"the key {key} is wrong", "type": "auth"}}
        body = json.dumps(said).encode()
        request.send_response(self._status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
