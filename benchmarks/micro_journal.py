"""What one call pays for its records and its key check, in microseconds; and how fast journals are drained.

    .venv/bin/python -m benchmarks.micro_journal [URL]

With the URL of a PostgreSQL database (empty, password included), journals are drained into it, too.

Bars (docs/explanation/performance.md): an append at most 2.5 us, 20,000 records a second and
worker; a key check at most 5 us. Each figure is the best of several runs: noise only ever adds.
"""

import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from headworks.access import KEYS_FILE, KeyRing, KeyStore
from headworks.calls import Opened, Settled
from headworks.records import JOURNAL_FOLDER, Journal, drain_once

_RUNS = 5
_CALLS = 20_000
_STORED_CALLS = 50_000


def main() -> int:
    """Print the figures."""
    print(f"Python {platform.python_version()}, {sys.executable}")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_journal(Path(folder)))
    with tempfile.TemporaryDirectory() as folder:
        _ring(Path(folder))
    for url in ("", *sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_drain(Path(folder), url))
    return 0


async def _journal(folder: Path) -> None:
    journal = _open(folder)
    opened, settled = _entries(1)

    for name, entry in (("opened", opened), ("settled", settled)):
        best = min(_seconds(lambda entry=entry: _append(journal, entry)) for _ in range(_RUNS))
        _print(f"append an entry ({name})", best / _CALLS)
    journal.close()


def _append(journal: Journal, entry: Opened | Settled) -> None:
    for _ in range(_CALLS):
        journal.append(entry)


def _ring(folder: Path) -> None:
    store = KeyStore(folder / KEYS_FILE)
    keys = [store.create(secret=b"5" * 64, now=time.time(), models=("openai/*", "fast"))[1] for _ in range(200)]
    ring = KeyRing(store, b"5" * 64, time.time)
    headers = [b"Bearer " + key.encode() for key in keys]

    def check() -> None:
        for header in headers:
            ring.identify(header).may_use("fast")

    def refresh() -> None:
        for _ in headers:
            ring.refresh()

    check()
    for name, body in (("check a key and a model", check), ("refresh the ring, nothing changed", refresh)):
        _print(name, min(_seconds(body) for _ in range(_RUNS * 10)) / len(headers))
    store.close()


async def _drain(folder: Path, url: str) -> None:
    journal = _open(folder / JOURNAL_FOLDER)
    for n in range(_STORED_CALLS):
        for entry in _entries(n):
            journal.append(entry)
    journal.close()
    start, cpu = time.perf_counter(), time.process_time()
    drained = drain_once(folder, url)
    elapsed, cpu_s = time.perf_counter() - start, time.process_time() - cpu
    assert drained is not None
    assert drained.recorded == _STORED_CALLS
    _print(f"drain a call into {'PostgreSQL' if url else 'SQLite'} (own CPU)", cpu_s / _STORED_CALLS)
    size = sum(path.stat().st_size for path in folder.glob("records.db*"))
    room = "" if url else f", {size / _STORED_CALLS:.0f} bytes a call"
    print(f"{'drained':<50} {_STORED_CALLS / elapsed:10,.0f} calls/s{room}")


def _open(folder: Path) -> Journal:
    return Journal(
        folder,
        worker="bench",
        segment_bytes=16 << 20,
        limit_bytes=1 << 34,
        loop=asyncio.get_running_loop(),
        now=time.time,
    )


def _entries(n: int) -> tuple[Opened, Settled]:
    opened = Opened(
        call_id=f"call_{n:026x}",
        opened_us=1_795_435_200_000_000 + n * 1000,
        endpoint="chat.completions",
        requested_model="openai/gpt-6-luna",
        key_id=f"key_{n % 50:012d}",
        owner="ann",
        team="search",
        user=f"user-{n % 1000}",
        provider="openai",
        model="gpt-6-luna",
        request_bytes=900,
    )
    settled = Settled(
        opened=opened,
        outcome="answered",
        status=200,
        total_us=1_234_567,
        finish_reason="stop",
        served_model="gpt-6-luna-2026-08-20",
        response_id=f"chatcmpl-{os.urandom(16).hex()}",
        upstream_request_id=f"req_{n:024x}",
        input_tokens=300,
        output_tokens=120,
        usage_source="provider",
        attempts=1,
        response_bytes=1200,
        cost_pico=90_000_000,
        price_version="2026-11-25-b5fbb4ad817a.9720df73",
        service_tier="default",
    )
    return opened, settled


def _seconds(body: Callable[[], None]) -> float:
    start = time.perf_counter()
    body()
    return time.perf_counter() - start


def _print(name: str, seconds: float) -> None:
    print(f"{name:<50} {seconds * 1e6:10.2f} us")


if __name__ == "__main__":
    sys.exit(main())
