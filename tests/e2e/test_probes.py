"""Active probes of a gateway with two workers: an outage of a provider that another process simulates."""

import time

import httpx2
import pytest
from e2e_processes import Process

CONFIG = """
server: {{workers: 2}}
providers:
  up:
    kind: openai-compatible
    base_url: "{address}/v1"
    api_key: "file:provider-key"
    models: [gpt-6-luna]
    probe: {{every_s: 1, timeout_s: 2}}
defaults: {{retries: 0}}
"""
HELD_S = 7.0
"""Longer than a breaker stays open by its own clock, at first."""


@pytest.fixture
def provider(tmp_path):
    folder = tmp_path / "provider"
    folder.mkdir()
    process = Process("simulate", "--port", "0", "--pace", "0", ready="headworks simulator ready on ", cwd=folder)
    yield process
    assert process.stop() == 0


@pytest.fixture
def client():
    with httpx2.Client(timeout=10) as client:
        yield client


def asked(client, provider):
    """Calls and probes that have reached the provider."""
    requests = client.get(f"{provider.address}/simulator/requests").json()["requests"]
    paths = [one["path"] for one in requests]
    return paths.count("/v1/chat/completions"), paths.count("/v1/models")


def call(client, gateway):
    body = {"model": "up/gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {gateway.key}", "connection": "close"}  # so that both workers are met
    return client.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers)


def metrics(client, gateway):
    return client.get(f"{gateway.process.address}/metrics", headers={"connection": "close"}).text


def test_while_a_provider_is_down_one_probe_at_a_time_asks_it_and_no_caller_does(
    tmp_path, make_gateway, provider, client
):
    (tmp_path / "provider-key").write_text("sk-probe\n")
    gateway = make_gateway(CONFIG.format(address=provider.address))
    assert call(client, gateway).status_code == 200
    assert asked(client, provider) == (1, 0)  # nothing is probed that is well

    assert client.post(f"{provider.address}/simulator/faults", json={"kind": "error", "status": 500}).is_success
    refused = 0
    while refused < 12:  # both workers' breakers are open
        refused = refused + 1 if call(client, gateway).headers.get("x-headworks-breaker") == "open" else 0
    calls, probes = asked(client, provider)
    since_s = time.monotonic()
    while time.monotonic() < since_s + HELD_S:
        assert call(client, gateway).headers.get("x-headworks-breaker") == "open"
        time.sleep(0.05)  # a caller's pace
    held_s = time.monotonic() - since_s
    calls_after, probes_after = asked(client, provider)
    assert calls_after == calls
    assert held_s / 4 <= probes_after - probes <= held_s + 1  # one a second of the machine, not of each worker
    text = metrics(client, gateway)
    assert 'headworks_breaker_state{target="up/gpt-6-luna",state="open"} 1' in text
    assert 'headworks_probe_result{target="up/gpt-6-luna",result="failed"} 1' in text

    assert client.patch(f"{provider.address}/simulator/plan", json={"faults": []}).is_success
    since_s = time.monotonic()
    while call(client, gateway).status_code != 200:
        assert time.monotonic() < since_s + 60
    assert time.monotonic() - since_s < 20
    while 'state="closed"} 1' not in metrics(client, gateway):
        call(client, gateway)
        assert time.monotonic() < since_s + 60
