"""Every client dialect over every kind of upstream, plain and as a workload, whole and streamed: values stay here.

What a provider is sent is looked at byte by byte on its own socket; what the caller gets back has the values again.
"""

import contextlib
import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import openai
import pytest
from e2e_processes import Gateway, Process
from e2e_tap import Tap

UPSTREAMS = {
    "openai": ("{{kind: openai, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "gpt-6-luna"),
    "chat": ("{{kind: openai-compatible, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "gpt-6-luna"),
    "anthropic": ("{{kind: anthropic, base_url: '{tap}/v1', api_key: env:TAP_KEY}}", "claude-sonnet-5"),
    "gemini": ("{{kind: gemini, base_url: '{tap}/v1beta', api_key: env:TAP_KEY}}", "gemini-3.5-flash"),
    "azure": ("{{kind: azure, base_url: '{tap}', api_key: env:TAP_KEY}}", "gpt-6-luna"),
    "bedrock": ("{{kind: bedrock, region: eu-west-1, base_url: '{tap}', api_key: env:TAP_KEY}}", "claude-sonnet-5"),
}
VALUES = ("ada.lovelace@example.org", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00")
SAID = f"I am {VALUES[0]}, my card is {VALUES[1]}, and {VALUES[2]} is my account."


def by_chat(model: str, *, is_streamed: bool) -> tuple[str, Any]:
    return "/v1/chat/completions", {"model": model, "stream": is_streamed, "messages": turns()}


def by_responses(model: str, *, is_streamed: bool) -> tuple[str, Any]:
    return "/v1/responses", {"model": model, "stream": is_streamed, "store": False, "input": turns()}


def by_messages(model: str, *, is_streamed: bool) -> tuple[str, Any]:
    return "/v1/messages", {"model": model, "stream": is_streamed, "max_tokens": 500, "messages": turns()}


def by_gemini(model: str, *, is_streamed: bool) -> tuple[str, Any]:
    manner = "streamGenerateContent?alt=sse" if is_streamed else "generateContent"
    return f"/v1beta/models/{model}:{manner}", {"contents": [{"role": "user", "parts": [{"text": SAID}]}]}


def turns() -> Any:
    return [{"role": "user", "content": SAID}]


DIALECTS = {"chat": by_chat, "responses": by_responses, "messages": by_messages, "gemini": by_gemini}


def texts(dialect: str, answer: Any) -> Iterator[str]:
    """What the model has said in a whole answer, or in an event of a stream."""
    match dialect:
        case "chat":
            for choice in answer["choices"]:
                yield choice.get("message", choice.get("delta", {})).get("content") or ""
        case "responses" if "type" in answer:
            yield answer["delta"] if answer["type"] == "response.output_text.delta" else ""
        case "responses":
            for item in answer["output"]:
                yield from (part["text"] for part in item.get("content") or () if part["type"] == "output_text")
        case "messages" if answer.get("type") == "message":
            yield from (block["text"] for block in answer["content"] if block["type"] == "text")
        case "messages":
            yield answer.get("delta", {}).get("text") or ""
        case "gemini":
            for one in answer.get("candidates", ()):
                yield from (part.get("text", "") for part in one.get("content", {}).get("parts", ()))


@pytest.fixture(scope="module")
def tap(simulator: Process) -> Iterator[Tap]:
    made = Tap(simulator.address)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(tap: Tap, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("screened")
    lines = ["version: 1", "server: {workers: 1}", "screening: {privacy: {}}", "providers:"]
    lines += [f"  {name}: {provider.format(tap=tap.address)}" for name, (provider, _) in UPSTREAMS.items()]
    lines += ["models:", *(f"  {name}-m: {name}/{model}" for name, (_, model) in UPSTREAMS.items())]
    for name in UPSTREAMS:
        contract = folder / "workloads" / f"desk-{name}" / "workload.yaml"
        contract.parent.mkdir(parents=True)
        contract.write_text(f"owner: desk\ndescription: Answers.\nladder: [{name}-m]\nscreening: {{privacy: {{}}}}\n")
    stored = folder / "workloads" / "stored" / "workload.yaml"
    stored.parent.mkdir()
    stored.write_text(
        "owner: desk\ndescription: Answers.\nladder: [openai-m]\nstate: provider\nscreening: {privacy: {}}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAP_KEY", "sk-simulated")
        running = Gateway(folder, "\n".join([*lines, ""]))
    yield running
    assert running.process.stop() == 0, running.process.said


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_value_leaves_and_all_come_back_over_every_kind_of_upstream(
    gateway: Gateway, tap: Tap, dialect: str, *, is_streamed: bool
) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {gateway.key}"}
    cut = 0
    with contextlib.closing(HTTPConnection(gateway.process.address.removeprefix("http://"), timeout=30)) as connection:
        for model in [f"{name}-m" for name in UPSTREAMS] + [f"desk-{name}" for name in UPSTREAMS]:
            path, body = DIALECTS[dialect](model, is_streamed=is_streamed)
            tap.forget()
            connection.request("POST", path, json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read().decode()
            assert answer.status == 200, (model, data)

            events = [line[6:] for line in data.splitlines() if line.startswith("data: {")] if is_streamed else [data]
            told = "".join(text for event in events for text in texts(dialect, json.loads(event)))

            assert f'You said: "{SAID}"' in told, (model, told)
            assert tap.up.count(b"PII_") >= len(VALUES), model
            for value in VALUES:
                assert value.encode() not in tap.up + tap.down, model
            cut += b"PII_EMAIL_" not in tap.down
    assert cut or not is_streamed, "no token was cut: this shows less than it says"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["openai-m", "stored"])
def test_who_goes_on_from_a_stored_response_names_the_id_that_came(
    gateway: Gateway, tap: Tap, model: str, *, is_streamed: bool
) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        if is_streamed:
            with client.responses.create(model=model, input=SAID, store=True, stream=True) as stream:
                first = next(event.response.id for event in stream if event.type == "response.created")
        else:
            first = client.responses.create(model=model, input=SAID, store=True).id
        tap.forget()
        told = client.responses.create(model=model, input=f"Again: {VALUES[0]}", previous_response_id=first)

    assert f"Again: {VALUES[0]}" in told.output_text
    assert first.encode() in tap.up
    assert VALUES[0].encode() not in tap.up


def is_kept(client: openai.OpenAI, response_id: str) -> bool:
    """Whether a response can be read again, and gone on from."""
    try:
        client.responses.retrieve(response_id)
    except openai.NotFoundError:
        with pytest.raises(openai.APIStatusError, match=response_id):
            client.responses.create(model="stored", input="Again?", previous_response_id=response_id)
        return False
    assert client.responses.create(model="stored", input="Again?", previous_response_id=response_id).output_text
    return True


@pytest.mark.parametrize("asked", [{"store": True}, {"store": False}, {}], ids=["stored", "not stored", "unsaid"])
@pytest.mark.parametrize("model", ["openai-m", "desk-openai", "stored", "chat-m", "desk-chat", "desk-anthropic"])
def test_a_response_says_whether_it_can_be_read_again_and_gone_on_from(
    gateway: Gateway, model: str, asked: dict[str, Any]
) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        if "openai" not in model and model != "stored" and asked.get("store"):  # nothing there could keep it
            with pytest.raises(openai.BadRequestError, match="'store' cannot be translated"):
                client.responses.create(model=model, input=SAID, **asked)
            return
        whole = client.responses.create(model=model, input=SAID, **asked)
        with client.responses.create(model=model, input=SAID, stream=True, **asked) as stream:
            told = [event.response for event in stream if hasattr(event, "response")]

        assert whole.store is is_kept(client, whole.id)
        assert {one.store for one in told} == {is_kept(client, told[-1].id)}


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("model", ["chat-m", "desk-chat"])
def test_a_completion_has_the_id_that_its_provider_gave_it(
    gateway: Gateway, tap: Tap, model: str, *, is_streamed: bool
) -> None:
    tap.forget()
    asked: Any = {"model": model, "messages": turns()}
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        if is_streamed:
            with client.chat.completions.create(**asked, stream=True) as stream:
                told = {chunk.id for chunk in stream}
        else:
            told = {client.chat.completions.create(**asked).id}

    (given,) = told
    assert given.startswith("chatcmpl-")
    assert b'"id":"%b"' % given.encode() in tap.down
