"""What rendering a prompt costs a call, and reading one a start, in microseconds.

    .venv/bin/python -m benchmarks.micro_prompt

Bar: at most 15 us for a call whose prompt has a fixed section of 2 KB and two variables. Each figure is the best of
several runs: noise only ever adds.
"""

import platform
import sys
import timeit
from collections.abc import Callable

from headworks.prompts import parse

_RUNS = 7
_CALLS = 5_000
_PARSES = 50

_RULES = "You sort tickets of a garden shop; answer with one of the labels below and nothing else. " * 23
_TICKET = "An order of garden shears has come with a bent blade; I want a new pair before Friday. " * 4
_PLAIN = f"""---
version: 1.0.0
variables:
  ticket: string
  tone: {{type: enum, values: [formal, warm]}}
---
{_RULES}
{{% user %}}
Write in a {{{{ tone }}}} tone.
{{{{ ticket|fence }}}}
"""
_ROUND = f"""---
version: 1.0.0
variables:
  orders: {{type: list, items: {{type: object}}}}
  ticket: string
---
{_RULES}
{{% user %}}
{{% for order in orders if order.total > 10 %}}
{{{{ loop.index }}}}. {{{{ order.name|upper }}}}: {{{{ order.total|round(2) }}}}
{{% endfor %}}
{{{{ ticket|fence }}}}
"""
_ORDERS = [{"name": f"shears {number}", "total": number * 3.14159} for number in range(20)]
_MARKER = "3f9a41c07be2d586"


def main() -> int:
    """Print the figures."""
    print(f"Python {platform.python_version()}, {sys.executable}")
    plain = parse(_PLAIN, name="plain", file="prompt.md")
    a_round = parse(_ROUND, name="round", file="prompt.md")
    few, many = {"ticket": _TICKET, "tone": "warm"}, {"ticket": _TICKET, "orders": _ORDERS}
    _print("a call, 2 KB fixed, two variables, one fenced", lambda: plain.render(few, marker=_MARKER), _CALLS)
    _print("a call, a loop over 20 objects", lambda: a_round.render(many, marker=_MARKER), _CALLS // 10)
    _print("reading prompt.md", lambda: parse(_PLAIN, name="plain", file="prompt.md"), _PARSES)
    return 0


def _print(name: str, body: Callable[[], object], times: int) -> None:
    best = min(timeit.repeat(body, number=times, repeat=_RUNS)) / times
    print(f"{name:<50} {best * 1e6:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
