"""Upstreams that are down, answer garbage or break off: the caller gets the right error, and the call is recorded."""

from collections.abc import Iterator

import httpx2
import openai
import pytest
from e2e_processes import Gateway, Process

ONE = """  sim-NUMBER:
    kind: openai-compatible
    base_url: ADDRESS/v1
    api_key: file:provider-key
    speaks: [responses, chat]
    timeouts: {first_byte_s: 1, between_bytes_s: 1}
"""
CONFIG = f"""
version: 1
providers:
{"".join(ONE.replace("NUMBER", str(number)) for number in range(30))}
  down:
    kind: openai-compatible
    base_url: http://127.0.0.1:9/v1
    speaks: [responses, chat]
  wrong-key:
    kind: openai-compatible
    base_url: ADDRESS/v1
    speaks: [responses, chat]
models:
  sturdy: {{provider: down, model: anything, fallback: [sim-0/gpt-6.1-terra]}}
defaults: {{retries: 1}}
"""
TARGETS = iter(range(1, 30))


class Nano:
    """A model of a provider that no other test has asked: what one test does to it, its breaker holds against it."""

    name = ""


MESSAGES = [{"role": "user", "content": "Say hello, and then a good deal more."}]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, own_simulator: Process) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "provider-key").write_text("sk-provider-0123456789abcdef")
    (folder / "provider-key").chmod(0o600)
    running = Gateway(folder, CONFIG.replace("ADDRESS", own_simulator.address))
    yield running
    assert running.process.stop() == 0, running.process.said
    assert "sk-provider" not in "".join(running.process.said)
    assert "good deal" not in "".join(running.process.said)


@pytest.fixture(scope="module")
def own_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("simulator")
    process = Process("simulate", "--port", "0", "--pace", "0", ready="headworks simulator ready on ", cwd=folder)
    yield process
    assert process.stop() == 0


@pytest.fixture
def client(gateway: Gateway, own_simulator: Process) -> Iterator[openai.OpenAI]:
    Nano.name = f"sim-{next(TARGETS)}/gpt-6-luna"
    httpx2.post(f"{own_simulator.address}/simulator/reset")
    httpx2.delete(f"{own_simulator.address}/simulator/plan")
    httpx2.patch(f"{own_simulator.address}/simulator/plan", json={"pace": 0})
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as made:
        yield made


def fault(simulator: Process, **details: object) -> None:
    answer = httpx2.post(f"{simulator.address}/simulator/faults", json=details)
    assert answer.is_success, answer.text


def chat(client: openai.OpenAI, model: str = "", *, stream: bool = False) -> object:
    made = client.chat.completions.create(model=model or Nano.name, messages=MESSAGES, stream=stream)  # type: ignore[call-overload]
    return list(made) if stream else made


def test_an_upstream_that_is_down_is_a_502_and_recorded(gateway: Gateway, client: openai.OpenAI) -> None:
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError) as refused:
            chat(client, "down/anything", stream=stream)
        assert refused.value.status_code == 502
        assert refused.value.code == "upstream_unreachable"
        record = gateway.record(refused.value.response.headers["x-headworks-call-id"])
        assert (record.outcome, record.status, record.attempts) == ("failed", 502, 2)


def test_a_refused_provider_key_is_not_blamed_on_the_caller(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError, match="Your key is fine") as refused:
        chat(client, "wrong-key/gpt-6-luna")
    assert refused.value.code == "upstream_unauthorized"


def test_a_providers_own_error_is_passed_on_with_its_retry_headers(
    client: openai.OpenAI, own_simulator: Process
) -> None:
    fault(own_simulator, kind="error", status=503, retry_after_s=7)
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client)
    assert refused.value.status_code == 503
    assert refused.value.response.headers["retry-after"] == "7"


@pytest.mark.parametrize("shape", ["truncated", "html"])
def test_garbage_is_a_502(gateway: Gateway, client: openai.OpenAI, own_simulator: Process, shape: str) -> None:
    fault(own_simulator, kind="malformed", shape=shape)
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client)
    assert refused.value.status_code == 502
    assert refused.value.code == "upstream_invalid"
    assert gateway.record(refused.value.response.headers["x-headworks-call-id"]).error_code == "upstream_invalid"


def test_a_stream_that_is_cut_ends_with_an_error_and_an_estimate(
    gateway: Gateway, client: openai.OpenAI, own_simulator: Process
) -> None:
    fault(own_simulator, kind="cut", after_events=5)
    raw = client.chat.completions.with_raw_response.create(
        model=Nano.name,
        messages=MESSAGES,  # type: ignore[arg-type]
        stream=True,
    )
    with pytest.raises(openai.APIError) as broken:
        list(raw.parse())
    assert broken.value.code == "upstream_broken"
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.outcome == "failed"
    assert record.usage_source == "estimated"
    assert record.input_tokens > 0
    assert record.output_tokens > 0


def test_a_response_stream_that_is_cut_raises_in_the_sdk(client: openai.OpenAI, own_simulator: Process) -> None:
    fault(own_simulator, kind="cut", after_events=6)
    with pytest.raises(openai.APIError, match=r"broken|closed|ended"):
        list(client.responses.create(model=Nano.name, input="Say hello.", stream=True))


def test_a_stream_that_stalls_is_given_up(client: openai.OpenAI, own_simulator: Process) -> None:
    fault(own_simulator, kind="stall", after_events=4)
    with pytest.raises(openai.APIError) as broken:
        chat(client, stream=True)
    assert broken.value.code == "upstream_timeout"


def test_a_failed_response_is_recorded_as_failed(
    gateway: Gateway, client: openai.OpenAI, own_simulator: Process
) -> None:
    fault(own_simulator, kind="failing")
    raw = client.responses.with_raw_response.create(model=Nano.name, input="x", stream=True)
    assert [event.type for event in raw.parse()][-1] == "response.failed"
    assert gateway.record(raw.headers["x-headworks-call-id"]).outcome == "failed"


def test_what_passes_is_tried_again_and_the_sdk_sees_nothing_of_it(
    client: openai.OpenAI, own_simulator: Process
) -> None:
    for stream in (False, True):
        fault(own_simulator, kind="error", status=500, count=1)
        assert chat(client, stream=stream)


def test_a_model_whose_provider_is_down_is_answered_by_its_fallback(gateway: Gateway, client: openai.OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(model="sturdy", messages=MESSAGES)  # type: ignore[arg-type]

    assert raw.parse().choices[0].message.content
    assert raw.headers["x-headworks-provider"] == "sim-0"
    assert raw.headers["x-headworks-fallback"] in ("upstream_unreachable", "circuit_open")
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert (record.outcome, record.provider, record.model) == ("answered", "sim-0", "gpt-6.1-terra")


def test_the_sdks_own_retries_do_not_multiply_ours(client: openai.OpenAI, own_simulator: Process) -> None:
    fault(own_simulator, kind="error", status=503)
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client.with_options(max_retries=5))
    assert refused.value.response.headers["x-should-retry"] == "false"
    asked = httpx2.get(f"{own_simulator.address}/simulator/requests").json()["requests"]
    assert len([one for one in asked if one["path"].endswith("/chat/completions")]) == 2


def test_a_clients_own_timeout_is_the_calls_deadline(client: openai.OpenAI, own_simulator: Process) -> None:
    fault(own_simulator, kind="slow_start", delay_s=30)
    with pytest.raises(openai.InternalServerError) as refused:
        chat(client.with_options(timeout=6.0))
    assert (refused.value.status_code, refused.value.code) == (504, "upstream_timeout")
