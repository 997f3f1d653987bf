"""Outcomes: reading what an application reports of its calls, and what the reports come to. Pure.

A report names a call (`call_id`), a trace (`trace_id`) or the application's own key (`caller_key`), and gives a value a
name: `{"call_id": "call_...", "name": "accepted", "value": true}`.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Literal, cast, get_args

import msgspec

from headworks.calls import OutcomeKind, OutcomeReport
from headworks.errors import Refusal
from headworks.records.stores import Figures, Tally

MOST_REPORTS = 1000
"""Most reports in one body."""

MOST_VALUE_BYTES = 64 << 10
"""Most bytes of a value, as JSON."""

MOST_NUMBER = 1e15
"""The greatest number that can be reported, either side of zero: sums of many must stay exact enough."""

MOST_LABEL_CHARACTERS = 256
DEFAULT_SOURCE = "api"

Z_95 = 1.96
"""The 97.5th percentile of the standard normal distribution, for intervals of 95 % confidence."""

_KINDS: tuple[str, ...] = get_args(OutcomeKind)
_TARGETS = ("call_id", "trace_id", "caller_key")
_MOST_TARGET_CHARACTERS = 512  # what the value of a metadata entry may have (OpenAI API reference, 2026-10)
_FIELDS = frozenset({*_TARGETS, "name", "kind", "value", "source"})
_CALL_ID = re.compile(r"call_[0-9a-f]{27}")
"""As `settlement.CallMaker` makes them: 11 digits of time, 10 of the process, 6 of a counter. A model's own id
of a tool call begins with `call_`, too, and is easily taken for one."""

_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_SOURCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,63}")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def read_outcomes(
    body: bytes, *, now_us: int, key_id: str, make_id: Callable[[], str], team: str = ""
) -> list[OutcomeReport]:
    """The reports in the body of `POST /v1/outcomes`: one object, or `{"outcomes": [...]}` with up to 1000.

    All of them are good, or none is taken. Where one body reports the same twice, the later one holds.

    Arguments:
        now_us: microseconds since the Unix epoch.
        key_id: the key that reports, `team` its team; "" where there are no keys.
        make_id: makes the id of each report.

    Raises:
        Refusal: 400; `param` and message name the report and the field at fault, never what stands in it.
    """
    try:
        decoded = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Refusal(400, "invalid_json", "The body is not valid JSON.") from None
    if not isinstance(decoded, dict):
        raise _refusal("", "the body must be an object: one outcome, or {'outcomes': [...]}")
    if "outcomes" not in decoded:
        return [_report(decoded, "", now_us, (key_id, team), make_id)]
    many = decoded["outcomes"]
    if len(decoded) > 1:
        raise _refusal("", "beside `outcomes` there can be no other field")
    if not isinstance(many, list) or not 0 < len(many) <= MOST_REPORTS:
        raise _refusal("outcomes", f"must be a list of 1 to {MOST_REPORTS} outcomes")
    return [
        # A microsecond apart, so that the order in the body decides what is the latest.
        _report(one, f"outcomes[{index}]", now_us + index, (key_id, team), make_id)
        for index, one in enumerate(many)
    ]


def _report(
    given: object, place: str, now_us: int, reporter: tuple[str, str], make_id: Callable[[], str]
) -> OutcomeReport:
    if not isinstance(given, dict):
        raise _refusal(place, "must be an object")
    if not given.keys() <= _FIELDS:
        raise _refusal(place, f"has a field that an outcome does not have; there are {', '.join(sorted(_FIELDS))}")
    targets = [name for name in _TARGETS if given.get(name) is not None]
    if len(targets) != 1:
        raise _refusal(place, f"must say what it is about with exactly one of {', '.join(_TARGETS)}")
    target = given[targets[0]]
    if not isinstance(target, str) or not 0 < len(target) <= _MOST_TARGET_CHARACTERS or not target.isprintable():
        raise _refusal(_at(place, targets[0]), f"must be text of 1 to {_MOST_TARGET_CHARACTERS} printable characters")
    if targets[0] == "call_id" and not _CALL_ID.fullmatch(target):
        raise _refusal(_at(place, "call_id"), "is no call's id: `call_` and 27 digits, as in `x-headworks-call-id`")
    name = given.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _refusal(_at(place, "name"), "must be 1 to 64 of a-z, 0-9, `_`, `.` and `-`, the first a letter")
    source = DEFAULT_SOURCE if given.get("source") is None else given["source"]
    if not isinstance(source, str) or not _SOURCE.fullmatch(source):
        raise _refusal(
            _at(place, "source"), "must be 1 to 64 letters, digits, `_`, `.`, `:`, `/` and `-`: who judged, `user`, say"
        )
    if given.get("value") is None:
        raise _refusal(_at(place, "value"), "is missing")
    kind, value = read_value(given["value"], given.get("kind"), place)
    return OutcomeReport(
        make_id(),
        now_us,
        name,
        kind,
        value,
        **{targets[0]: target},
        key_id=reporter[0],
        source=source,
        team=reporter[1],
    )


def read_value(value: object, kind: object = None, place: str = "") -> tuple[OutcomeKind, str]:
    """The kind of a value and its JSON. Without a kind, text is a label.

    Raises:
        Refusal: 400; the value is not of that kind, or too large.
    """
    at = _at(place, "value")
    if kind is None:
        kind = "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "label"
    elif kind not in _KINDS:
        raise _refusal(_at(place, "kind"), f"must be one of {', '.join(_KINDS)}")
    fitting = {
        "boolean": isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "label": isinstance(value, str),
        "text": isinstance(value, str),
        # What the answer should have been: text, or the object of a structured answer.
        "demonstration": isinstance(value, str | dict | list),
    }
    if not fitting[str(kind)]:
        wanted = {"boolean": "true or false", "number": "a number", "demonstration": "text, an object or a list"}
        raise _refusal(at, f"must be {wanted.get(str(kind), 'text')}, for its kind is {kind}")
    if kind == "number":
        value = _number(value, at)
    if kind == "label" and not (isinstance(value, str) and 0 < len(value) <= MOST_LABEL_CHARACTERS):
        raise _refusal(at, f"must have 1 to {MOST_LABEL_CHARACTERS} characters as a label; longer text has kind `text`")
    encoded = _encode(value)
    if len(encoded) > MOST_VALUE_BYTES:
        raise _refusal(at, f"has {len(encoded):,} bytes; at most {MOST_VALUE_BYTES:,} are taken")
    return cast("OutcomeKind", kind), encoded.decode()


def _number(value: object, at: str) -> float:
    assert isinstance(value, int | float)
    if not -MOST_NUMBER <= value <= MOST_NUMBER:  # NaN compares false, too
        raise _refusal(at, f"must lie between -{MOST_NUMBER:.0e} and {MOST_NUMBER:.0e}")
    return float(value)


def _at(place: str, field: str) -> str:
    return f"{place}.{field}" if place else field


def _refusal(place: str, problem: str) -> Refusal:
    text = f"{place} {problem}." if place else f"{problem[0].upper()}{problem[1:]}."
    return Refusal(400, "invalid_outcome", text, param=place or None)


def wilson(successes: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a share: between which bounds it lies, with the confidence that `z` stands for.

    Source: E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal of the American
    Statistical Association 22 (1927), 209-212. Of no observations, nothing is known: (0, 1).
    """
    if total <= 0:
        return 0.0, 1.0
    share = successes / total
    shrink = 1 + z * z / total
    middle = (share + z * z / (2 * total)) / shrink
    half = z / shrink * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    # At the ends the bound is exact; rounding must not move it.
    return 0.0 if successes == 0 else max(0.0, middle - half), 1.0 if successes == total else min(1.0, middle + half)


def mean_interval(total: float, squares: float, count: int, z: float = Z_95) -> tuple[float, float, float]:
    """A mean and the normal interval around it; without bounds (infinite) for fewer than two observations.

    Arguments:
        total: the sum of the observations.
        squares: the sum of their squared distances from the mean.
    """
    if count <= 0:
        return math.nan, -math.inf, math.inf
    mean = total / count
    if count == 1:
        return mean, -math.inf, math.inf
    half = z * math.sqrt(max(0.0, squares) / (count - 1) / count)
    return mean, mean - half, mean + half


class Rate(msgspec.Struct, frozen=True):
    """What reports of one name and source say of one group of calls, beside what those calls came to.

    `measure` says what `value` is: the *share* that is true (or has this label), the *mean* of a number, or only a
    *count* (text cannot be summed up). `low` and `high` bound it with 95 % confidence; None where nothing bounds it.
    `input_tokens` and `output_tokens` are means of the answered calls. `cost_pico` sums up what is known of the cost of
    all calls of the group, in pico-dollars; `unknown_costs` counts those of which it is not.
    """

    group: tuple[str, ...]
    name: str
    source: str
    kind: OutcomeKind
    label: str
    reports: int
    measure: Literal["share", "mean", "count"]
    value: float
    low: float | None
    high: float | None
    calls: int
    answered: int
    median_us: int
    input_tokens: float
    output_tokens: float
    cost_pico: int
    unknown_costs: int


def rates(tallies: Sequence[Tally], figures: Sequence[Figures]) -> list[Rate]:
    """Rates with their intervals, in the order of the tallies."""
    by_group = {figure.group: figure for figure in figures}
    labelled: dict[tuple[object, ...], int] = {}
    for tally in tallies:
        if tally.kind == "label":
            series = (tally.group, tally.name, tally.source)
            labelled[series] = labelled.get(series, 0) + tally.reports
    return [
        _rate(tally, by_group[tally.group], labelled.get((tally.group, tally.name, tally.source), 0))
        for tally in tallies
        if tally.group in by_group
    ]


def _rate(tally: Tally, calls: Figures, labelled: int) -> Rate:
    measure: Literal["share", "mean", "count"] = "share"
    low: float | None
    high: float | None
    if tally.kind == "boolean":
        value = tally.total / tally.reports
        low, high = wilson(round(tally.total), tally.reports)
    elif tally.kind == "label":
        value = tally.reports / labelled
        low, high = wilson(tally.reports, labelled)
    elif tally.kind == "number":
        measure = "mean"
        value, low, high = mean_interval(tally.total, tally.squares, tally.reports)
        if math.isinf(low):
            low = high = None
    else:
        measure, value, low, high = "count", float(tally.reports), None, None
    answered = max(1, calls.answered)
    return Rate(
        tally.group,
        tally.name,
        tally.source,
        tally.kind,
        msgspec.json.decode(tally.label, type=str) if tally.label else "",
        tally.reports,
        measure,
        value,
        low,
        high,
        calls.calls,
        calls.answered,
        calls.median_us,
        calls.input_tokens / answered,
        calls.output_tokens / answered,
        calls.cost_pico,
        calls.unknown_costs,
    )
