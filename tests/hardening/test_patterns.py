"""Regular expressions that meet a caller's or a provider's text take time that grows with the text and no faster.

Python's engine backtracks: one careless pattern and a body of a few megabytes occupies a worker for hours. Every
pattern that the rooms on the way of a call hold is found in the source, with the methods by which it is used, and fed
with texts that are made from its own pieces, repeated. Detectors of personal data have a test of their own, with RE2
and without (`tests/screening/privacy/test_engines.py`).
"""

import ast
import functools
import importlib
import re
import time
from pathlib import Path

ROOT = Path(__file__).parents[2] / "src" / "headworks"
OPERATORS = ("cli", "config", "importing", "doctoring", "evals", "simulator", "workloads", "prompts/parsing.py")
"""Rooms that read what the operator wrote, or play the provider; what is said of a template that is none."""

METHODS = ("search", "match", "fullmatch", "sub", "subn", "split", "findall", "finditer")
SHORT, LONG = 4_000, 16_000
SLOW_S = 0.001
"""Seconds above which a text of `SHORT` pieces is looked at again: a linear search of it takes a tenth of a
millisecond, the quickest of the quadratic ones four."""


def on_the_way():
    for path in sorted(ROOT.rglob("*.py")):
        place = path.relative_to(ROOT)
        if not str(place).startswith(OPERATORS):
            yield place, path.read_text("utf-8")


def patterns_of(place, text):
    """Each constant pattern of a file: where it is, what it is, and how it is used."""
    tree = ast.parse(text)
    used = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in METHODS:
            used.setdefault(node.value.id, set()).add(node.attr)
    module = importlib.import_module("headworks." + ".".join(place.with_suffix("").parts).removesuffix(".__init__"))
    for name, value in vars(module).items():
        if isinstance(value, re.Pattern) and f"{name} = re.compile" in text.replace(": Final", ""):
            yield f"{place}:{name}", value, sorted(used.get(name, {"match", "search"}))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            owner, method = node.func.value, node.func.attr
            if isinstance(owner, ast.Name) and owner.id == "re" and method in METHODS:
                first = node.args[0]
                source = (
                    first.value if isinstance(first, ast.Constant) else getattr(module, getattr(first, "id", ""), None)
                )
                if isinstance(source, str | bytes):
                    flags = re.IGNORECASE if "IGNORECASE" in ast.unparse(node) else 0
                    yield f"{place}:{node.lineno}", re.compile(source, flags), [method]


@functools.cache
def patterns():
    found = []
    for place, text in on_the_way():
        if "import re\n" in text:
            found += patterns_of(place, text)
    return found


def pieces_of(pattern):
    """Texts out of which an attack on this pattern is made: its literal runs, and one character of every kind."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    literals = {
        run for run in re.findall(r"[A-Za-z0-9 :;,=/<>\"'{}-]+", re.sub(r"\\.|\(\?[:<!=P]+", "", source)) if run
    }
    longest = sorted(literals, key=len, reverse=True)[:6]
    kinds = [
        "a",
        "A",
        "0",
        " ",
        "\t",
        "\n",
        "\r",
        "\r\n",
        ".",
        "-",
        "/",
        ":",
        ";",
        '"',
        "\\",
        "_",
        "x=",
        "a.",
        "a ",
        "0.",
        "\u00e9",
    ]
    return longest, kinds


def seconds(act, text):
    began_s = time.process_time()
    act(text)
    return time.process_time() - began_s


def bound(pattern, method):
    if method in ("sub", "subn"):
        empty = "" if isinstance(pattern.pattern, str) else b""
        return lambda text: getattr(pattern, method)(empty, text)
    if method == "finditer":
        return lambda text: sum(1 for _ in pattern.finditer(text))
    return getattr(pattern, method)


def attacks(pattern, method, length):
    end = "\0" if method in ("search", "match", "fullmatch") else ""  # what is found ends a search and nothing else
    literals, kinds = pieces_of(pattern)
    for prefix in ["", *literals[:2]]:
        for piece in [*literals, *kinds]:
            text = prefix + piece * (length // len(piece)) + end
            yield text if isinstance(pattern.pattern, str) else text.encode("latin-1", "replace")


def worst_of(pattern, method):
    """The attack whose time grows faster than its length, if there is one."""
    act = bound(pattern, method)
    for short, long in zip(attacks(pattern, method, SHORT), attacks(pattern, method, LONG), strict=True):
        if seconds(act, short) < SLOW_S:
            continue
        # Somebody else may have had the processor: the least of three says what it takes.
        few, many = (min(seconds(act, text) for _ in range(3)) for text in (short, long))
        if few > SLOW_S / 4 and many > 8 * few:
            return short[:40]
    return None


def test_patterns_on_the_way_of_a_call_are_found():
    assert len(patterns()) > 60
    assert {"server/guard.py:_HOST", "dialects/sse.py:_BLANK_LINE", "endpoints.py:_GENERATING"} <= {
        place for place, _, _ in patterns()
    }


def test_no_pattern_runs_away_with_a_text_made_for_it():
    slow = [
        (place, method, attack)
        for place, pattern, methods in patterns()
        for method in methods
        if (attack := worst_of(pattern, method)) is not None
    ]

    assert slow == []


def test_the_measure_tells_a_pattern_that_runs_away():
    assert worst_of(re.compile(r"a*b"), "search") is not None
