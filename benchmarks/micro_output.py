"""What the checks of an answer cost: the whole, a piece of a stream, and a round trip to the rules.

    .venv/bin/python -m benchmarks.micro_output

Bars (docs/explanation/structured-output.md): an answer of 1 KB in 30 us, a piece of 20 characters in a few, rules in
300 us. Of the checks the best of several runs is shown, for noise only ever adds; of the round trips the median.
"""

import asyncio
import json
import platform
import statistics
import sys
import tempfile
import time
import timeit
from pathlib import Path

import uvloop

from headworks.screening import IncrementalCheck, OutputSchema, RulesRunner

_RUNS = 7
_TIMES = 2_000
_TRIPS = 2_000
_PIECE = 20  # characters; a token is about four

_ITEM = {
    "type": "object",
    "properties": {
        "sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "description": {"type": "string"},
        "quantity": {"type": "integer", "minimum": 1},
        "unit_price": {"type": "number"},
    },
    "required": ["sku", "description", "quantity", "unit_price"],
    "additionalProperties": False,
}
_SCHEMA = {
    "type": "object",
    "properties": {
        "supplier": {"type": "string"},
        "date": {"type": "string", "format": "date"},
        "currency": {"type": "string", "enum": ["EUR", "USD", "GBP", "CHF"]},
        "total": {"type": "number"},
        "note": {"type": ["string", "null"]},
        "items": {"type": "array", "items": _ITEM},
    },
    "required": ["supplier", "date", "currency", "total", "note", "items"],
    "additionalProperties": False,
}
_ANSWER = {
    "supplier": "Garden & Sons Ltd.",
    "date": "2026-10-14",
    "currency": "EUR",
    "total": 1270.5,
    "note": None,
    "items": [
        {
            "sku": f"GS-{1000 + number}",
            "description": "Garden shears, forged, with a spare spring",
            "quantity": number + 1,
            "unit_price": 27.5,
        }
        for number in range(7)
    ],
}
_RULES = """
from headworks.screening import Verdict

def total_is_not_negative(output, context):
    return output["total"] >= 0

def known_currency(output, context):
    return Verdict.ok() if output["currency"] in ("EUR", "USD") else Verdict.repair("use EUR or USD")
"""


def main() -> int:
    """Print the figures."""
    print(f"Python {platform.python_version()}, {sys.executable}")
    schema = OutputSchema.compile(json.dumps(_SCHEMA).encode(), name="invoice")
    text = json.dumps(_ANSWER)
    pieces = [text[at : at + _PIECE] for at in range(0, len(text), _PIECE)]
    assert schema.check(text) is None
    assert _stream(schema, pieces) is None
    _print(f"an answer of {len(text)} bytes, checked whole", lambda: schema.check(text), 1)
    _print(f"a piece of {_PIECE} characters of it", lambda: _feed(schema, pieces), len(pieces))
    _print("the same answer, streamed and finished", lambda: _stream(schema, pieces), 1)
    trips = uvloop.run(_round_trips())
    for name, share in (("median", 50), ("99th percentile", 99)):
        print(f"{f'two rules over the answer, {name}':<60} {trips[share - 1] * 1e6:8.2f} us")
    return 0


def _feed(schema: OutputSchema, pieces: list[str]) -> IncrementalCheck:
    check = IncrementalCheck(schema)
    for piece in pieces:
        check.feed(piece)
    return check


def _stream(schema: OutputSchema, pieces: list[str]) -> object:
    return _feed(schema, pieces).finish()


async def _round_trips() -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rules.py"
        path.write_text(_RULES)
        runner = RulesRunner(path, 1.0)
        context = {"workload": "invoices", "model": "mini", "call_id": "call_1"}
        took = []
        try:
            for _ in range(_TRIPS):
                started = time.perf_counter()
                outcome = await runner.run(_ANSWER, context)
                took.append(time.perf_counter() - started)
                assert outcome.verdict == "ok", outcome
                await asyncio.sleep(0)
        finally:
            await runner.close()
    return statistics.quantiles(took[_TRIPS // 10 :], n=100)


def _print(name: str, body: object, each: int) -> None:
    best = min(timeit.repeat(body, number=_TIMES // each + 1, repeat=_RUNS)) / (_TIMES // each + 1) / each
    print(f"{name:<60} {best * 1e6:8.2f} us")


if __name__ == "__main__":
    sys.exit(main())
