"""One workload with its files, behind the played gateway of `conftest`: what upstreams answer, and a caller's calls."""

import json

import msgspec

from headworks.cached_calls import CachedWorkload
from headworks.calls import Endpoint, Failure
from headworks.compiled import Published, compile_workload
from headworks.config import load, load_workloads
from headworks.holding import HeldAnswers
from headworks.inner_calls import InnerCalls
from headworks.records.content import ContentVault
from headworks.routing import Health
from headworks.screening import AnswerRunner, RulesRunner
from headworks.workload_call import WorkloadCalls

PROJECT = """
providers:
  stub: {kind: openai-compatible, base_url: 'http://127.0.0.1:9/v1', speaks: [chat, responses], models: [small, large]}
models: {small: stub/small, large: stub/large}
"""
PROMPT = """---
version: 1.2.0
variables: {ticket: string}
---
{% developer %}
Sort tickets.
{% user %}
Ticket: {{ ticket }}
"""
SCHEMA = {
    "type": "object",
    "properties": {"team": {"type": "string", "enum": ["red", "blue"]}},
    "required": ["team"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}}},
    {"type": "function", "name": "pay", "parameters": {"type": "object", "properties": {}}},
    {"type": "function", "name": "erase", "parameters": {"type": "object", "properties": {}}},
]
RULES = """
from headworks.screening import Verdict

def judged(output, context):
    ticket = context["variables"]["ticket"]
    if ticket == "broken":
        raise ValueError("what the customer wrote")
    if ticket == "repair" and output["team"] == "red":
        return Verdict.repair("red is closed")
    if ticket == "mark":
        return Verdict.mark("unsure")
    return output["team"] == "red" if ticket == "block" else None
"""
EVENTS = {b"content-type": b"text/event-stream"}


def chat_answer(text=None, calls=(), usage=(10, 5)):
    message = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": f"c{n}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for n, (name, arguments) in enumerate(calls)
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-2026",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)},
    }


def team(name):
    return chat_answer(json.dumps({"team": name}))


class Work:
    """A hall with one workload, `triage`, whose files a test chooses."""

    def __init__(self, hall, folder):
        self.hall = hall
        self.folder = folder / "project" / "workloads" / "triage"
        self.folder.mkdir(parents=True)
        (folder / "project" / "headworks.yaml").write_text(PROJECT)
        self.project = folder / "project"
        self.rules = self.answerer = self.first = None
        self.now_s = 1000.0

    def make(
        self,
        contract="",
        *,
        schema=SCHEMA,
        prompt=PROMPT,
        rules=None,
        tools=None,
        fallback=None,
        fallback_text=None,
        fallback_code=None,
        first_code=None,
        published=None,
        speaks=tuple(Endpoint),
        values=None,
        pools=(),
        cache=None,
        cached=None,
        semantic=None,
        **options,
    ):
        """Write the files and make a gateway of them.

        Arguments:
            published: what the registry has.
            speaks: the dialects of the targets.
            pools: through which `small` can be reached, the first one the cheaper tier.
            cache: the response cache of the workload; `cached` is told how its calls come out.
            semantic: makes of the compiled workload what finds answers to what is like others.
            options: further ones of the gateway.
        """
        text = f"owner: o\ndescription: d\nladder: [small]\n{contract}"
        (self.folder / "workload.yaml").write_text(text)
        for name, content in (
            ("prompt.md", prompt),
            ("schema.json", schema and json.dumps(schema)),
            ("rules.py", rules),
            ("tools.json", tools and json.dumps(tools)),
            ("fallback.json", fallback and json.dumps(fallback)),
            ("fallback.md", fallback_text),
            ("fallback.py", fallback_code),
            ("first.py", first_code),
        ):
            if content is not None:
                (self.folder / name).write_text(content)
        (workload,) = load_workloads(load(self.project))
        compiled = compile_workload(workload, locked_model="", published=published or Published())
        self.hall.make()
        station = self.hall.table.resolve("nano")
        targets = {
            name: msgspec.structs.replace(
                station,
                model=name,
                headers=b"",
                speaks=frozenset(speaks),
                station=msgspec.structs.replace(station.station, health=Health(lambda most: 0.0)),
            )
            for name in ("small", "large")
        }
        if pools:
            pooled = tuple(
                msgspec.structs.replace(
                    targets["small"],
                    provider=f"stub:{pool}",
                    tier=tier,
                    station=msgspec.structs.replace(station.station, health=Health(lambda most: 0.0)),
                )
                for tier, pool in enumerate(pools)
            )
            for one in pooled:
                msgspec.structs.force_setattr(one, "pools", pooled)
            targets["small"] = pooled[0]
        if rules is not None:
            self.rules = RulesRunner(workload.files.rules, workload.contract.validation.rules_timeout_s)
        compiled = msgspec.structs.replace(
            compiled,
            chain=tuple(targets[name] for name in compiled.chain_names),
            rules=self.rules,
            check_model="nano",
        )
        if fallback_code is not None:
            self.answerer = AnswerRunner(workload.files.fallback_code, workload.contract.validation.rules_timeout_s)
            compiled = msgspec.structs.replace(compiled, answerer=self.answerer)
        if first_code is not None:
            self.first = AnswerRunner(workload.files.first_code, workload.contract.validation.rules_timeout_s)
            compiled = msgspec.structs.replace(compiled, first=self.first)
        works, vault = {"triage": compiled}, ContentVault(b"s" * 32)
        self.held = HeldAnswers(self.project / "approvals.db", vault, now=lambda: self.now_s)
        self.hall.make(
            make_works=lambda *parts: WorkloadCalls(
                works,
                *parts[:3],
                policy=parts[3],
                admissions=self.hall.admissions,
                vault=vault,
                held=self.held,
                loop=self.hall.loop,
                secret=b"s" * 32,
                answer_bytes=1 << 20,
                caches={}
                if cache is None
                else {"triage": CachedWorkload(cache, "settings", semantic and semantic(compiled))},
                count=lambda *how: None if cached is None else cached.append(how),
                values=values,
                inner=InnerCalls(lambda: self.hall.gateway),
            ),
            **options,
        )
        return self

    def chat(self, ticket="x", *, turns=3, **fields):
        body = {"model": "triage", "messages": [], "prompt": {"variables": {"ticket": ticket}}} | fields
        return self.hall.ask("/v1/chat/completions", body, turns=turns)

    def respond(self, ticket="x", **fields):
        """A call through Responses up to its attempt."""
        prompt = {"id": "triage", "variables": {"ticket": ticket}}
        return self.hall.ask("/v1/responses", {"prompt": prompt} | fields)

    def fail(self, kind, detail="stub failed"):
        self.hall.flight.sink.on_failure(Failure(kind, detail))
        self.settle()

    def come(self, *pieces):
        """What comes in a stream, each piece in a turn of its own."""
        for piece in pieces:
            self.hall.loop.call_soon(self.hall.flight.sink.on_body, piece)
            self.hall.turn(1)
        self.settle()

    def answer(self, body, status=200):
        self.hall.loop.call_soon(self.hall.flight.answer, body, status)
        self.hall.turn(1)
        self.settle()

    def settle(self):
        """Let what is under way go on; rules are asked in another process."""
        for _ in range(2000):
            self.hall.turn(1)
            if not self.hall.gateway.in_flight or not self.hall.upstream.flights[-1].sink.ended.is_set:
                return
            self.hall.rest(0.005)
        raise AssertionError("the call does not go on")


def chunk(text=None, finish_reason=None):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": finish_reason}
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def stream(hall, work, *pieces, ticket="x"):
    answered = work.chat(ticket, stream=True)
    hall.flight.sink.on_head(200, EVENTS)
    for piece in pieces:
        hall.flight.sink.on_body(chunk(piece))
    return answered


DONE = chunk(finish_reason="stop") + b"data: [DONE]\n\n"


def call_chunk(name=None, arguments="", index=0, kind="function"):
    """A piece of a tool call in a chat stream."""
    function = {"arguments": arguments} if kind == "function" else {"input": arguments}
    if name:
        function["name"] = name
    call = {"index": index, kind: function} | ({"id": f"c{index}", "type": kind} if name else {})
    choice = {"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}
    value = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def event(type_, **fields):
    """An event of a responses stream."""
    return f"event: {type_}\ndata: {json.dumps({'type': type_, 'sequence_number': 1} | fields)}\n\n".encode()


def response_object(*output, status="completed", usage=(10, 5)):
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "m-2026",
        "output": list(output),
        "usage": {"input_tokens": usage[0], "output_tokens": usage[1], "total_tokens": sum(usage)},
    }


def message_item(text):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def call_item(name, arguments):
    item = {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "c1"}
    return item | {"name": name, "arguments": arguments}


def completed(*output, **options):
    return event("response.completed", response=response_object(*output, **options))


def text_delta(text):
    return event("response.output_text.delta", item_id="msg_1", output_index=0, content_index=0, delta=text)
