"""Realtime sessions with official clients, unchanged: over TLS to the gateway, and from it over the network to a
simulated provider, or in process."""

import asyncio
import base64
import json
import os
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import agents
import openai
import pytest
import trustme
from agents.realtime import RealtimeAgent, RealtimeRunner
from e2e_processes import Gateway, JavaScript, Process
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

CONFIG = """
version: 1
server: {{tls: {{certificate: "{cert}", key: "{key}"}}, grace_s: 0.5}}
providers:
  sim: {{kind: simulator, pace: 0}}
  net: {{kind: openai, base_url: "{address}/v1", api_key: env:HOME}}
models:
  voice: sim/gpt-realtime-2
  net-voice: net/gpt-realtime-2
prices:
  providers:
    sim: {{catalogue: openai}}
    net: {{catalogue: openai}}
"""
SPEECH = base64.b64encode(b"\x01\x02" * 24_000).decode()
SILENCE = base64.b64encode(bytes(24_000)).decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The certificates of a gateway, whose authority every client of this module knows."""
    folder = tmp_path_factory.mktemp("tls")
    made = trustme.CA()
    made.cert_pem.write_to_path(folder / "ca.pem")
    own = made.issue_cert("127.0.0.1")
    own.private_key_pem.write_to_path(folder / "key.pem")
    for part in own.cert_chain_pems:
        part.write_to_path(folder / "cert.pem", append=True)
    before = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(folder / "ca.pem")
    yield folder
    if before is None:
        del os.environ["SSL_CERT_FILE"]
    else:
        os.environ["SSL_CERT_FILE"] = before


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory, simulator: Process, authority: Path) -> Callable[[], Gateway]:
    def begin() -> Gateway:
        config = CONFIG.format(address=simulator.address, cert=authority / "cert.pem", key=authority / "key.pem")
        return Gateway(tmp_path_factory.mktemp("realtime"), config)

    return begin


@pytest.fixture(scope="module")
def gateway(start: Callable[[], Gateway]) -> Iterator[Gateway]:
    running = start()
    yield running
    assert running.process.stop() == 0, running.process.said


def client_of(gateway: Gateway) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0)


async def until(session: AsyncRealtimeConnection, kind: str) -> list[Any]:
    """The events up to one of this kind, which is the last."""
    events: list[Any] = []
    while not events or events[-1].type != kind:
        events.append(await session.recv())
    return events


async def say(session: AsyncRealtimeConnection, text: str) -> None:
    part = {"type": "input_text", "text": text}
    await session.conversation.item.create(item={"type": "message", "role": "user", "content": [part]})  # type: ignore[typeddict-item,list-item]
    await session.response.create()


@pytest.mark.parametrize("model", ["voice", "net-voice"])
def test_the_python_sdk_talks_in_text_and_in_sound_and_calls_functions(gateway: Gateway, model: str) -> None:
    async def run() -> None:
        async with client_of(gateway) as client, client.realtime.connect(model=model) as session:
            (created,) = await until(session, "session.created")
            assert created.session.model == "gpt-realtime-2"
            tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
            await session.session.update(
                session={"type": "realtime", "model": model, "output_modalities": ["text"], "tools": [tool]}  # type: ignore[list-item]
            )
            await until(session, "session.updated")
            await say(session, "Say hello.")
            events = await until(session, "response.done")
            text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
            assert text.startswith('You said: "Say hello."')
            await say(session, "How is the weather?")
            call = (await until(session, "response.done"))[-1].response.output[0]
            assert (call.type, call.name) == ("function_call", "get_weather")
            output = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
            await session.conversation.item.create(item=output)  # type: ignore[arg-type]
            await session.session.update(session={"type": "realtime", "output_modalities": ["audio"]})
            await session.input_audio_buffer.append(audio=SPEECH)
            await session.input_audio_buffer.append(audio=SILENCE)
            events = await until(session, "response.done")
            sound = [base64.b64decode(event.delta) for event in events if event.type == "response.output_audio.delta"]
            assert sum(map(len, sound)) >= 9600
            usage = events[-1].response.usage
            assert usage.output_token_details.audio_tokens > 0
            assert usage.input_token_details.audio_tokens == 15

    asyncio.run(run())


def test_a_session_is_one_record_with_its_cost_and_a_stop_closes_it_with_1001(start: Callable[[], Gateway]) -> None:
    running = start()

    async def run() -> tuple[str, int, int]:
        async with client_of(running) as client, client.realtime.connect(model="net-voice") as session:
            head: Any = session._connection.response  # the SDK shows it nowhere else
            await session.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            read = written = 0
            for _ in range(2):
                await say(session, "Say hello.")
                usage = (await until(session, "response.done"))[-1].response.usage
                read, written = read + usage.input_tokens, written + usage.output_tokens
            return head.headers["x-headworks-call-id"], read, written

    call_id, read, written = asyncio.run(run())
    record = running.record(call_id)
    assert (record.endpoint, record.outcome, record.status) == ("realtime", "answered", 101)
    assert (record.input_tokens, record.output_tokens) == (read, written)
    assert record.cost_pico is not None
    assert record.cost_pico > 0

    async def hold() -> None:
        async with client_of(running) as client, client.realtime.connect(model="voice") as session:
            await until(session, "session.created")
            running.process.process.send_signal(signal.SIGTERM)
            assert (await until(session, "error"))[-1].error.code == "gateway_stopping"
            with pytest.raises(ConnectionClosed) as closed:
                await session.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001

    asyncio.run(hold())
    assert running.process.stop() == 0, running.process.said


def test_the_javascript_sdk_talks_as_a_server_and_as_a_page(tmp_path: Path, gateway: Gateway, authority: Path) -> None:
    scripts = JavaScript(tmp_path)
    seen = scripts.run("realtime.mjs", gateway, "voice", NODE_EXTRA_CA_CERTS=str(authority / "ca.pem"))
    for kind in ("server", "browser"):
        assert "hello" in seen[kind]["text"].lower()
        assert (seen[kind]["status"], seen[kind]["code"]) == ("completed", 1000)


def test_the_agents_sdk_talks_and_calls_tools(gateway: Gateway) -> None:
    agents.set_tracing_disabled(disabled=True)
    asked: list[str] = []

    @agents.function_tool
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "sunny"

    async def run() -> str:
        agent = RealtimeAgent(name="Helper", instructions="Help.", tools=[get_weather])
        runner = RealtimeRunner(
            agent, config={"model_settings": {"model_name": "voice", "output_modalities": ["text"]}}
        )
        address = gateway.base_url.replace("https:", "wss:")
        model_config: Any = {"api_key": gateway.key, "url": f"{address}/realtime?model=voice"}
        async with await runner.run(model_config=model_config) as session:
            await session.send_message("What is the weather in Oslo?")
            async for event in session:
                if event.type == "error":
                    raise AssertionError(event)
                if event.type == "history_added" and "sunny" in str(event.item):
                    return str(event.item)
                if event.type == "history_updated" and "sunny" in str(event.history):
                    return str(event.history)
        raise AssertionError("it ended without an answer")

    assert "sunny" in asyncio.run(asyncio.wait_for(run(), 10))
    assert len(asked) == 1


def test_what_the_upstream_refuses_is_told_before_the_upgrade(gateway: Gateway, simulator: Process) -> None:
    def plan(method: str, path: str, body: bytes | None = None) -> None:
        request = urllib.request.Request(f"{simulator.address}/simulator/{path}", body, method=method)
        urllib.request.urlopen(request).close()

    async def refused() -> int:
        async with client_of(gateway) as client:
            with pytest.raises(InvalidStatus) as answer:
                async with client.realtime.connect(model="net-voice"):
                    raise AssertionError("it was opened")
            assert json.loads(answer.value.response.body or b"")["error"]["type"] == "requests"
            return answer.value.response.status_code

    async def cut() -> tuple[str, int]:
        async with client_of(gateway) as client, client.realtime.connect(model="net-voice") as session:
            await session.input_audio_buffer.clear()
            event = (await until(session, "error"))[-1]
            with pytest.raises(ConnectionClosed) as closed:
                await session.recv()
            assert closed.value.rcvd is not None
            return str(event.error.code), closed.value.rcvd.code

    try:
        plan(
            "POST",
            "faults",
            json.dumps({"kind": "cut", "endpoint": "realtime", "after_events": 1, "count": 1}).encode(),
        )
        assert asyncio.run(cut()) == ("upstream_broken", 1011)
        plan("POST", "faults", json.dumps({"kind": "rate_limited", "endpoint": "realtime", "count": 1}).encode())
        assert asyncio.run(refused()) == 429
    finally:
        plan("DELETE", "plan")
