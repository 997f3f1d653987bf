"""`headworks status` and `/metrics` of a gateway that runs: an upstream that is down, a quota that is used, a stop."""

import json
import subprocess
import sys
import time

import httpx2
import pytest

CONFIG = """
server: {workers: 2}
providers:
  down: {kind: openai-compatible, base_url: "http://127.0.0.1:9/v1", speaks: [chat], models: [m]}
  sim: {kind: simulator, pace: 0, model_limits: {gpt-6-luna: {requests_per_minute: 100}}}
defaults: {retries: 0}
"""


def status(folder):
    command = [sys.executable, "-m", "headworks", "status", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, json.loads(done.stdout)


def until(look, wanted):
    """What workers publish is a second old at most; how long that takes on a busy machine nobody knows."""
    due_s = time.monotonic() + 60
    while not wanted(found := look()):
        assert time.monotonic() < due_s, found
        time.sleep(0.1)
    return found


@pytest.fixture
def client():
    with httpx2.Client() as client:
        yield client


def call(client, gateway, model):
    # A connection each, so that both workers are met.
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"authorization": f"Bearer {gateway.key}", "connection": "close"}
    return client.post(f"{gateway.base_url}/chat/completions", json=body, headers=headers)


def test_a_gateway_is_seen_as_it_stands_until_it_has_stopped(tmp_path, make_gateway, client):
    gateway = make_gateway(CONFIG)
    code, found = until(lambda: status(tmp_path), lambda seen: seen[1]["workers"] == 2)
    assert (code, found["ok"], found["is_ready"]) == (0, True, True)

    for _ in range(6):
        assert call(client, gateway, "sim/gpt-6-luna").status_code == 200
    _, found = until(
        lambda: status(tmp_path), lambda seen: any(quota["used"] == 6 for quota in seen[1]["standing"]["quotas"])
    )
    (quota,) = found["standing"]["quotas"]
    assert (quota["of"], quota["kind"], quota["limit"]) == ("target/sim/gpt-6-luna", "rpm", 100)

    answers = [call(client, gateway, "down/m") for _ in range(12)]
    assert (answers[-1].status_code, answers[-1].headers.get("x-headworks-breaker")) in [(502, None), (503, "open")]
    refused = [answer for answer in answers if answer.headers.get("x-headworks-breaker") == "open"]
    assert refused
    assert all(answer.json()["error"]["code"] == "circuit_open" for answer in refused)
    code, found = until(lambda: status(tmp_path), lambda seen: not seen[1]["ok"])
    assert code == 1
    assert found["problems"][0].startswith("down/m: its circuit breaker is open")
    metrics = client.get(f"{gateway.process.address}/metrics").text
    assert 'headworks_breaker_state{target="down/m",state="open"} 1' in metrics
    assert 'headworks_quota_used{quota="target/sim/gpt-6-luna",kind="rpm"} 6' in metrics

    assert gateway.process.stop() == 0
    code, found = status(tmp_path)
    assert (code, found["state"], found["problems"]) == (1, "none", ["no gateway of this project is running"])
