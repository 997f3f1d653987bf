"""kill -9 of a process that writes a journal, and of one that drains it: what was promised is in the store, once.

The short form kills a few times; `pytest -m long` a hundred.
"""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headworks.records import Selection, drain_once, open_store

WRITER = """
import asyncio, itertools, os, sys, time
from pathlib import Path
from headworks.calls import Opened, Settled
from headworks.records import Journal

async def main(storage, life):
    loop = asyncio.get_running_loop()
    journal = Journal(storage / "journal", worker="worker-1", segment_bytes=65536, limit_bytes=1 << 30, loop=loop,
                      now=time.time)

    async def one_after_another(lane):
        for n in itertools.count():
            call_id = f"call_{life}_{lane}_{n}"
            opened = Opened(call_id, time.time_ns() // 1000, "responses", "fast", key_id="key_a")
            journal.append(opened)
            os.write(1, f"o{call_id}\\n".encode())
            await asyncio.sleep(0)
            journal.append(Settled(opened, "answered", 200, 5, input_tokens=7, response_body=b"x" * (n % 3000)))
            os.write(1, f"s{call_id}\\n".encode())

    def write(entries):
        if not journal.append_all(entries):
            for entry in entries:
                journal.append(entry)

    async def three_at_once():
        for n in itertools.count():
            ids = [f"call_{life}_three_{n}_{part}" for part in range(3)]
            opened = [Opened(call_id, time.time_ns() // 1000, "responses", "fast", key_id="key_a") for call_id in ids]
            write(opened)
            os.write(1, "".join(f"o{call_id}\\n" for call_id in ids).encode())
            await asyncio.sleep(0)
            write([Settled(one, "answered", 200, 5, input_tokens=7, response_body=b"x" * (n % 3000)) for one in opened])
            os.write(1, "".join(f"s{call_id}\\n" for call_id in ids).encode())

    await asyncio.gather(three_at_once(), *(one_after_another(lane) for lane in range(8)))

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""

DRAINER = """
import sys
from pathlib import Path
from headworks.console import control_plane
sys.exit(control_plane(Path(sys.argv[1]), serves_leases=True))
"""


def _start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)


def _storm(storage: Path, kills: int) -> None:
    chance = random.Random(20261124)
    storage.mkdir()
    opened: set[str] = set()
    settled: set[str] = set()
    for life in range(kills):
        drainer = _start(DRAINER, str(storage))
        writer = _start(WRITER, str(storage), str(life))
        assert writer.stdout is not None
        first = writer.stdout.readline()  # it is at work
        time.sleep(chance.uniform(0.0, 0.15))
        victims = [writer, drainer]
        chance.shuffle(victims)
        for victim in victims:
            victim.send_signal(signal.SIGKILL)
        heard = first + writer.stdout.read()
        for process in victims:
            process.wait(20)
            process.stdout.close()
        opened |= {name.decode() for name in re.findall(rb"^o(call_\S+)\n", heard, re.MULTILINE)}
        settled |= {name.decode() for name in re.findall(rb"^s(call_\S+)\n", heard, re.MULTILINE)}

    said: list[str] = []
    drain_once(storage, report=said.append)

    store = open_store(storage)
    records = store.select(Selection(limit=10_000_000))
    (total,) = store.totals([], None, None)
    store.close()
    outcomes = {record.call_id: record.outcome for record in records}
    assert len(outcomes) == len(records)
    assert len(settled) > kills
    assert [call_id for call_id in settled if outcomes.get(call_id) != "answered"] == []
    assert opened <= set(outcomes)
    # Written, but killed before it could tell: at most one call, or three at once, a lane and life.
    untold = set(outcomes) - opened
    assert len(untold) <= (8 + 3) * kills
    assert {outcomes[call_id] for call_id in set(outcomes) - settled} <= {"lost", "answered"}
    assert "lost" in outcomes.values()
    assert total.calls == len(records)
    assert total.input_tokens == 7 * list(outcomes.values()).count("answered")
    assert not any("cannot be read" in line for line in said), said
    # A segment that its writer had not named yet when it was killed is swept up a minute later.
    assert [path for path in (storage / "journal").iterdir() if path.suffix != ".unborn"] == []


@pytest.mark.timeout(180)
def test_calls_survive_a_few_kills_of_writer_and_drainer(tmp_path: Path) -> None:
    _storm(tmp_path / "storage", kills=8)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_calls_survive_a_hundred_kills_of_writer_and_drainer(tmp_path: Path) -> None:
    _storm(tmp_path / "storage", kills=100)
