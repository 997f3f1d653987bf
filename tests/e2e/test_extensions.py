"""The example package, built as a wheel and put where a gateway finds it: every kind of extension does its part."""

import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import openai
import pytest
from e2e_processes import Gateway
from e2e_relay import relaying

PACKAGE = Path(__file__).parents[2] / "examples" / "extensions"

CONFIG = """
version: 1
server: {workers: 1}
providers:
  sim: {kind: simulator, pace: 0}
models:
  nano: sim/gpt-6-luna
hooks:
  ceiling: {use: acme-ceiling, timeout_s: 30, settings: {most_tokens: "40"}}
screening:
  privacy: {recognisers: [acme-topics]}
records:
  sinks:
    lines: {use: acme-lines, since: start, settings: {file: calls.jsonl}}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that the wheel was unpacked into, as an installer does it."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=PACKAGE,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(folder / "site"), *filter(None, [os.environ.get("PYTHONPATH")])])
        )
        yield folder / "site"


@pytest.fixture(scope="module")
def gateway(installed, tmp_path_factory):
    running = Gateway(tmp_path_factory.mktemp("extended"), CONFIG)
    yield running
    running.process.stop()


@pytest.fixture(scope="module")
def client(gateway):
    with openai.OpenAI(api_key=gateway.key, base_url=gateway.base_url, max_retries=0) as client:
        yield client


def test_every_kind_is_found_and_loads(installed, gateway):
    command = [sys.executable, "-m", "headworks", "extensions", "--json"]
    told = json.loads(subprocess.run(command, cwd=gateway.folder, capture_output=True, check=True).stdout)

    own = {one["name"]: one for one in told["extensions"] if one["package"] == "acme-headworks"}
    assert own.keys() == {"acme", "acme-ceiling", "acme-topics", "acme-brief", "acme-lines"}
    assert all(one["loads"] and one["location"].startswith(str(installed)) for one in own.values())
    assert own["acme-lines"]["used_at"] == ["records.sinks.lines.use"]


def written(lines):
    """What the sink has written so far, calls of other tests before."""
    return [json.loads(line) for line in lines.read_bytes().split(b"\n")[:-1]] if lines.exists() else []


def test_the_hook_bounds_the_layer_blocks_and_the_sink_is_given_every_record(gateway, client):
    answer = client.responses.create(model="nano", input="Tell me of Oslo.", store=False)
    with pytest.raises(openai.PermissionDeniedError, match="at most 40 tokens"):
        client.responses.create(model="nano", input="Tell me of Oslo.", max_output_tokens=5000)
    with pytest.raises(openai.BadRequestError, match="merger"):
        client.responses.create(model="nano", input="How is Project Bluebird?", max_output_tokens=20)

    assert answer.max_output_tokens == 40
    expected = ["", "answer_too_long", "personal_data_blocked"]
    due = time.monotonic() + 60
    told = []
    while [one["error_code"] for one in told] != expected:
        assert time.monotonic() < due, (told, gateway.process.said)
        time.sleep(0.02)
        told = written(gateway.folder / "calls.jsonl")[-3:]
    assert "hook ceiling: max_output_tokens" in told[0]["course"]


def test_the_status_tells_of_the_sink(gateway, client):
    client.responses.create(model="nano", input="Tell me of Oslo.", store=False)
    command = [sys.executable, "-m", "headworks", "status", "--json"]
    due = time.monotonic() + 60
    while True:
        told = json.loads(subprocess.run(command, cwd=gateway.folder, capture_output=True).stdout)
        if told["sinks"] and told["sinks"][0]["taken_ago_s"] is not None:
            break
        assert time.monotonic() < due, told
    assert (told["sinks"][0]["name"], told["sinks"][0]["failures"]) == ("lines", 0)
    metrics = client._client.get(gateway.process.address + "/metrics").text
    assert 'headworks_sink_failures{sink="lines"} 0' in metrics


def test_the_provider_asks_in_its_own_way(installed):
    code = (
        "from headworks.extending import PROVIDERS, load_extension\n"
        "from headworks.providers import ProviderSettings\n"
        "made = load_extension(PROVIDERS, 'acme')(ProviderSettings(name='acme'))\n"
        "print(made.json_request('/chat/completions', b'{}', b'').line.decode())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("POST /v1/inference/chat/completions ")


ACME = """
version: 1
server: {workers: 1}
providers:
  acme:
    kind: openai-compatible
    base_url: ADDRESS/v1
    api_key: env:ACME_KEY
    extension: acme
    speaks: [chat]
models:
  small: acme/gpt-6-luna
"""


def path_at_acme(path, headers):
    """Acme's server knows one tenant, and other paths than OpenAI."""
    if headers.get("x-acme-tenant") != "blue" or not path.startswith("/v1/inference/"):
        return None
    return path.replace("/v1/inference/", "/v1/")


def test_the_provider_is_measured_on_its_own_server_and_serves_calls(installed, simulator, tmp_path, monkeypatch):
    monkeypatch.setenv("ACME_KEY", "of-acme")
    with relaying(simulator.address) as server:
        server.path_of = path_at_acme
        running = Gateway(tmp_path, ACME.replace("ADDRESS", server.address))
        command = [sys.executable, "-m", "headworks", "conformance", "acme", "--json", "--strict"]
        done = subprocess.run(command, cwd=running.folder, capture_output=True)
        with openai.OpenAI(api_key=running.key, base_url=running.base_url, max_retries=0) as client:
            said = client.responses.create(model="small", input="Hello").output_text
        assert running.process.stop() == 0

    told = json.loads(done.stdout)
    assert said
    assert done.returncode == 0
    assert {one["part"] for one in told["cases"]} == {"feature", "shape"}
    assert {one["outcome"] for one in told["cases"] if one["part"] == "shape"} == {"supported"}
