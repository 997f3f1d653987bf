"""A server between a client and the simulator, which changes what goes by."""

import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

Answer = tuple[int, dict[str, str], bytes]
Breakage = Callable[[int, dict[str, str], bytes], Answer]


class Relay(ThreadingHTTPServer):
    """Passes POSTs on to `upstream`.

    Attributes:
        breakage: what is made of each answer.
        path_of: where a request goes, by its path and headers; None for a 404.
    """

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.breakage: Breakage = lambda *answer: answer
        self.path_of: Callable[[str, Mapping[str, str]], str | None] = lambda path, _: path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out in one piece: its second one would wait for the receiver's delayed ACK
    server: Relay

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        path = self.server.path_of(self.path, self.headers)
        told = (404, {"content-type": "application/json"}, b"{}") if path is None else self._answer(path, body)
        status, sent, data = self.server.breakage(*told)
        self.send_response(status)
        for name, value in sent.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, path: str, body: bytes) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        asked = urllib.request.Request(self.server.upstream + path, body, headers)
        try:
            with urllib.request.urlopen(asked) as answer:
                return answer.status, {"content-type": answer.headers["content-type"]}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {"content-type": error.headers["content-type"]}, error.read()

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def relaying(upstream: str) -> Iterator[Relay]:
    """A relay that runs."""
    server = Relay(upstream)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
