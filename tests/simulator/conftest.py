"""A simulator with a clock that tests move by hand, and the official SDK in front of it, without a socket."""

import asyncio
import contextlib
import json
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any

import httpx2
import openai
import pytest

from headworks.exchange import Request
from headworks.simulator import Beat, Ending, Plan, Script, Simulator
from headworks.simulator.script import NO_HEAD

START = 1_795_000_000.0  # 2026-11-18: before any shutdown of the built-in plan


class Clock:
    """Time that stands still unless it is told to move on."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> float:
        return self.time

    def move(self, seconds: float) -> None:
        self.time += seconds


class Desk:
    """A simulator with the means to ask it: raw requests, or the SDK."""

    def __init__(self, plan: Plan) -> None:
        self.clock = Clock()
        self.simulator = Simulator(plan, now=self.clock)
        self.scripts: list[Script] = []

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Script:
        """The script of one request; a body that is not bytes is sent as JSON."""
        data = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        known = {"authorization": "Bearer sk-test-1234567890", "content-type": "application/json", **headers}
        encoded = {name.replace("_", "-").encode(): value.encode() for name, value in known.items() if value}
        path, _, query = path.partition("?")
        return self.simulator.answer(Request(method, path, query, encoded, data))

    def json(self, method: str, path: str, body: object = None, *, status: int = 200, **headers: str) -> Any:
        """The decoded body of a plain answer with this status."""
        script = self.ask(method, path, body, **headers)
        data = b"".join(beat.data for beat in script.beats)
        assert script.status == status, data
        return json.loads(data)

    def chat(self, text: str = "Hello there", /, *, status: int = 200, **fields: object) -> Any:
        """A plain chat completion."""
        body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": text}], **fields}
        return self.json("POST", "/v1/chat/completions", body, status=status)

    def respond(self, text: object = "Hello there", /, *, status: int = 200, **fields: object) -> Any:
        """A plain response."""
        return self.json("POST", "/v1/responses", {"model": "gpt-6-luna", "input": text, **fields}, status=status)

    def events(self, path: str, body: object) -> list[dict[str, Any]]:
        """The decoded events of a stream."""
        return decoded_events(self.ask("POST", path, body))

    def client(self, *, is_strict: bool = True, **options: Any) -> openai.OpenAI:
        """The official client, whose transport is the simulator; strict about the shape of every answer."""
        return openai.OpenAI(
            api_key="sk-test-1234567890",
            base_url="http://simulator.invalid/v1",
            max_retries=options.pop("max_retries", 0),
            http_client=httpx2.Client(transport=httpx2.MockTransport(self._serve)),
            _strict_response_validation=is_strict,
            **options,
        )

    def _serve(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name.lower(): value for name, value in request.headers.raw}
        query = request.url.query.decode()
        script = self.simulator.answer(Request(request.method, request.url.path, query, headers, request.read()))
        self.scripts.append(script)
        if script.status == NO_HEAD:
            raise httpx2.RemoteProtocolError("cut", request=request)
        return httpx2.Response(script.status, headers=list(script.headers.items()), stream=_ScriptStream(script))


class _ScriptStream(httpx2.SyncByteStream):
    def __init__(self, script: Script) -> None:
        self._script = script

    def __iter__(self) -> Iterator[bytes]:
        for beat in self._script.beats:
            yield beat.data
        if self._script.ending is Ending.CUT:
            raise httpx2.RemoteProtocolError("cut")
        if self._script.ending is Ending.STALL:
            raise httpx2.ReadTimeout("stalled")


def decoded_events(script: Script) -> list[dict[str, Any]]:
    """The data of every event; `[DONE]` is left out."""
    assert script.headers[b"content-type"].startswith(b"text/event-stream")
    lines = b"".join(beat.data for beat in script.beats).split(b"\n")
    data = [line.removeprefix(b"data: ") for line in lines if line.startswith(b"data: ")]
    return [json.loads(line) for line in data if line != b"[DONE]"]


class _HurriedSelector(selectors.DefaultSelector):
    """Never waits: instead of waiting, it moves the time of its loop."""

    loop: "HurriedLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise AssertionError("the loop would wait for ever")
        if not ready and timeout:
            self.loop.now += timeout
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time runs only while it would wait: a minute's delay passes at once."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _HurriedSelector()
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self.now


@pytest.fixture
def hurry() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end on a hurried loop."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            return runner.run(coroutine)

    return run


def walk(script: Script) -> list[Beat]:
    return list(script.beats)


@pytest.fixture
def desk() -> Desk:
    """The built-in plan without delays."""
    return Desk(Plan(pace=0))


@pytest.fixture
def desk_with() -> Callable[..., Desk]:
    """A desk for a plan with these fields; without delays unless they say otherwise."""

    def build(fields: Mapping[str, Any] | None = None, **more: Any) -> Desk:
        return Desk(Plan(**{"pace": 0, **(fields or {}), **more}))

    return build


READY = "headworks simulator ready on "


@contextlib.contextmanager
def _running(*flags: str) -> Iterator[str]:
    command = [sys.executable, "-m", "headworks", "simulate", "--port", "0", *flags]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        line = process.stderr.readline().strip()
        assert line.startswith(READY), line
        yield line.removeprefix(READY)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


@pytest.fixture(scope="session")
def running() -> Callable[..., contextlib.AbstractContextManager[str]]:
    """Starts `headworks simulate` with flags, and gives its address; afterwards it must have ended well."""
    return _running
