"""A value at every place of a body that is a string, in every dialect: none is in the bytes that leave the gateway."""

import contextlib
import copy
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from e2e_processes import Gateway, Process
from e2e_tap import Tap

MAIL = "ada.lovelace@example.org"
IBAN = "DE89370400440532013000"
"""It looks like an identifier, and goes up where the API has nothing but those."""

BYTES = {"messages/2/content/1/source/data", "contents/2/parts/1/inlineData/data"}
"""Where there are those of a picture."""

IDENTIFIERS = {
    *("model", "role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "status", "detail", "media_type"),
    *("required", "tool_choice", "verbosity", "truncation"),
}
PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="
SCHEMA = {
    "type": "object",
    "title": "Where",
    "description": "A place.",
    "properties": {"city": {"type": "string", "description": "Its name.", "enum": ["Oslo", "Rome"], "default": "Oslo"}},
    "required": ["city"],
}
ARGUMENTS = json.dumps({"city": "Oslo", "more": {"of": ["it", {"deep": "down"}]}})
CHAT = {
    "model": "MODEL",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "name": "ada", "content": [{"type": "text", "text": "Hello"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}}]},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": ARGUMENTS}},
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": ARGUMENTS},
        {"role": "assistant", "content": "Snow.", "refusal": "No."},
        {"role": "user", "content": "And now?"},
    ],
    "tools": [{"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": SCHEMA}}],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "stop": ["END"],
    "metadata": {"case": "one"},
    "user": "somebody",
    "safety_identifier": "someone",
    "prompt_cache_key": "some",
    "prediction": {"type": "content", "content": "Snow."},
    "a_field_of_tomorrow": {"deep": [[{"er": "words"}]]},
}
RESPONSES = {
    "model": "MODEL",
    "instructions": "Be kind.",
    "input": [
        {"type": "message", "role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
        {"role": "user", "content": [{"type": "input_image", "image_url": PIXEL, "detail": "low"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "look", "arguments": ARGUMENTS},
        {"type": "function_call_output", "call_id": "call_1", "output": ARGUMENTS},
        {"type": "function_call", "call_id": "call_2", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "snow"}]},
    ],
    "tools": [{"type": "function", "name": "look", "description": "Looks.", "parameters": SCHEMA, "strict": False}],
    "text": {"format": {"type": "text"}, "verbosity": "low"},
    "metadata": {"case": "one"},
    "user": "somebody",
    "safety_identifier": "someone",
    "prompt_cache_key": "some",
    "truncation": "disabled",
    "a_field_of_tomorrow": {"deep": [[{"er": "words"}]]},
}
MESSAGES: Any = {
    "model": "MODEL",
    "max_tokens": 500,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I look."},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": json.loads(ARGUMENTS)},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": ARGUMENTS}]},
                {
                    "type": "image",
                    "source": {"type": "base64", "media_type": "image/gif", "data": PIXEL.partition(",")[2]},
                },
                {
                    "type": "document",
                    "title": "Letter",
                    "context": "Sent.",
                    "source": {"type": "text", "media_type": "text/plain", "data": "Dear Sir"},
                },
            ],
        },
    ],
    "tools": [{"name": "look", "description": "Looks.", "input_schema": SCHEMA}],
    "tool_choice": {"type": "auto"},
    "stop_sequences": ["END"],
    "metadata": {"user_id": "somebody"},
    "a_field_of_tomorrow": {"deep": [[{"er": "words"}]]},
}
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be kind."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Hello"}]},
        {
            "role": "model",
            "parts": [{"text": "I look."}, {"functionCall": {"name": "look", "args": json.loads(ARGUMENTS)}}],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "look", "response": {"output": "snow", "more": ARGUMENTS}}},
                {"inlineData": {"mimeType": "image/gif", "data": PIXEL.partition(",")[2]}},
            ],
        },
    ],
    "tools": [{"functionDeclarations": [{"name": "look", "description": "Looks.", "parametersJsonSchema": SCHEMA}]}],
    "generationConfig": {"stopSequences": ["END"], "responseMimeType": "text/plain"},
    "labels": {"case": "one"},
    "aFieldOfTomorrow": {"deep": [[{"er": "words"}]]},
}
DIALECTS = {
    "chat": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", RESPONSES),
    "messages": ("/v1/messages", MESSAGES),
    "gemini": ("/v1beta/models/MODEL:generateContent", GEMINI),
}
UPSTREAMS = {
    "chat": ("{{kind: openai-compatible, base_url: '{tap}/v1', api_key: env:TAP_KEY, speaks: [chat]}}", "gpt-6-luna"),
    "responses": ("{{kind: openai, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "gpt-6-luna"),
    "messages": ("{{kind: anthropic, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "claude-sonnet-5"),
    "gemini": ("{{kind: gemini, base_url: '{tap}/v1beta', api_key: env:TAP_KEY}}", "gemini-3.5-flash"),
}


def translatable(body: Any) -> Any:
    """The body without what is refused where it has to be translated, as for a workload: a field that nobody knows, and
    what is said of a document."""
    made = {name: value for name, value in body.items() if name not in ("a_field_of_tomorrow", "aFieldOfTomorrow")}
    made.pop("labels", None)
    if "messages" in made:
        *before, last = made["messages"]
        made["messages"] = [*before, {**last, "content": last["content"][:2]}]
    return made


def planted(body: Any, value: str) -> Iterator[tuple[str, Any]]:
    """The body with a value in the place of each string, by its path; within strings that are JSON, too; and as the
    name of what an application names itself."""
    for path in list(paths(body)):
        made = copy.deepcopy(body)
        holder, inner = made, path
        while len(inner) > 1 and inner[1] != "$":
            holder, inner = holder[inner[0]], inner[1:]
        if len(inner) == 1:
            holder[inner[0]] = value
        else:  # "$" and what lies in the JSON behind it
            document = json.loads(holder[inner[0]])
            place = document
            for step in inner[2:-1]:
                place = place[step]
            place[inner[-1]] = value
            holder[inner[0]] = json.dumps(document)
        yield "/".join(map(str, path)), made
    for name in ("metadata", "labels", "a_field_of_tomorrow"):
        if name in body:
            yield f"{name}/*", {**body, name: {**body[name], value: "x"}}


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))
    if isinstance(value, str):
        yield path
        if value[:1] == "{":
            yield from paths(json.loads(value), (*path, "$"))


@pytest.fixture(scope="module")
def tap(simulator: Process) -> Iterator[Tap]:
    made = Tap(simulator.address)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("leaves")
    lines = ["version: 1", "server: {workers: 1}"]
    lines += ["screening: {privacy: {}, unscreened: [raw-chat, raw-responses, raw-messages, raw-gemini]}", "providers:"]
    lines += [f"  {name}: {provider.format(tap=tap.address)}" for name, (provider, _) in UPSTREAMS.items()]
    lines += ["models:"]
    for name, (_, model) in UPSTREAMS.items():
        lines += [f"  {kind}-{name}: {name}/{model}" for kind in ("plain", "raw")]
        contract = folder / "workloads" / f"desk-{name}" / "workload.yaml"
        contract.parent.mkdir(parents=True)
        contract.write_text(
            f"owner: desk\ndescription: Answers.\nladder: [plain-{name}]\nscreening: {{privacy: {{}}}}\n"
        )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_KEY", "sk-simulated")
        running = Gateway(folder, "\n".join([*lines, ""]))
    yield running
    assert running.process.stop() == 0, running.process.said


def went_up(gateway: Gateway, tap: Tap, dialect: str, model: str, value: str) -> Iterator[tuple[str, bytes]]:
    """By path, all that the provider was sent."""
    headers = {"content-type": "application/json", "authorization": f"Bearer {gateway.key}"}
    path, body = DIALECTS[dialect]
    if model.startswith("desk") and dialect in ("messages", "gemini"):
        body = translatable(body)
    with contextlib.closing(HTTPConnection(gateway.process.address.removeprefix("http://"), timeout=60)) as connection:
        for place, made in planted({**body, "model": model} if "model" in body else body, value):
            tap.forget()
            connection.request("POST", path.replace("MODEL", model), json.dumps(made), headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status < 500, (place, answer.status)
            yield place, bytes(tap.up)


over_each = pytest.mark.parametrize(
    "upstream", ["native", *(pytest.param(name, marks=pytest.mark.long) for name in UPSTREAMS)]
)
"""The upstream that speaks the caller's dialect in every run, each of them by command."""


@over_each
@pytest.mark.parametrize("kind", ["plain", "desk"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_value_at_any_place_of_a_body_stays_here(
    gateway: Gateway, tap: Tap, dialect: str, kind: str, upstream: str
) -> None:
    model = f"{kind}-{dialect if upstream == 'native' else upstream}"
    tokens, places = [], 0

    for place, up in went_up(gateway, tap, dialect, model, MAIL):
        places += 1
        assert b"lovelace" not in up, place
        tokens += [place] if b"PII_EMAIL_" in up else []

    assert places > 30
    if upstream == "native":
        assert len(tokens) > places / 2, tokens  # of others the gateway or a bridge refuses what is no word of the API


@over_each
@pytest.mark.parametrize("kind", ["plain", "desk"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_looks_like_an_identifier_goes_up_where_nothing_else_may_stand(
    gateway: Gateway, tap: Tap, dialect: str, kind: str, upstream: str
) -> None:
    model = f"{kind}-{dialect if upstream == 'native' else upstream}"
    for place, up in went_up(gateway, tap, dialect, model, IBAN):
        *_, before, name = ["", "", *(step for step in place.split("/") if not step.isdigit())]
        is_function = name == "name" and not (before == "messages" and dialect == "chat")
        assert IBAN.encode() not in up or name in IDENTIFIERS or is_function or place in BYTES, place


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_same_search_finds_it_where_nothing_is_screened(gateway: Gateway, tap: Tap, dialect: str) -> None:
    found = [place for place, up in went_up(gateway, tap, dialect, f"raw-{dialect}", MAIL) if b"lovelace" in up]

    assert len(found) > 20
