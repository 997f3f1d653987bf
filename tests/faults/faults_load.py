"""The load: calls at a steady rate or from so many clients, each with what came of it."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import httpx2
import msgspec
from e2e_processes import Gateway

_drives = itertools.count()


class Seen(msgspec.Struct, frozen=True):
    """One call as its client saw it. Status 0: no answer, or one that broke off."""

    status: int
    took_s: float
    call_id: str = ""
    target: str = ""
    code: str = ""
    text: str = ""  # of a stream

    @property
    def is_answered(self) -> bool:
        return self.status == 200

    @property
    def ending(self) -> str:
        """Who answered, or why nobody did."""
        return self.target if self.is_answered else self.code


class Load(msgspec.Struct, frozen=True):
    """All calls of a run."""

    calls: tuple[Seen, ...]

    @property
    def answered(self) -> int:
        return sum(one.is_answered for one in self.calls)

    def by_target(self) -> dict[str, int]:
        return dict(Counter(one.target for one in self.calls if one.is_answered).most_common())

    def by_failure(self) -> dict[str, int]:
        return dict(Counter(f"{one.status} {one.code}" for one in self.calls if not one.is_answered).most_common())

    def took_s(self, share: float) -> float:
        """The time within which this share of the answers came."""
        times = sorted(one.took_s for one in self.calls if one.is_answered)
        return times[min(len(times) - 1, int(share * len(times)))] if times else 0.0

    def within(self, most_s: float) -> float:
        """The share of all calls that were answered in so many seconds."""
        return sum(one.is_answered and one.took_s <= most_s for one in self.calls) / len(self.calls)

    def ids(self) -> dict[str, bool]:
        """The calls of which there must be a record, each with whether it was answered whole."""
        return {one.call_id: one.is_answered for one in self.calls if one.call_id and one.code != "journal_full"}


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is called, and how often.

    Attributes:
        model: as the gateway's configuration names it; `NUMBER` in it stands for the call's.
        variables: of a workload's prompt, each followed by which call it is; without them it is no workload's call.
        calls: how many.
        a_second: at a steady rate, whatever becomes of them.
        stream: every so manieth call asks for a stream; 0: none.
        deadline_ms: the caller's own; 0: none.
        max_tokens: of each answer.
    """

    model: str = "fast"
    calls: int = 200
    a_second: float = 100.0
    stream: int = 2
    deadline_ms: int = 0
    max_tokens: int = 40
    timeout_s: float = 30.0
    variables: dict[str, str] | None = None


async def _call(
    client: httpx2.AsyncClient, address: str, headers: dict[str, str], wish: Wish, number: int, name: str
) -> Seen:
    is_stream = bool(wish.stream) and number % wish.stream == 0
    body: dict[str, object] = {
        "model": wish.model.replace("NUMBER", str(number)),
        "stream": is_stream,
        "max_tokens": wish.max_tokens,
        "messages": [{"role": "user", "content": name}],
    }
    if wish.variables is not None:
        del body["max_tokens"]
        variables = {variable: f"{value} {name}" for variable, value in wish.variables.items()}
        body |= {"messages": [], "prompt": {"version": "1.0.0", "variables": variables}}
    began_s = time.perf_counter()
    call_id = ""
    try:
        async with client.stream(
            "POST", f"{address}/v1/chat/completions", json=body, headers=headers, timeout=wish.timeout_s
        ) as answer:
            call_id = answer.headers.get("x-headworks-call-id", "")
            text = b"".join([piece async for piece in answer.aiter_bytes()])
    except (httpx2.TransportError, httpx2.RemoteProtocolError) as error:
        return Seen(0, time.perf_counter() - began_s, call_id, code=type(error).__name__)
    took_s = time.perf_counter() - began_s
    if answer.status_code != 200:
        code = json.loads(text)["error"]["code"] if text.startswith(b"{") else ""
        return Seen(answer.status_code, took_s, call_id, code=code or "")
    said = _said(text) if is_stream else ""
    if is_stream and b'"error"' in text:
        return Seen(0, took_s, call_id, code="stream error", text=said)
    if is_stream and not text.endswith(b"data: [DONE]\n\n"):
        return Seen(0, took_s, call_id, code="stream cut", text=said)
    target = answer.headers.get("x-headworks-provider", "")
    if "x-headworks-degraded" in answer.headers:
        target = "deterministic"
    return Seen(200, took_s, call_id, target, text=said)


def _said(stream: bytes) -> str:
    """The text of a stream's events."""
    events = [line[6:] for line in stream.decode().split("\n") if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


async def _driven(gateways: Sequence[Gateway], wish: Wish, acts: Sequence[tuple[float, Callable[[], object]]]) -> Load:
    limits = httpx2.Limits(max_connections=1000, max_keepalive_connections=1000)
    ways = []
    for gateway in gateways:
        headers = {"authorization": f"Bearer {gateway.key}"}
        if wish.deadline_ms:
            headers["x-headworks-deadline-ms"] = str(wish.deadline_ms)
        ways.append((gateway.process.address, headers))

    async def act(after_s: float, do: Callable[[], object]) -> None:
        await asyncio.sleep(after_s)
        await asyncio.to_thread(do)

    async with httpx2.AsyncClient(limits=limits) as client:
        doing = [asyncio.create_task(act(after_s, do)) for after_s, do in acts]
        began_s = time.perf_counter()
        drive = next(_drives)
        calls: list[Awaitable[Seen]] = []
        for number in range(wish.calls):
            await asyncio.sleep(max(0.0, began_s + number / wish.a_second - time.perf_counter()))
            address, headers = ways[number % len(ways)]
            calls.append(asyncio.create_task(_call(client, address, headers, wish, number, f"call {drive}-{number}")))
        seen = await asyncio.gather(*calls)
        await asyncio.gather(*doing)
    return Load(tuple(seen))


def drive(gateways: Sequence[Gateway], wish: Wish, acts: Sequence[tuple[float, Callable[[], object]]] = ()) -> Load:
    """Make the calls, at the gateways in turn.

    Arguments:
        acts: what is done to the stage meanwhile, each so many seconds after the beginning.
    """
    return asyncio.run(_driven(gateways, wish, acts))
