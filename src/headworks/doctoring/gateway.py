"""The gateway from outside: there, ready, its key accepted, and nothing of it shown that should not be.

That what answers is Headworks is seen by the header `x-headworks-call-id`: a proxy's own answers lack it.
"""

import asyncio
import ipaddress

from headworks.calls import FailureKind
from headworks.doctoring.asking import Asker, Heard, asking, clock_finding, failure_words, is_unreachable, reach
from headworks.doctoring.findings import Check, Finding, Verdict, ok, problem, skipped, warning
from headworks.doctoring.situation import Situation, Target
from headworks.exchange import UpstreamRequest, request_line

_MODELS_PATH = "/v1/models"
_CALL_ID = "x-headworks-call-id"
_BODY_BYTES = 2 * 1024 * 1024
"""Twice what nginx takes unless told otherwise (`client_max_body_size`): a conversation with images is larger."""

KEY_HINT = "give a virtual key: `--key env:NAME` or `--key file:PATH`"
_NOT_RUNNING = "start it with `headworks serve`, or say where it is: `--url https://...`"
_NOT_THERE = "see that the gateway runs there, and that the address is right"


def checks(situation: Situation) -> list[Check]:
    """One, of the gateway that is meant."""
    target = situation.target
    if target is None:

        async def unknown() -> list[Finding]:
            says = "its address is not known: `server.port` is 0, it serves HTTPS, or there is no configuration"
            return [skipped("reached", says, "say where it is: `--url https://...`")]

        return [Check("gateway", unknown)]
    look = _Look(situation, target)
    return [Check(f"gateway {target.shown}", look.look, 45.0)]


def get(target: Target, path: str, *headers: tuple[str, str]) -> UpstreamRequest:
    """A GET of the gateway, with these headers."""
    return UpstreamRequest(request_line("GET", target.prefix + path), _block(headers))


def authorization(situation: Situation) -> tuple[tuple[str, str], ...]:
    """The header with the key, if one was given."""
    return () if situation.key is None else (("authorization", f"Bearer {situation.key.reveal()}"),)


def is_headworks(heard: Heard) -> bool:
    """Whether the gateway itself has answered."""
    return bool(heard.header(_CALL_ID))


def in_front(heard: Heard) -> str:
    """What a proxy says of itself; "" where none does. Headworks has no `server` header."""
    said = [text for text in (heard.header("via"), heard.header("server")) if text]
    return "".join(character for character in ", ".join(said) if character.isprintable())[:60]


class _Look:
    def __init__(self, situation: Situation, target: Target) -> None:
        self._situation = situation
        self._target = target
        self._not_running = _NOT_THERE if situation.is_elsewhere else _NOT_RUNNING

    async def look(self) -> list[Finding]:
        target, now = self._target, self._situation.now
        findings = await reach(target.origin, now_s=now(), way_out=self._not_running)
        if findings[0].verdict is Verdict.PROBLEM:
            return findings
        async with asking("the gateway", target.origin) as asker:
            heard = await asker.ask(get(target, _MODELS_PATH, *authorization(self._situation)))
            if heard.failure is not None:
                return [*findings, problem("answers", failure_words(heard.failure), self._not_running)]
            clock = clock_finding(heard, "the gateway", now_s=now(), is_ours=True)
            if clock is not None:
                findings.append(clock)
            answered = self._answers(heard)
            findings.append(answered)
            if answered.verdict is Verdict.PROBLEM:
                return findings
            is_private = await _is_private(target.origin.host)
            findings.append(self._key(heard, is_private=is_private))
            findings.append(await self._ready(asker))
            if self._situation.is_elsewhere:
                findings.append(await self._metrics(asker, is_private=is_private))
                findings.append(await self._body(asker, may_call=heard.status == 200))
        return findings

    def _answers(self, heard: Heard) -> Finding:
        proxy = in_front(heard)
        through = f", through {proxy}" if proxy else ""
        trip_ms = round((heard.head_s - heard.sent_s) * 1000, 1)
        if is_headworks(heard):
            return ok("answers", f"in {trip_ms:g} ms{through}", answer_ms=trip_ms)
        says = f"GET {self._target.prefix}{_MODELS_PATH} is answered with {heard.status}, and not by Headworks{through}"
        if heard.status in (502, 503, 504):
            return problem(
                "answers", says, "the proxy is there, the gateway behind it is not: start it, or mend the proxy"
            )
        if heard.status in (200, 401) and heard.header("content-type").startswith("application/json"):
            says = f"its answers come without the header `{_CALL_ID}`{through}"
            way_out = "have the proxy pass it on: by it a call is found in the records"
            return warning("answers", says, way_out, answer_ms=trip_ms)
        return problem(
            "answers", says, "see that the URL leads to the gateway, and that the proxy passes `/v1/` on to it"
        )

    def _key(self, heard: Heard, *, is_private: bool) -> Finding:
        situation = self._situation
        if heard.status == 200:
            if situation.key is not None:
                return ok("key", "it is accepted")
            if is_private:
                return ok("key", "none is needed (`access.mode: open`)")
            return problem(
                "key", "none is needed: whoever finds this address calls at your cost", "set `access.mode: keys`"
            )
        if heard.status in (401, 403):
            if situation.key is None:
                return skipped("key", "one is needed, as it should be", KEY_HINT)
            way_out = "see `headworks keys list` there; and that the proxy passes `Authorization` on"
            return problem("key", f"the key is refused ({heard.status})", way_out)
        return problem("key", f"GET {_MODELS_PATH} is answered with {heard.status}", "see the gateway's log")

    async def _ready(self, asker: Asker) -> Finding:
        heard = await asker.ask(get(self._target, "/health/ready"))
        if heard.failure is not None:
            return problem("ready", failure_words(heard.failure), self._not_running)
        if heard.status == 200 and b'"ready"' in heard.body:
            return ok("ready", "it takes calls")
        if heard.status == 503 and is_headworks(heard):
            way_out = "it stops, or cannot write its records: see its log and its disk"
            return problem("ready", "it says that it is not ready", way_out)
        return skipped("ready", "the proxy does not pass `/health/` on, which is as it should be")

    async def _metrics(self, asker: Asker, *, is_private: bool) -> Finding:
        heard = await asker.ask(get(self._target, "/metrics"))
        if heard.failure is None and heard.status == 200 and b"headworks_" in heard.body:
            if is_private:
                return ok("metrics", "`/metrics` is shown, to a private network only")
            way_out = "have the proxy pass `/v1/` on alone"
            return warning("metrics", "`/metrics` is shown to everyone: models and volumes", way_out)
        return ok("metrics", "`/metrics` is not shown")

    async def _body(self, asker: Asker, *, may_call: bool) -> Finding:
        """A large body that asks for nothing: the gateway refuses it for want of a model, a proxy for its size."""
        if not may_call:
            return skipped("bodies", "whether large requests pass is seen only with a key", KEY_HINT)
        body = b"{%b}" % (b" " * _BODY_BYTES)
        headers = (("content-type", "application/json"), *authorization(self._situation))
        line = request_line("POST", self._target.prefix + "/v1/chat/completions")
        heard = await asker.ask(UpstreamRequest(line, _block(headers), body))
        size = f"{_BODY_BYTES >> 20} MiB"
        if is_headworks(heard) and heard.status != 413:
            return ok("bodies", f"a request of {size} passes")
        broken = heard.failure is not None and (
            heard.failure.kind is FailureKind.BROKEN or is_unreachable(heard.failure)
        )
        if heard.status == 413 or broken:
            where = "the gateway" if is_headworks(heard) else "what stands in front"
            way_out = "allow more: `server.body_bytes` here, `client_max_body_size 32m;` in nginx"
            return problem("bodies", f"a request of {size} is refused by {where}", way_out)
        return warning("bodies", f"a request of {size} is answered with {heard.status}", "see what stands in front")


def _block(headers: tuple[tuple[str, str], ...]) -> bytes:
    return "".join(f"{name}: {value}\r\n" for name, value in (("user-agent", "headworks-doctor"), *headers)).encode()


async def _is_private(host: str) -> bool:
    """Whether all addresses of the host are ones that the Internet does not reach."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None)
    except OSError:
        return False  # a name that only a proxy knows
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    return all(one.is_loopback or one.is_private or one.is_link_local for one in addresses)
