"""Official clients against a provider that keeps all that it is sent: every call is scored, and so are controls.

The controls go through the same gateway in the same run: one that is not screened, one whose tokens are not turned
back, and streams that were damaged. Where they did not fail, the scores would say nothing.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
from e2e_processes import Gateway, Process
from e2e_scores import Scores, Told, faults_of, scored
from e2e_tap import Tap, body_of
from google import genai
from google.genai import types

UPSTREAMS = {
    "openai": ("{{kind: openai, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "gpt-6-luna"),
    "chat": ("{{kind: openai-compatible, base_url: '{tap}/v1', api_key: env:TAP_KEY, speaks: [chat]}}", "gpt-6-luna"),
    "anthropic": ("{{kind: anthropic, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "claude-sonnet-5"),
    "gemini": ("{{kind: gemini, base_url: '{tap}/v1beta', api_key: env:TAP_KEY}}", "gemini-3.5-flash"),
}
CLIENT = 'Ada "the first" Lovelace'
VALUES = ("ada.lovelace@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+44 20 7946 0958", CLIENT)
WORDS = "The post was late again, and nobody could say where the parcel had been for so long. "
SAID = (
    f"{WORDS}I am {CLIENT}, {VALUES[0]}. {WORDS}My card is {VALUES[1]}, my account {VALUES[2]}. "
    f"{WORDS}Ring {VALUES[3]}."
)
PLAN = """
pace: 0
rules:
  - when: { matches: "(?s)^Repeat: (?P<what>.*)", has_tool: note }
    say: { tool_calls: [ { name: note, arguments: { "what": "{{what}}" } } ] }
  - when: { matches: "(?s)^Repeat: (?P<what>.*)" }
    say: "{{what}}"
"""
PRIVACY = f"words: {{client: {{words: ['{CLIENT}']}}}}"
CONTRACT = "owner: desk\ndescription: Answers.\nladder: [{model}]\n{screening}"
KINDS = {
    "screened": f"screening: {{privacy: {{{PRIVACY}}}}}\n",
    "bare": "",
    "kept": f"screening: {{privacy: {{{PRIVACY}, restore: nothing}}}}\n",
}
SCHEMA = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
MOST_IN_A_PIECE = 25 + max(map(len, VALUES))
"""A token that was held back, and a value in its place: so much longer may a piece be than the provider's longest."""


class Bench:
    """A gateway between a tap for each side."""

    def __init__(self, gateway: Gateway, near: Tap, far: Tap) -> None:
        self.near, self.far = near, far
        address, key = near.address, gateway.key
        self.openai = openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)
        self.anthropic = anthropic.Anthropic(base_url=address, api_key=key, max_retries=0)
        self.genai = genai.Client(api_key=key, http_options=types.HttpOptions(base_url=address))

    def close(self) -> None:
        self.openai.close()
        self.anthropic.close()
        self.genai.close()

    def scores(self, dialect: str, model: str, *, is_streamed: bool, with_tool: bool) -> Scores:
        self.near.forget()
        self.far.forget()
        told = CLIENTS[dialect](self, model, is_streamed=is_streamed, with_tool=with_tool)
        up, raw = bytes(self.far.up), body_of(bytes(self.near.down))
        return scored(
            told,
            SAID,
            VALUES,
            up=up,
            raw=raw,
            sent=body_of(bytes(self.far.down)),
            dialect=dialect if is_streamed else "",
        )


def by_responses(bench: Bench, model: str, *, is_streamed: bool, with_tool: bool) -> Told:
    tools: Any = [{"type": "function", "name": "note", "parameters": SCHEMA, "strict": False}] if with_tool else []
    asked: Any = {"model": model, "input": f"Repeat: {SAID}", "store": False, "tools": tools}
    told = Told()
    if is_streamed:
        arguments = ""
        with bench.openai.responses.create(**asked, stream=True) as stream:
            for event in stream:
                if event.type == "response.output_text.delta":
                    told.pieces.append(event.delta)
                elif event.type == "response.function_call_arguments.delta":
                    arguments += event.delta
                elif event.type == "response.completed":
                    answer = event.response
    else:
        answer = bench.openai.responses.create(**asked)
        arguments = ""
    told.text = answer.output_text
    for item in answer.output:
        if item.type == "function_call":
            told.arguments = json.loads(item.arguments)
            assert not is_streamed or arguments == item.arguments
    return told


def by_chat(bench: Bench, model: str, *, is_streamed: bool, with_tool: bool) -> Told:
    tool: Any = {"type": "function", "function": {"name": "note", "parameters": SCHEMA}}
    asked: Any = {"model": model, "messages": [{"role": "user", "content": f"Repeat: {SAID}"}]}
    asked |= {"tools": [tool]} if with_tool else {}
    told, arguments = Told(), ""
    if is_streamed:
        with bench.openai.chat.completions.create(**asked, stream=True) as stream:
            for chunk in stream:
                for choice in chunk.choices:
                    told.pieces += [choice.delta.content] if choice.delta.content else []
                    arguments += "".join((call.function.arguments or "") for call in choice.delta.tool_calls or ())
        told.text = "".join(told.pieces)
    else:
        message = bench.openai.chat.completions.create(**asked).choices[0].message
        told.text = message.content or ""
        arguments = "".join(call.function.arguments for call in message.tool_calls or ())
    told.arguments = json.loads(arguments) if with_tool else None
    return told


def by_messages(bench: Bench, model: str, *, is_streamed: bool, with_tool: bool) -> Told:
    asked: Any = {"model": model, "max_tokens": 2000, "messages": [{"role": "user", "content": f"Repeat: {SAID}"}]}
    asked |= {"tools": [{"name": "note", "input_schema": SCHEMA}]} if with_tool else {}
    told = Told()
    if is_streamed:
        with bench.anthropic.messages.stream(**asked) as stream:
            told.pieces = list(stream.text_stream)
            answer = stream.get_final_message()
    else:
        answer = bench.anthropic.messages.create(**asked)
    for block in answer.content:
        if block.type == "text":
            told.text += block.text
        elif block.type == "tool_use":
            told.arguments = block.input
    return told


def by_gemini(bench: Bench, model: str, *, is_streamed: bool, with_tool: bool) -> Told:
    function: Any = {"name": "note", "description": "Notes.", "parameters_json_schema": SCHEMA}
    config: Any = {"tools": [{"function_declarations": [function]}]} if with_tool else None
    asked: Any = {"model": model, "contents": f"Repeat: {SAID}", "config": config}
    told = Told()
    answers = list(bench.genai.models.generate_content_stream(**asked)) if is_streamed else []
    answers = answers or [bench.genai.models.generate_content(**asked)]
    for answer in answers:
        for part in ((answer.candidates or [])[0].content or types.Content()).parts or ():
            told.text += part.text or ""
            told.pieces += [part.text] if part.text and is_streamed else []
            told.arguments = part.function_call.args if part.function_call else told.arguments
    return told


CLIENTS: dict[str, Callable[..., Told]] = {
    "responses": by_responses,
    "chat": by_chat,
    "messages": by_messages,
    "gemini": by_gemini,
}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("scores")
    (folder / "plan.yaml").write_text(PLAN)
    simulator = Process(
        *("simulate", "--port", "0", "--plan", "plan.yaml"), ready="headworks simulator ready on ", cwd=folder
    )
    far = Tap(simulator.address)
    lines = ["version: 1", "server: {workers: 1}", "screening:"]
    lines += [f"  privacy: {{{PRIVACY}}}", f"  unscreened: [{', '.join(f'raw-{name}' for name in UPSTREAMS)}]"]
    lines += ["providers:", *(f"  {name}: {one.format(tap=far.address)}" for name, (one, _) in UPSTREAMS.items())]
    models = [f"  {{}}{name}: {name}/{model}" for name, (_, model) in UPSTREAMS.items()]
    lines += ["models:", *(line.format(kind) for line in models for kind in ("plain-", "raw-"))]
    for name in UPSTREAMS:
        for kind, screening in KINDS.items():
            contract = folder / "workloads" / f"{kind}-{name}" / "workload.yaml"
            contract.parent.mkdir(parents=True)
            contract.write_text(CONTRACT.format(model=f"plain-{name}", screening=screening))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_KEY", "sk-simulated")
        gateway = Gateway(folder, "\n".join([*lines, ""]))
    near = Tap(gateway.process.address)
    made = Bench(gateway, near, far)
    yield made
    made.close()
    near.close()
    assert gateway.process.stop() == 0, gateway.process.said
    far.close()
    assert simulator.stop() == 0


EVERY_WAY = [
    pytest.mark.parametrize("with_tool", [False, True], ids=["text", "arguments"]),
    pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"]),
    pytest.mark.parametrize("dialect", CLIENTS),
]


def in_every_way(test: Any) -> Any:
    for mark in EVERY_WAY:
        test = mark(test)
    return test


@in_every_way
def test_nothing_leaks_all_comes_back_and_a_stream_stays_one_while_controls_fail(
    bench: Bench, dialect: str, *, is_streamed: bool, with_tool: bool
) -> None:
    for name in UPSTREAMS:
        for kind in ("plain", "screened"):
            scores = bench.scores(dialect, f"{kind}-{name}", is_streamed=is_streamed, with_tool=with_tool)
            assert scores.is_perfect(MOST_IN_A_PIECE), (kind, name, scores)

        for kind in ("raw", "bare"):
            scores = bench.scores(dialect, f"{kind}-{name}", is_streamed=is_streamed, with_tool=with_tool)
            assert scores.leaks == list(VALUES), (kind, name, scores)
            assert not scores.is_perfect(MOST_IN_A_PIECE)

        scores = bench.scores(dialect, f"kept-{name}", is_streamed=is_streamed, with_tool=with_tool)
        assert not scores.leaks
        assert scores.tokens > 0 or is_streamed, (name, scores)
        assert scores.unrestored == list(VALUES), (name, scores)
        assert scores.partial > 0 or not is_streamed or with_tool, (name, scores)
        assert not scores.is_perfect(MOST_IN_A_PIECE)


@pytest.mark.parametrize("dialect", CLIENTS)
def test_a_stream_that_was_damaged_or_held_up_fails(bench: Bench, dialect: str) -> None:
    scores = bench.scores(dialect, "plain-openai", is_streamed=True, with_tool=False)
    raw = body_of(bytes(bench.near.down))
    assert not faults_of(dialect, raw)
    assert scores.is_perfect(MOST_IN_A_PIECE)

    for damaged in (raw[:-40], raw.replace(b"}\n\n", b"\n\n", 1), raw.replace(b"data:", b"date:", 1)):
        assert faults_of(dialect, damaged), damaged
    at_once = scored(
        Told(text=SAID, pieces=[SAID]),
        SAID,
        VALUES,
        up=b"",
        raw=raw,
        sent=body_of(bytes(bench.far.down)),
        dialect=dialect,
    )
    assert not at_once.is_perfect(MOST_IN_A_PIECE)
    assert not at_once.faults
