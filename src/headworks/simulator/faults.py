"""Which fault strikes a request, and how it bends the answer."""

from collections.abc import Iterator, Sequence

import msgspec

from headworks.calls import Endpoint
from headworks.simulator import rejection
from headworks.simulator.buckets import duration, retry_headers
from headworks.simulator.chance import fraction
from headworks.simulator.plan import (
    BadKey,
    Cut,
    ErrorFault,
    Failing,
    Fault,
    Malformed,
    ModelRetired,
    Outage,
    QuotaExhausted,
    RateLimited,
    SlowStart,
    Stall,
)
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import NO_HEAD, Beat, Ending, Script, empty

_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class _Armed:
    """One fault that waits. State: how many requests it has matched, and how many it has struck."""

    def __init__(self, fault: Fault, number: int, since: float) -> None:
        self.fault = fault
        self._number = number
        self._since = since
        self._matched = 0
        self._struck = 0

    def strikes(self, endpoint: Endpoint, models: Sequence[str], seed: int, now: float) -> bool:
        """Whether it strikes this request; the share is drawn anew each time, so a retry may get through."""
        fault = self.fault
        offset_s = now - self._since
        is_match = (
            (not fault.model or fault.model in models)
            and (fault.endpoint is None or fault.endpoint == endpoint)
            and fault.from_s <= offset_s
            and (fault.until_s is None or offset_s < fault.until_s)
        )
        if not is_match:
            return False
        self._matched += 1
        if self._matched <= fault.skip or (fault.count is not None and self._struck >= fault.count):
            return False
        strikes = fraction(seed, "fault", b"%d/%d" % (self._number, self._matched)) < fault.share
        self._struck += strikes
        return strikes


class FaultBox:
    """The faults that wait for requests, in order. Their windows count from when each was put in."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._armed: list[_Armed] = []

    def __len__(self) -> int:
        return len(self._armed)

    def add(self, fault: Fault, now: float) -> None:
        self._armed.append(_Armed(fault, len(self._armed), now))

    def strike(self, endpoint: Endpoint, models: Sequence[str], now: float) -> Fault | None:
        """The first fault that strikes a request; `models` are the requested name and what it stands for."""
        for armed in self._armed:
            if armed.strikes(endpoint, models, self._seed, now):
                return armed.fault
        return None


def refusal(fault: Fault, model: str, organization: str) -> Rejection | None:
    """The error that a fault puts in the place of the answer; None if it lets the request through."""
    match fault:
        case Outage(is_silent=False):
            return Rejection(
                503,
                "The engine is currently overloaded, please try again later.",
                kind="server_error",
                code="service_unavailable",
            )
        case ErrorFault():
            headers = retry_headers(fault.retry_after_s) if fault.retry_after_s is not None else {}
            kind = "server_error" if fault.status >= 500 else "invalid_request_error"
            return Rejection(fault.status, fault.message, code=fault.code, kind=kind, headers=headers)
        case RateLimited():
            return rejection.rate_limited(
                model,
                organization,
                kind=fault.limit,
                window="requests per min (RPM)" if fault.limit == "requests" else "tokens per min (TPM)",
                detail="planned fault",
                wait=duration(fault.retry_after_s),
                headers=retry_headers(fault.retry_after_s),
            )
        case QuotaExhausted():
            return rejection.quota_exhausted()
        case ModelRetired():
            return rejection.retired_model(model)
        case BadKey():
            return rejection.wrong_key("")
        case Outage() | SlowStart() | Stall() | Cut() | Malformed() | Failing():
            return None


def bent(script: Script, fault: Fault) -> Script:
    """The answer as the fault leaves it."""
    match fault:
        case Outage(is_silent=True) | Cut(before_head=True):
            return msgspec.structs.replace(script, status=NO_HEAD, beats=empty(), ending=Ending.CUT)
        case Stall(before_head=True, for_s=None):
            return msgspec.structs.replace(script, status=NO_HEAD, beats=empty(), ending=Ending.STALL)
        case Stall(before_head=True, for_s=float() | int() as for_s):
            return msgspec.structs.replace(script, head_delay_s=script.head_delay_s + for_s)
        case SlowStart():
            return msgspec.structs.replace(script, head_delay_s=script.head_delay_s + fault.delay_s)
        case Cut():
            return _interrupted(script, fault, Ending.CUT)
        case Stall(for_s=None):
            return _interrupted(script, fault, Ending.STALL)
        case Stall():
            return _interrupted(script, fault, Ending.COMPLETE)
        case Malformed():
            return _malformed(script, fault)
        case _:
            return script


def _interrupted(script: Script, fault: Cut | Stall, ending: Ending) -> Script:
    """The answer up to the place of the fault, then its ending; or, if it ends well, a pause and the rest."""
    if script.length is None:
        marked = _marked(script.beats, fault)
    else:
        marked = ((beat, index == 1) for index, beat in enumerate(_halves(script.beats)))
    if ending is Ending.COMPLETE:
        pause_s = fault.for_s if isinstance(fault, Stall) and fault.for_s is not None else 0.0
        return msgspec.structs.replace(script, beats=_paused(marked, pause_s), is_spread=True)
    return msgspec.structs.replace(script, beats=_until(marked), ending=ending)


_MarkedBeats = Iterator[tuple[Beat, bool]]


def _marked(beats: Iterator[Beat], fault: Cut | Stall) -> _MarkedBeats:
    """The events of a stream, each with whether the fault comes right before it. It comes after so many events;
    or after so many pieces of content, one if the plan does not say; with none, right before the first piece."""
    wanted = 1 if fault.after_content is None else fault.after_content
    content = 0
    is_over = False
    for events, beat in enumerate(beats):
        if fault.after_events is not None:
            is_here = events == fault.after_events
        else:
            is_here = not is_over and content == wanted and (wanted > 0 or beat.is_content)
        is_over = is_over or is_here
        content += beat.is_content
        yield beat, is_here


def _until(marked: _MarkedBeats) -> Iterator[Beat]:
    for beat, is_place in marked:
        if is_place:
            return
        yield beat


def _paused(marked: _MarkedBeats, pause_s: float) -> Iterator[Beat]:
    for beat, is_place in marked:
        yield Beat(beat.data, beat.delay_s + pause_s, is_content=beat.is_content) if is_place else beat


def _halves(beats: Iterator[Beat]) -> Iterator[Beat]:
    """A plain body in two pieces, so that something can happen in between."""
    for beat in beats:
        middle = len(beat.data) // 2
        yield Beat(beat.data[:middle], beat.delay_s, is_content=beat.is_content)
        yield Beat(beat.data[middle:], 0.0)


def _malformed(script: Script, fault: Malformed) -> Script:
    if fault.shape == "html":
        headers = {**script.headers, b"content-type": b"text/html; charset=utf-8"}
        return msgspec.structs.replace(script, headers=headers, beats=iter((Beat(_HTML),)), length=len(_HTML))
    if script.length is None:
        return msgspec.structs.replace(script, beats=_with_broken_event(script.beats))
    data = b"".join(beat.data for beat in script.beats)
    kept = data[: len(data) * 2 // 3]
    return msgspec.structs.replace(script, beats=iter((Beat(kept),)), length=len(kept))


def _with_broken_event(beats: Iterator[Beat]) -> Iterator[Beat]:
    """The stream with the data of its first piece of content torn in half; the rest follows as if nothing was."""
    is_broken = False
    for beat in beats:
        if beat.is_content and not is_broken:
            is_broken = True
            yield Beat(beat.data[: len(beat.data) * 2 // 3].rstrip() + b"\n\n", beat.delay_s, is_content=True)
        else:
            yield beat
