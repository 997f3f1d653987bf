"""What charging a call costs it, and what price tables cost a start, in microseconds.

    .venv/bin/python -m benchmarks.micro_cost

Bars: at most 5 us for a call; at most 5 ms and 5 MB to open the catalogue and bind five targets, in its own process.
Each figure is the best of several runs: noise only ever adds.
"""

import platform
import subprocess
import sys
import timeit
from collections.abc import Callable

from headworks.calls import Usage
from headworks.catalogue import Extras, PriceBook, Terms, shipped

_RUNS = 7
_CALLS = 50_000
_USAGE = Usage(2_000, 1_500, 100, 300, 120, "provider")
_AT_US = 1_795_608_000_000_000

_START = """
import time
import headworks.config
from headworks.catalogue import PriceBook, Terms, shipped
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
before, start = resident(), time.perf_counter()
book = PriceBook(shipped(), {"p": Terms(catalogue="openai")})
kept = [book.for_target("p", name) for name in ("gpt-6-luna", "gpt-6.1-terra", "gpt-6.1-sol", "gpt-4o", "o3")]
print(f"{(time.perf_counter() - start) * 1e3:.1f} ms, {(resident() - before) / 1e6:.1f} MB")
"""


def main() -> int:
    """Print the figures."""
    print(f"Python {platform.python_version()}, {sys.executable}")
    book = PriceBook(shipped(), {name: Terms(catalogue=name) for name in ("openai", "deepseek")})
    plain = book.for_target("openai", "gpt-6.1-terra")
    hourly = book.for_target("deepseek", "deepseek-v4-pro")
    long = Extras(long_cache_write_tokens=50)
    _print("a call", lambda: plain.cost(_USAGE, at_us=_AT_US))
    _print("a call, batch", lambda: plain.cost(_USAGE, at_us=_AT_US, tier="batch"))
    _print("a call, prices by the hour", lambda: hourly.cost(_USAGE, at_us=_AT_US))
    _print("a call, with more than text", lambda: plain.cost(_USAGE, at_us=_AT_US, extras=long))
    started = subprocess.run([sys.executable, "-c", _START], capture_output=True, text=True, check=True)
    print(f"{'opening, and binding five targets':<40} {started.stdout.strip()}")
    return 0


def _print(title: str, call: Callable[[], object]) -> None:
    best = min(timeit.repeat(call, number=_CALLS, repeat=_RUNS)) / _CALLS
    print(f"{title:<40} {best * 1e6:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
