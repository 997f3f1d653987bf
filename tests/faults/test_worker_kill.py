"""kill -9 of a worker under load, at random moments: what a client saw is in the store, once; the rest is lost or told.

The short form kills a few times; `pytest -m long` fifty.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest

from headworks.access import KEYS_FILE, KeyStore, server_secret
from headworks.config import load
from headworks.records import Record, Selection, drain_once, open_store

CONFIG = """
version: 1
providers:
  sim:
    kind: simulator
    plan: plan.yaml
models:
  fast: sim/gpt-6-luna
"""


class _Clients:
    """Keeps calling until told to stop; notes which call ids were answered whole and which were seen to begin."""

    def __init__(self, address: str, key: str) -> None:
        self.answered: list[str] = []
        self.begun: list[str] = []
        self._address = address
        self._key = key
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(index,)) for index in range(6)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _work(self, index: int) -> None:
        headers = {"authorization": f"Bearer {self._key}"}
        with httpx2.Client(base_url=self._address, headers=headers, timeout=10) as client:
            number = 0
            while not self._stop.is_set():
                number += 1
                body = {
                    "model": "fast",
                    "stream": number % 2 == 0,
                    "messages": [{"role": "user", "content": f"client {index} call {number}"}],
                }
                self._call(client, body)

    def _call(self, client: httpx2.Client, body: dict[str, object]) -> None:
        try:
            with client.stream("POST", "/v1/chat/completions", json=body) as answer:
                call_id = answer.headers["x-headworks-call-id"]
                self.begun.append(call_id)
                text = b"".join(answer.iter_bytes())
        except httpx2.TransportError:
            return
        if answer.status_code == 200 and text.endswith((b"data: [DONE]\n\n", b"}")):
            self.answered.append(call_id)


def _make_key(folder: Path) -> str:
    project = load(folder)
    project.storage.mkdir(exist_ok=True)
    secret = server_secret(project.config.access.secret, folder, os.environ)
    store = KeyStore(project.storage / KEYS_FILE)
    try:
        return store.create(name="storm", secret=secret, now=time.time())[1]
    finally:
        store.close()


def _records(folder: Path) -> list[Record]:
    # The control plane, which opens journals to read them, may have been the last one killed: then nobody has drained
    # them to the end, and whoever looks at the records does.
    assert drain_once(folder / ".headworks", report=print) is not None
    store = open_store(folder / ".headworks")
    try:
        return store.select(Selection(limit=1_000_000))
    finally:
        store.close()


def _workers(pid: int) -> list[int]:
    """The supervisor's children that have a journal open: its workers, and now and then the control plane."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children if _is_worker(int(child))]


def _is_worker(pid: int) -> bool:
    with suppress(OSError):  # it has ended
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # it was closed meanwhile
                if os.readlink(link).endswith(".journal"):
                    return True
    return False


def _wait_for_answers(clients: "_Clients", count: int) -> None:
    due_s = time.monotonic() + 60
    while len(clients.answered) < count:
        assert time.monotonic() < due_s, f"{len(clients.answered)} answers, where {count} were waited for"
        time.sleep(0.01)


def _storm(folder: Path, kills: int) -> None:
    (folder / "headworks.yaml").write_text(CONFIG)
    (folder / "plan.yaml").write_text("pace: 0.05\n")
    key = _make_key(folder)
    process = subprocess.Popen(
        [sys.executable, "-m", "headworks", "serve", "--port", "0", "--workers", "2"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    address = ""
    for line in process.stderr:
        said.append(line)
        if line.startswith("headworks ready on "):
            address = line.split()[-1]
            break
    assert address, said
    reader = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    reader.start()
    clients = _Clients(address, key)
    chance = random.Random(20261123)
    try:
        for _ in range(kills):
            _wait_for_answers(clients, len(clients.answered) + 11)
            time.sleep(chance.uniform(0.0, 0.3))
            workers = _workers(process.pid)
            if workers:
                os.kill(chance.choice(workers), signal.SIGKILL)
    finally:
        clients.stop()
        process.send_signal(signal.SIGTERM)
        code = process.wait(40)
        reader.join(5)
        process.stderr.close()
    assert code == 0, said
    records = _records(folder)
    seen = Counter(record.call_id for record in records)
    outcomes = {record.call_id: record.outcome for record in records}
    assert max(seen.values()) == 1
    assert [call_id for call_id in clients.answered if outcomes.get(call_id) != "answered"] == []
    assert [call_id for call_id in clients.begun if call_id not in seen] == []
    assert len(clients.answered) > 10 * kills
    assert "lost" in outcomes.values()


@pytest.mark.skipif(sys.platform != "linux", reason="finds workers through /proc")
@pytest.mark.timeout(120)
def test_calls_survive_a_few_kills(tmp_path: Path) -> None:
    _storm(tmp_path, kills=5)


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="finds workers through /proc")
@pytest.mark.timeout(600)
def test_calls_survive_fifty_kills(tmp_path: Path) -> None:
    _storm(tmp_path, kills=50)
