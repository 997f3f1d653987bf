"""What other callers feel, and what the worker holds, while hostile ones are at it.

    .venv/bin/python -m benchmarks.hostile
    .venv/bin/python -m benchmarks.hostile --rounds 9 --calls 5000

The hostile callers are those of tests/hardening/hostile_callers.py, each kind alone and then all at once: two hundred
heads that trickle, ten thousand headers, a hundred thousand chunks of one byte, a body that unpacks to 256 MB, and
JSON of a hundred thousand levels; twenty requests a second. The other caller makes plain calls, one after another, on
one connection. Each round has calls in calm and calls under attack; what is printed is the median of the rounds.

Bar (test 29 of docs/explanation/threat-model.md): less than 64 MB more, and the 99th percentile less than doubled.
"""

import argparse
import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import calls, cores, figures, gateways, targets, wire

_SCRIPT = Path(__file__).resolve().parent.parent / "tests" / "hardening" / "hostile_callers.py"
_KINDS = ("slow heads", "many headers", "tiny chunks", "packed", "deep JSON", "")
_MOST_BYTES = 64 << 20
_MOST_RATIO = 2.0


def main() -> int:
    """Print the figures; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="pairs of calm and attack (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=3000, help="calls of the others in each (default: %(default)s)")
    options = parser.parse_args()
    chosen = cores.choose()
    is_missed = False
    with targets.scratch() as folder, targets.stub(chosen.load) as stub:
        start = gateways.headworks(stub.port, folder, Path(sys.executable))
        with targets.running(start, chosen) as target, cores.on_core(chosen.load):
            calls.one_by_one(target, options.calls)  # so that what is first used is there
            print(f"load of the machine {os.getloadavg()[0]:.1f}")
            print(f"{'':14}{'p50 us':>16}{'p99 us':>18}{'worst us':>18}{'p50':>8}{'p99':>8}{'MB more':>9}")
            for kind in _KINDS:
                is_missed |= _measure(target, kind, options.rounds, options.calls)
    return int(is_missed)


def _measure(target: targets.Target, kind: str, rounds: int, each: int) -> bool:
    """One line of the table; whether a bar is missed."""
    (worker,) = target.workers
    held = _held_bytes(worker)
    pairs: list[tuple[list[int], list[int]]] = []
    for _ in range(rounds):
        calm = calls.one_by_one(target, each)
        with _attack(target, kind):
            pairs.append((calm, calls.one_by_one(target, each)))
    more = _peak_bytes(worker) - held
    columns = ""
    ratios: list[float] = []
    for percent, width in ((50, 16), (99, 18), (100, 18)):
        before = [figures.percentile(calm, percent) / 1e3 for calm, _ in pairs]
        under = [figures.percentile(busy, percent) / 1e3 for _, busy in pairs]
        shown = f"{figures.spread(before).median:.0f} -> {figures.spread(under).median:.0f}"
        columns += f"{shown:>{width}}"
        ratios.append(figures.paired_ratio(under, before).median)
    print(
        f"{kind or 'all at once':14}{columns}{ratios[0]:>7.2f}x{ratios[1]:>7.2f}x{more / (1 << 20):>9.1f}", flush=True
    )
    return more >= _MOST_BYTES or ratios[1] >= _MOST_RATIO


@contextlib.contextmanager
def _attack(target: targets.Target, kind: str) -> Iterator[None]:
    key = target.headers["authorization"].removeprefix("Bearer ")
    # They share a core with who measures, who must not wait for them there.
    command = ["nice", "-n", "10", sys.executable, str(_SCRIPT), str(target.port), key, wire.MODEL, kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != b"at it\n":
            raise targets.CannotMeasure("the hostile callers have not begun")
        time.sleep(0.2)  # by then each kind has been sent
        yield
        process.stdin.close()


def _held_bytes(pid: int) -> int:
    """What the process holds now; from here on, its peak is measured anew (proc(5), clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak_bytes(pid)


def _peak_bytes(pid: int) -> int:
    """The most memory that the process has held at once (proc(5), VmHWM)."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None, "Linux says it"
    return int(found[1]) * 1024


if __name__ == "__main__":
    sys.exit(main())
