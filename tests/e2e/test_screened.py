"""Whatever a caller writes, no value of it is in the bytes that leave for a provider; the answer has them all."""

import json
import random
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from sys import path as module_path

import pytest
from e2e_processes import Gateway

module_path.insert(0, str(Path(__file__).parents[1] / "screening" / "privacy"))

from corpus import CHECKED

_CALLS = 40
_HEADERS = {"content-type": "application/json"}
_CONFIG = """
screening: {{privacy: {{}}}}
providers:
  echo: {{kind: openai-compatible, base_url: "http://127.0.0.1:{port}/v1"}}
models:
  echo: {{provider: echo, model: echo}}
"""


class Echo:
    """A provider on a raw socket that answers with what it was told, and keeps every byte that it was sent."""

    def __init__(self) -> None:
        self.received = bytearray()
        self._rng = random.Random(5)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        data = b""
        with connection:
            self._answer_all(connection, data)

    def _answer_all(self, connection: socket.socket, data: bytes) -> None:
        while piece := connection.recv(65536):
            self.received += piece
            data += piece
            head, blank, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            if not blank or length is None or len(body) < int(length[1]):
                continue
            asked, data = json.loads(body[: int(length[1])]), body[int(length[1]) :]
            said = asked["messages"][-1]["content"]
            connection.sendall(self._stream(said) if asked.get("stream") else self._whole(said))

    def _whole(self, said: str) -> bytes:
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        body = json.dumps({"id": "c", "object": "chat.completion", "model": "echo", "choices": [choice]}).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)

    def _stream(self, said: str) -> bytes:
        events, place = [], 0
        while place < len(said):
            step = self._rng.randint(1, 9)
            events.append({"index": 0, "delta": {"content": said[place : place + step]}})
            place += step
        events.append({"index": 0, "delta": {}, "finish_reason": "stop"})
        lines = [json.dumps({"id": "c", "object": "chat.completion.chunk", "choices": [one]}) for one in events]
        body = "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


def _told(connection: HTTPConnection, key: str, said: str, *, is_streamed: bool) -> str:
    body = {"model": "echo", "stream": is_streamed, "messages": [{"role": "user", "content": said}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), _HEADERS | {"authorization": f"Bearer {key}"})
    answered = connection.getresponse().read().decode()
    if not is_streamed:
        return str(json.loads(answered)["choices"][0]["message"]["content"])
    data = [json.loads(line[6:]) for line in answered.splitlines() if line.startswith("data: {")]
    return "".join(one["choices"][0]["delta"].get("content", "") for one in data)


def test_no_clear_value_leaves_and_what_comes_back_is_what_was_said(
    echo: Echo, make_gateway: Callable[..., Gateway]
) -> None:
    gateway = make_gateway(_CONFIG.format(port=echo.port))
    rng = random.Random(17)
    with closing(HTTPConnection(gateway.process.address.removeprefix("http://"), timeout=30)) as connection:
        for number in range(_CALLS):
            made = [CHECKED[kind](rng) for kind in rng.choices(sorted(CHECKED), k=4)]
            values = [one[1] if isinstance(one, tuple) else one for one in made]
            said = "; ".join(one[0] if isinstance(one, tuple) else one for one in made)
            del echo.received[:]

            told = _told(connection, gateway.key, said, is_streamed=number % 2 == 1)

            assert told == said
            assert b"PII_" in echo.received
            for value in values:
                assert json.dumps(value)[1:-1].encode() not in echo.received
