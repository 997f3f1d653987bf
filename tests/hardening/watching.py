"""A gateway that is watched (`watched_gateway.py`), its upstream, and a place that nobody may ever connect to."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from headworks.access import KEYS_FILE, KeyStore, server_secret
from headworks.config import load

SCRIPT = Path(__file__).with_name("watched_gateway.py")
SOURCE = Path(__file__).parents[2] / "src"
PROVIDER_KEY = "sk-provider-0123456789abcdef0123456789"

COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello.", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12},
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hello."}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 3},
}
GENERATED = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hello."}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12},
    "modelVersion": "m",
}


def plain(body: object, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def well(path: str, body: bytes) -> bytes:
    """What a provider of whichever kind would answer."""
    for part, answer in (("/chat/", COMPLETION), ("/responses", RESPONSE), ("/messages", MESSAGE)):
        if part in path:
            return plain(answer)
    return plain(GENERATED)


class Upstream:
    """A provider in a thread; keeps the bytes that came. `answer` gives a request's path and body the bytes back."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.answer: Callable[[str, bytes], bytes] = well
        self.pieces: list[bytes] = []  # sent instead of an answer's whole, one by one
        self._loop = asyncio.new_event_loop()
        self._is_ready = threading.Event()
        self.port = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._is_ready.wait(10)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"\r\ncontent-length: (\d+)\r\n", head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                self.heads.append(head)
                self.bodies.append(body)
                pieces, self.pieces = self.pieces, []
                for piece in pieces or [self.answer(head.split(b" ")[1].decode(), body)]:
                    writer.write(piece)
                    await writer.drain()
        writer.close()


class Trap:
    """A listener that nobody may connect to."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]

    @property
    def was_entered(self) -> bool:
        """Whether somebody has connected since the last look."""
        with contextlib.suppress(BlockingIOError):
            self._socket.accept()[0].close()
            return True
        return False

    def close(self) -> None:
        self._socket.close()


CONFIG = """
version: 1
access: {mode: keys}
defaults: {retries: 0}
providers:
  open: {kind: openai-compatible, base_url: ADDRESS/v1, api_key: file:provider-key, speaks: [responses, chat]}
  chat: {kind: openai-compatible, base_url: ADDRESS/v1, api_key: file:provider-key, speaks: [chat]}
  claude: {kind: anthropic, base_url: ADDRESS, api_key: file:provider-key}
  google: {kind: gemini, base_url: ADDRESS, api_key: file:provider-key}
"""


class Watched:
    """The gateway's process, and what it asked of the system."""

    def __init__(self, folder: Path, upstream: Upstream) -> None:
        self.folder = folder
        self.upstream = upstream
        (folder / "headworks.yaml").write_text(CONFIG.replace("ADDRESS", f"http://localhost:{upstream.port}"))
        (folder / "provider-key").write_text(PROVIDER_KEY)
        (folder / "provider-key").chmod(0o600)
        project = load(folder)
        project.storage.mkdir()
        store = KeyStore(project.storage / KEYS_FILE)
        secret = server_secret(project.config.access.secret, folder, os.environ)
        self.key = store.create(name="watched", secret=secret, now=time.time())[1]
        store.close()
        self._events = folder.parent / "events"
        command = [sys.executable, str(SCRIPT), str(folder), str(self._events)]
        self._log = folder.parent / "log"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline().split()
        assert ready[:1] == ["ready"]
        self.port = int(ready[1])

    def stop(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        return code

    def events(self) -> list[tuple[str, object]]:
        """What was asked of the system since it was ready, in order."""
        return [tuple(json.loads(line)) for line in self._events.read_text().splitlines()]

    def of(self, *names: str) -> list[object]:
        """The subjects of these events."""
        return [subject for name, subject in self.events() if name in names]

    def faults(self) -> list[str]:
        """What the process says on standard error: faults of ours, by call and place."""
        return self._log.read_text().splitlines()

    def held_bytes(self) -> int:
        """What the process holds now; from here on, its peak is measured anew (proc(5), clear_refs)."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.peak_bytes

    @property
    def peak_bytes(self) -> int:
        """The most memory that the process has held at once (proc(5), VmHWM)."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024  # type: ignore[index]

    def ask(self, path: str, body: object = None, *, method: str = "POST", **headers: str) -> tuple[int, bytes]:
        """One call; its status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        given = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, data, given)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def say(self, data: bytes) -> bytes:
        """Raw bytes, which must ask for the end of the connection, and all that the gateway answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(65536):
                    answer += piece
            return answer
