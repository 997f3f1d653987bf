"""A relay between two processes that keeps every byte that goes by, and what is in those."""

import contextlib
import io
import socket
import threading
from http.client import HTTPResponse, IncompleteRead
from typing import Any, cast


class Tap:
    """A relay to `upstream` that keeps what goes there, and what comes back. State: both."""

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.up = bytearray()
        self.down = bytearray()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def forget(self) -> None:
        del self.up[:], self.down[:]

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(near,), daemon=True))
                self._threads[-1].start()

    def _serve(self, near: socket.socket) -> None:
        with near, socket.create_connection(self._upstream) as far:
            back = threading.Thread(target=self._relay, args=(far, near, self.down), daemon=True)
            back.start()
            self._relay(near, far, self.up)
            back.join()

    @staticmethod
    def _relay(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                kept += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


class _Kept:
    """What `HTTPResponse` takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def body_of(data: bytes) -> bytes:
    """The body of the one answer that has come; what there is of it where its reader went before the last chunk."""
    begins = data.index(b"HTTP/1.1 ")  # before it there may be the end of the one before, which nobody waited for
    answer = HTTPResponse(cast("Any", _Kept(data[begins:])))
    answer.begin()
    try:
        return answer.read()
    except IncompleteRead as error:
        return error.partial
