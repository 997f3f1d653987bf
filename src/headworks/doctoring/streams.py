"""Whether streams pass unbuffered: measured, not assumed.

The gateway is asked for its stream of known pacing (`headworks.pulse`). Each event says when it left; by how much more
than the fastest of them an event was delayed is how long it was kept back on the way. No clock needs to agree with
another. Events that arrive in one go are a *batch*: as many batches as events means that nothing is buffered.
"""

import asyncio
import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from headworks._version import __version__
from headworks.calls import FailureKind
from headworks.doctoring.asking import Heard, asking, failure_words, is_unreachable
from headworks.doctoring.findings import Check, Finding, ok, problem, skipped, warning
from headworks.doctoring.gateway import KEY_HINT, authorization, get, in_front, is_headworks
from headworks.doctoring.situation import Situation, Target
from headworks.exchange import Timeouts, UpstreamRequest
from headworks.pulse import BEAT, PACE_S, PATH, Pulse

_BATCH_GAP_S = PACE_S * 0.25
"""Events that come closer together than this came as one."""

_FEW_BATCHES = 0.5
_MANY_BATCHES = 0.85
"""Below the one, events are gathered on the way; between the two a network may have had a bad moment."""

_LONG_HOLD_S = 0.5

_BEAT_MOST_S = 15.0
_BEATS = 4
_UNPACKED_BYTES = 1024 * 1024
"""Bound on what is looked at: the stream has five kilobytes, and who answers may be anybody."""

_DATA = re.compile(rb"^data: (.*)$", re.MULTILINE)

_UNBUFFERED = (
    "have what stands in front pass streams on as they come; nginx: `proxy_buffering off; proxy_http_version 1.1;`, no "
    "`proxy_ignore_headers X-Accel-Buffering;`, no `gzip` for `text/event-stream`"
)
_HEADER_TAKEN_OUT = (
    "; the header `x-accel-buffering: no` does not come through: where two proxies stand in a row, the inner one "
    "takes it away from the outer one (nginx: `proxy_pass_header X-Accel-Buffering;`)"
)
_NGINX_11 = 'nginx: `proxy_http_version 1.1; proxy_set_header Connection "";`'


class Arrival(msgspec.Struct, frozen=True):
    """An event that has come: when it left and when it came, in seconds of two clocks that need not agree."""

    sent_s: float
    arrived_s: float


class Pacing(msgspec.Struct, frozen=True):
    """How events came.

    Attributes:
        batches: in how many goes.
        longest_hold_s: how much longer than the fastest one the slowest event was on its way.
    """

    events: int
    batches: int
    longest_hold_s: float

    @property
    def share(self) -> float:
        """Batches an event: 1 is one by one."""
        return self.batches / self.events if self.events else 0.0


def pacing_of(arrivals: Sequence[Arrival]) -> Pacing:
    """How these events came; they are in order."""
    if not arrivals:
        return Pacing(0, 0, 0.0)
    gaps = [later.arrived_s - earlier.arrived_s for earlier, later in pairwise(arrivals)]
    delays = [one.arrived_s - one.sent_s for one in arrivals]
    return Pacing(
        len(arrivals),
        1 + sum(gap >= _BATCH_GAP_S for gap in gaps),
        round(max(delays) - min(delays), 3),
    )


def judge(pacing: Pacing, proxy: str, *, has_header: bool = True) -> Finding:
    """What that means.

    Arguments:
        proxy: what stands in front, as it calls itself; "" if it does not.
        has_header: our `x-accel-buffering: no` came through.
    """
    way_out = _UNBUFFERED if has_header else _UNBUFFERED + _HEADER_TAKEN_OUT
    held = f"the longest was kept back for {pacing.longest_hold_s:.2f} s"
    by = f" ({proxy})" if proxy else ""
    figures: dict[str, float] = {
        "events": pacing.events,
        "batches": pacing.batches,
        "longest_hold_s": pacing.longest_hold_s,
    }
    if pacing.batches <= 1:
        says = f"streams are BUFFERED on the way{by}: {pacing.events} events came all at once, {held}"
        return problem("unbuffered", says, way_out, **figures)
    came = f"{pacing.events} events came in {pacing.batches} batches, {held}"
    if pacing.share < _FEW_BATCHES:
        return problem("unbuffered", f"streams are BUFFERED on the way{by}: {came}", way_out, **figures)
    if pacing.share < _MANY_BATCHES or pacing.longest_hold_s > _LONG_HOLD_S:
        way_out = "look again; if it stays so, see what gathers small packets on the way"
        return warning("unbuffered", f"streams come unevenly{by}: {came}", way_out, **figures)
    one_by_one = pacing.batches == pacing.events
    came = f"{pacing.events} events came one by one, {held}" if one_by_one else came
    return ok("unbuffered", f"streams pass unbuffered: {came}", **figures)


def checks(situation: Situation) -> list[Check]:
    """The pacing; and what becomes of silence, if that is asked for."""
    target = situation.target
    if target is None:
        return []
    found = [Check("streams", lambda: _look(situation, target), 40.0)]
    if situation.quiet_s:
        limit_s = situation.quiet_s + 60.0
        found.append(Check("silence", lambda: _look_long(situation, target, situation.quiet_s), limit_s))
    return found


async def _look(situation: Situation, target: Target) -> list[Finding]:
    async with asking("the gateway", target.origin) as asker:
        heard = await asker.ask(_request(situation, target, ""))
        unheard = _unheard(heard, situation)
        if unheard is not None:
            return [unheard]
        arrivals = read_arrivals(heard)
        pacing = pacing_of(arrivals)
        if pacing.share < _MANY_BATCHES or pacing.longest_hold_s > _LONG_HOLD_S:
            # Once more before a proxy is blamed: a bad moment of the network does not come twice.
            again = await asker.ask(_request(situation, target, ""))
            if _unheard(again, situation) is None:
                heard = again
                pacing = max(pacing, pacing_of(read_arrivals(again)), key=lambda one: one.share)
    has_header = bool(heard.header("x-accel-buffering"))
    findings = [judge(pacing, in_front(heard), has_header=has_header), *judge_head(heard)]
    version = next((one.version for one in read_pulses(heard) if one.version), "")
    if version == __version__:
        findings.append(ok("version", f"the gateway is {version}, as this is"))
    elif version:
        way_out = "look from the same release, or upgrade the older one"
        findings.append(warning("version", f"the gateway is {version}, this is {__version__}", way_out))
    return findings


def judge_head(heard: Heard) -> list[Finding]:
    """What a proxy has made of a stream's head."""
    findings = []
    if heard.is_http10:
        way_out = f"have what stands in front speak HTTP/1.1 to clients and to the gateway; {_NGINX_11}"
        findings.append(warning("http", "streams are answered in HTTP/1.0: every one costs a connection", way_out))
    encoding = heard.header("content-encoding")
    if encoding and encoding != "identity":
        way_out = "leave `text/event-stream` out of what is compressed in front: it gathers events, and gains little"
        findings.append(warning("encoding", f"streams are compressed on the way ({encoding[:20]})", way_out))
    if heard.header("content-length"):
        way_out = "have what stands in front pass streams on as they come"
        findings.append(problem("framing", "a stream has a `content-length`: it was gathered whole", way_out))
    if not heard.header("content-type").startswith("text/event-stream"):
        way_out = "have what stands in front leave `content-type` alone: SDKs know a stream by it"
        findings.append(problem("type", "a stream comes as something else than `text/event-stream`", way_out))
    if "no-cache" not in heard.header("cache-control") and "no-store" not in heard.header("cache-control"):
        way_out = "have what stands in front leave `cache-control` alone"
        findings.append(warning("caching", "a stream comes without `cache-control: no-cache`", way_out))
    return findings or [ok("head", "nothing on the way has changed what matters in a stream's head")]


async def _look_long(situation: Situation, target: Target, quiet_s: float) -> list[Finding]:
    """A stream that is silent for long, and beside it one that is kept alive by comments."""
    patient = Timeouts(connect_s=5.0, first_byte_s=30.0, between_bytes_s=quiet_s + 20.0, total_s=quiet_s + 40.0)

    async def ask(query: str) -> Heard:
        async with asking("the gateway", target.origin) as asker:
            return await asker.ask(_request(situation, target, query), patient)

    beat_s = beat_for(quiet_s)
    silent, kept = await asyncio.gather(ask(f"?quiet_s={quiet_s:g}"), ask(f"?quiet_s={quiet_s:g}&beat_s={beat_s:g}"))
    for heard in (silent, kept):
        if heard.status != 200:
            unheard = _unheard(heard, situation)
            return [] if unheard is None else [unheard]
    return judge_silence(silent, kept, quiet_s)


def beat_for(quiet_s: float) -> float:
    """Seconds between the comments of a stream that has nothing to say for so long."""
    return min(_BEAT_MOST_S, quiet_s / _BEATS)


def judge_silence(silent: Heard, kept: Heard, quiet_s: float) -> list[Finding]:
    """What became of a stream that was silent for `quiet_s` seconds, and of one with comments in between."""
    if _is_whole(silent):
        finding = ok("idle", f"a stream that is silent for {quiet_s:g} s is not cut", silent_s=quiet_s)
    else:
        lasted_s = round(silent.end_s - silent.head_s, 1)
        says = f"a stream that is silent is cut after {lasted_s:g} s, and so is an answer that takes so long to begin"
        way_out = "give what stands in front more patience than the longest answer; nginx: `proxy_read_timeout 600s;`"
        finding = warning("idle", says, way_out, cut_after_s=lasted_s)
    beat_s = beat_for(quiet_s)
    beats = {piece.at_s for piece in kept.pieces if BEAT in piece.data}
    if not _is_whole(kept):
        lasted_s = round(kept.end_s - kept.head_s, 1)
        says = f"a stream is cut after {lasted_s:g} s although something is sent every {beat_s:g} s"
        way_out = "see which limit on a whole request stands in front, and raise it over the longest answer"
        return [finding, problem("heartbeat", says, way_out, cut_after_s=lasted_s)]
    if len(beats) < _BEATS - 1:
        return [finding, problem("heartbeat", "comments do not come through one by one", _UNBUFFERED)]
    return [finding, ok("heartbeat", f"a stream with a comment every {beat_s:g} s is not cut", seconds=quiet_s)]


def read_pulses(heard: Heard) -> list[Pulse]:
    """The events of an answer; none where it is something else."""
    return [pulse for pulse, _ in _events(heard)]


def read_arrivals(heard: Heard) -> list[Arrival]:
    """When each event left and came; one that came in parts has come with its last."""
    return [Arrival(pulse.sent_ms / 1000, at_s) for pulse, at_s in _events(heard)]


def _events(heard: Heard) -> list[tuple[Pulse, float]]:
    unpack = zlib.decompressobj(wbits=47) if heard.header("content-encoding") == "gzip" else None
    found: list[tuple[Pulse, float]] = []
    left = b""
    room = _UNPACKED_BYTES
    try:
        for piece in heard.pieces:
            data = piece.data if unpack is None else unpack.decompress(piece.data, room)
            room -= len(data)
            if room <= 0:
                return []
            left += data
            whole, mark, left = left.rpartition(b"\n\n")
            found += [(msgspec.json.decode(data, type=Pulse), piece.at_s) for data in _DATA.findall(whole + mark)]
    except (msgspec.MsgspecError, UnicodeDecodeError, zlib.error):
        return []
    return found


def _is_whole(heard: Heard) -> bool:
    pulses = read_pulses(heard)
    return heard.failure is None and bool(pulses) and pulses[-1].event == pulses[-1].of - 1


def _request(situation: Situation, target: Target, query: str) -> UpstreamRequest:
    # Compression is offered as SDKs offer it: a proxy that compresses streams is to show itself.
    headers = (("accept", "text/event-stream"), ("accept-encoding", "gzip"), *authorization(situation))
    return get(target, PATH + query, *headers)


def _unheard(heard: Heard, situation: Situation) -> Finding | None:
    """Why there is nothing to judge; None if there is."""
    failure = heard.failure
    if heard.status == 0 and is_unreachable(failure):
        return skipped("unbuffered", "the gateway was not reached")
    if heard.status in (502, 503, 504) and not is_headworks(heard):
        return skipped("unbuffered", "the gateway behind the proxy was not reached")
    if heard.status in (401, 403):
        if situation.key is None:
            return skipped("unbuffered", "whether streams pass unbuffered is seen only with a key", KEY_HINT)
        return skipped("unbuffered", "the key is refused")
    if heard.status == 404:
        way_out = f"upgrade the gateway, and have the proxy pass `{PATH}` on"
        return skipped("unbuffered", f"there is no `{PATH}` there: not Headworks, or an older release", way_out)
    if heard.status == 429:
        return skipped("unbuffered", "somebody else measures this gateway just now", "look again in a few seconds")
    if heard.status != 200 and failure is None:
        return problem("unbuffered", f"GET {PATH} is answered with {heard.status}", "see the gateway's log")
    if failure is not None:
        kind = "cut" if failure.kind is FailureKind.BROKEN else "not finished"
        says = f"a stream of two seconds is {kind}: {failure_words(failure)}"
        return problem("unbuffered", says, "see which limit in front, or which fault of the gateway, ends it")
    if not _is_whole(heard):
        return problem("unbuffered", "the stream lacks its end, or is something else", "see what stands in front")
    return None
