"""Scenarios in which a provider fails in the ways that providers do."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from faults_load import Seen, Wish, drive
from faults_result import Result, Size, failings, settle
from faults_stage import Provider, Stage
from faults_upstreams import (
    BROKEN,
    FIRST_CONTENT,
    FIRST_EVENT,
    LAST_EVENT,
    STREAM,
    TEXT,
    Act,
    Upstream,
    breaks_answers,
    broken,
    cut,
    cuts_streams,
    storm_on,
    well,
)

WORKLOAD = {
    "workloads/sort/workload.yaml": """
owner: test
description: Sort a ticket.
ladder: [mini, flagship]
model: mini
fallback: [flagship, deterministic]
latency: {total_s: SECONDS}
""",
    "workloads/sort/prompt.md": """---
version: 1.0.0
variables:
  ticket: {type: string, max_length: 100, description: The ticket.}
---
{% developer %}
Sort the ticket. Answer in JSON.
{% user %}
{{ ticket }}
""",
    "workloads/sort/schema.json": """{"type": "object", "additionalProperties": false, "required": ["team"],
"properties": {"team": {"type": "string", "enum": ["a", "b"]}}}""",
    "workloads/sort/fallback.json": '{"team": "a"}',
}
WITH_WORKLOAD = ("tiers: {mini: fast, flagship: second/gpt-6.1-terra}", "workloads: workloads")
CHAIN = "fast: {provider: first, model: gpt-6-luna, fallback: [second/gpt-6.1-terra]}"


def _two(stage: Stage) -> tuple[Provider, Provider]:
    return stage.provider("first"), stage.provider("second")


def _count(*providers: Provider) -> int:
    return sum(len(provider.requests()) for provider in providers)


def _struck(stage: Stage, size: Size, name: str, *, deadline_s: float = 2.0, **fault: object) -> Result:
    """All of the primary's calls meet this fault; a model of another provider is the fallback. Calls have 2 s, or the
    deadline given; 0: the gateway's own, of ten minutes."""
    first, second = _two(stage)
    gateway = stage.gateway([first.configured(), second.configured()], [CHAIN])
    wish = Wish(calls=size.calls, a_second=size.a_second, deadline_ms=size.deadline_ms(deadline_s))
    healthy = drive([gateway], wish)
    before = _count(first, second)
    first.fault(**fault)
    load = drive([gateway], wish)
    return settle(stage, name, load, healthy=healthy, before=before)


def outage(stage: Stage, size: Size) -> Result:
    """The primary is down altogether."""
    return _struck(stage, size, "primary down: 503", kind="outage")


def outage_with_time(stage: Stage, size: Size) -> Result:
    """The primary is down, and calls may take ten minutes: nobody waits for it because there is time."""
    return _struck(stage, size, "primary down: 503, ten minutes of time", deadline_s=0, kind="outage")


def silent_outage(stage: Stage, size: Size) -> Result:
    """The primary takes connections and breaks them."""
    return _struck(stage, size, "primary down: connections broken", kind="outage", is_silent=True)


def malformed(stage: Stage, size: Size) -> Result:
    """The primary answers bodies that end too early, and events that are not JSON."""
    return _struck(stage, size, "malformed frames", kind="malformed", shape="truncated")


def hanging(stage: Stage, size: Size) -> Result:
    """The primary accepts and never answers."""
    return _struck(stage, size, "primary silent", kind="stall", before_head=True)


def brown_out(stage: Stage, size: Size) -> Result:
    """The primary takes ten times as long as before: slower, and good all the same, within a deadline of 10 s."""
    pace = {"first_token": {"median_ms": 50, "sigma": 0.2}, "token": {"median_ms": 1, "sigma": 0}}
    first = stage.provider("first", pace=1, models={"gpt-6-luna": {"tier": "nano", "latency": pace}})
    second = stage.provider("second")
    gateway = stage.gateway([first.configured(), second.configured()], [CHAIN])
    wish = Wish(calls=size.calls, a_second=size.a_second, deadline_ms=10_000)
    healthy = drive([gateway], wish)
    before = _count(first, second)
    first.fault(kind="slow_start", delay_s=0.5)
    load = drive([gateway], wish)
    return settle(stage, "brown-out, ten times slower", load, healthy=healthy, before=before)


def flapping(stage: Stage, size: Size) -> Result:
    """A fifth of the primary's answers are errors that pass."""
    return _struck(stage, size, "a fifth of answers are 500", kind="error", status=500, share=0.2)


def workload_outage(stage: Stage, size: Size) -> Result:
    """A workload with a contract of 2 s; its model's provider is down, and hangs."""
    return _workload(stage, size, "workload of 2 s, primary down", both=False)


def workload_both_out(stage: Stage, size: Size) -> Result:
    """The same with both providers down: its own deterministic response is left."""
    return _workload(stage, size, "workload of 2 s, both down", both=True)


def _workload(stage: Stage, size: Size, name: str, *, both: bool) -> Result:
    first, second = _two(stage)
    files = {name: text.replace("SECONDS", f"{2 * size.patience:g}") for name, text in WORKLOAD.items()}
    gateway = stage.gateway(
        [first.configured(), second.configured()], ["fast: first/gpt-6-luna"], *WITH_WORKLOAD, **files
    )
    wish = Wish(model="sort", calls=size.calls, a_second=size.a_second, stream=0, variables={"ticket": "It is broken."})
    healthy = drive([gateway], wish)
    before = _count(first, second)
    first.fault(kind="outage", share=0.5)
    first.fault(kind="stall", before_head=True)
    if both:
        second.fault(kind="outage")
    load = drive([gateway], wish)
    return settle(stage, name, load, healthy=healthy, before=before)


def storm(stage: Stage, size: Size) -> Result:
    """One of two pools answers 429 to everything, with Retry-After 1."""
    upstream = stage.keep(Upstream(storm_on("sk-key-one")))
    calm = stage.keep(Upstream(well))
    pools = "pools: {one: {api_key: 'file:key-one'}, two: {api_key: 'file:key-two'}}"
    providers = [
        f"stormy: {{kind: openai-compatible, base_url: '{upstream.address}/v1', {pools}}}",
        f"calm: {{kind: openai-compatible, base_url: '{calm.address}/v1', {pools}}}",
    ]
    gateway = stage.gateway(providers, ["fast: stormy/m", "calm-one: calm/m"])
    wish = Wish(calls=size.calls, a_second=size.a_second)
    healthy = drive([gateway], Wish(model="calm-one", calls=size.calls, a_second=size.a_second))
    load = drive([gateway], wish)
    return settle(stage, "429 storm on one of two pools", load, healthy=healthy, attempts=len(upstream.asked))


def _broken_at_one(stage: Stage, size: Size, name: str, act: Act, *, stream: int) -> Result:
    """One target does this to all of its calls, every so manieth of which asks for a stream; a fallback is there."""
    upstream, calm = stage.keep(Upstream(act)), stage.keep(Upstream(well))
    second = stage.provider("second")
    raw = [
        f"{label}: {{kind: openai-compatible, base_url: '{one.address}/v1'}}"
        for label, one in (("first", upstream), ("calm", calm))
    ]
    models = ["fast: {provider: first, model: m, fallback: [second/gpt-6-luna]}", "calm-one: calm/m"]
    gateway = stage.gateway([*raw, second.configured()], models)
    wish = Wish(calls=size.calls, a_second=size.a_second, stream=stream, deadline_ms=size.deadline_ms(5))
    healthy = drive([gateway], msgspec.structs.replace(wish, model="calm-one"))
    load = drive([gateway], wish)
    attempts = len(upstream.asked) + len(second.requests())
    return settle(stage, name, load, healthy=healthy, attempts=attempts)


def streams_cut_early(stage: Stage, size: Size) -> Result:
    """One target cuts all of its streams before their first text, and answers whole as it should."""
    act = cuts_streams(0, FIRST_CONTENT)
    return _broken_at_one(stage, size, "one target: a third streams, all cut early", act, stream=3)


def streams_cut(stage: Stage, size: Size) -> Result:
    """One target cuts all of its streams anywhere, and answers whole as it should."""
    act = cuts_streams(0, LAST_EVENT)
    return _broken_at_one(stage, size, "one target: a third streams, all cut anywhere", act, stream=3)


def answers_broken(stage: Stage, size: Size) -> Result:
    """All answers of one target are not HTTP, not JSON or not what they should be."""
    return _broken_at_one(stage, size, "one target: no answer HTTP or JSON", breaks_answers(), stream=2)


def cut_streams(stage: Stage, size: Size, places: Sequence[int] = range(len(STREAM) + 1)) -> Result:
    """A recorded stream is cut after so many of its bytes; a fallback is there."""
    upstream = stage.keep(Upstream(cut))
    second = stage.provider("second")
    models = [
        f"c{number}: {{provider: cut, model: 'm-{place}', fallback: [second/gpt-6-luna]}}"
        for number, place in enumerate(places)
    ]
    gateway = stage.gateway(
        [f"cut: {{kind: openai-compatible, base_url: '{upstream.address}/v1'}}", second.configured()],
        models,
        "defaults: {retries: 0}",
    )
    wish = Wish(model="cNUMBER", calls=len(places), a_second=size.a_second, stream=1, deadline_ms=size.deadline_ms(5))
    load = drive([gateway], wish)
    odd = [
        place
        for place, seen in zip(places, load.calls, strict=True)
        if seen.ending not in endings(place) or not is_whole_or_part(seen)
    ]
    remark = f"cut at {len(places)} places" + (f"; not as it should be at {odd}" if odd else "")
    attempts = len(upstream.asked) + len(second.requests())
    return settle(stage, "streams cut at every byte", load, attempts=attempts, remark=remark)


def broken_frames(stage: Stage, size: Size) -> Result:
    """Answers that are not HTTP, not JSON or not what they should be, to plain calls and to streams; a fallback is
    there."""
    upstream = stage.keep(Upstream(broken))
    second = stage.provider("second")
    models = [
        f"b{number}: {{provider: broken, model: 'm{number}-{number // 2}', fallback: [second/gpt-6-luna]}}"
        for number in range(2 * len(BROKEN))
    ]
    gateway = stage.gateway(
        [f"broken: {{kind: openai-compatible, base_url: '{upstream.address}/v1'}}", second.configured()],
        models,
        "defaults: {retries: 0}",
    )
    load = drive(
        [gateway], Wish(model="bNUMBER", calls=len(models), a_second=size.a_second, deadline_ms=size.deadline_ms(5))
    )
    names = list(BROKEN)
    odd = {
        f"{names[number // 2]} ({'plain' if number % 2 else 'stream'}): {seen.status} {seen.ending}"
        for number, seen in enumerate(load.calls)
        if seen.ending not in {"second", "stream error"}
    }
    remark = f"{len(BROKEN)} kinds" + (f"; not as it should be: {sorted(odd)}" if odd else "")
    attempts = len(upstream.asked) + len(second.requests())
    return settle(stage, "answers that are not HTTP or JSON", load, attempts=attempts, remark=remark)


def endings(place: int) -> set[str]:
    """How a stream that is cut there may end: by whom it is answered, or with which error; never silently."""
    if place < FIRST_EVENT:
        return {"second"}
    if place < FIRST_CONTENT:
        return {"second", "stream error"}
    return {"stream error"} if place < LAST_EVENT else {"stream error", "cut"}


def is_whole_or_part(seen: Seen) -> bool:
    """Whether nothing was said twice, and nothing in the middle left out."""
    return seen.target == "second" or (seen.text == TEXT if seen.is_answered else TEXT.startswith(seen.text))


Scenario = Callable[[Stage, Size], Result]


@dataclass(frozen=True)
class Bar:
    """A scenario, and what must come of it beyond what must hold in all.

    Attributes:
        answered: least share of calls that are answered in `within_s`.
        targets: who may answer; empty: anyone.
        unseen_s: what comes in for so long cannot know yet what the calls before it will meet.
        is_quick: whether its short form is played wherever tests are run.
    """

    play: Scenario
    answered: float = 0.999
    within_s: float = math.inf
    targets: frozenset[str] = frozenset()
    unseen_s: float = 0.0
    is_quick: bool = True

    def name(self) -> str:
        return self.play.__name__

    def prove(self, stage: Stage, size: Size) -> None:
        """Play it, and see that what must hold does."""
        result = self.play(stage, size)
        print(result.summary())
        assert not self.failings(result, size)

    def failings(self, result: Result, size: Size) -> list[str]:
        """What did not hold."""
        found = failings(result, self.unseen_s * size.a_second)
        within_s = self.within_s * size.patience
        if result.load.within(within_s) < self.answered:
            found.append(f"less than {100 * self.answered:.1f} % were answered within {within_s} s")
        if self.targets and not set(result.load.by_target()) <= self.targets:
            found.append(f"answered by others than {sorted(self.targets)}")
        if "not as it should be" in result.remark:
            found.append(result.remark)
        return found


SECOND = frozenset({"second"})
BARS = (
    Bar(outage, within_s=2.0, targets=SECOND),
    Bar(outage_with_time, within_s=2.0, targets=SECOND, is_quick=False),
    Bar(silent_outage, within_s=2.0, targets=SECOND, is_quick=False),
    Bar(hanging, within_s=2.0, targets=SECOND, unseen_s=1.4),
    Bar(malformed, within_s=2.0),
    # The 10 s without the fault are in the window of the budget, too; who is out of retries goes on to the second.
    Bar(flapping, within_s=2.0, unseen_s=0.2, is_quick=False),
    Bar(brown_out),
    Bar(storm),
    # Until its breaker is open, a stream that breaks after its first text ends with an error.
    Bar(streams_cut, answered=0.95, is_quick=False),
    Bar(streams_cut_early),
    Bar(answers_broken),
    Bar(workload_outage, within_s=2.0, unseen_s=1.4, is_quick=False),
    Bar(workload_both_out, within_s=2.0, targets=frozenset({"deterministic"})),
)


def quick(bars: Sequence[Bar]) -> list[Bar]:
    """Those that CI plays."""
    return [bar for bar in bars if bar.is_quick]
