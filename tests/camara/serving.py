"""Anything that answers requests, behind a real server on loopback."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from abonent.errors import Unavailable
from abonent.transport import Request, Transport


class _Conversation(BaseHTTPRequestHandler):
    server: Serving
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        request = Request(
            url=f"https://operator.example{self.path}",
            headers=dict(self.headers.items()),
            body=self.rfile.read(length),
        )
        try:
            response = self.server.behind.send(request)
        except Unavailable:
            self.server.closing.wait()
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Serving(ThreadingHTTPServer):
    """Serves until the block ends. Where what is behind is unavailable, nothing is replied."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, behind: Transport) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.behind = behind
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
