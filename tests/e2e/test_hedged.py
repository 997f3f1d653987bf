"""A stream whose first token is late, as the official client sees it: another target answers in its place."""

import time

import httpx2
import openai
from e2e_processes import Gateway, Process

CONFIG = """
version: 1
providers:
  first: {kind: openai-compatible, base_url: ADDRESS/v1, api_key: file:key, speaks: [responses, chat]}
  second: {kind: openai-compatible, base_url: ADDRESS/v1, api_key: file:key, speaks: [responses, chat]}
models:
  usual: {provider: first, model: gpt-6-luna}
  rival: {provider: second, model: gpt-6.1-terra}
server: {workers: 1}
"""
CONTRACT = "owner: o\ndescription: d\nladder: [usual]\nfallback: [rival]\nlatency: {hedge: true}\n"
LATE_S = 20.0


def test_a_late_stream_is_answered_by_another(tmp_path, make_gateway):  # type: ignore[no-untyped-def]
    simulator = Process("simulate", "--port", "0", "--pace", "0", ready="headworks simulator ready on ", cwd=tmp_path)
    (tmp_path / "key").write_text("sk-provider-0123456789abcdef")
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "workloads" / "talk").mkdir(parents=True)
    (tmp_path / "workloads" / "talk" / "workload.yaml").write_text(CONTRACT)
    gateway: Gateway = make_gateway(CONFIG.replace("ADDRESS", simulator.address))
    with openai.OpenAI(base_url=gateway.base_url, api_key=gateway.key, max_retries=0) as client:

        def ask() -> tuple[str, str, str]:
            raw = client.responses.with_raw_response.create(model="talk", input="Hello", stream=True)
            with raw.parse() as stream:
                last = list(stream)[-1]
            assert last.type == "response.completed"
            call_id = raw.headers["x-headworks-call-id"]
            return last.response.model, raw.headers.get("x-headworks-hedged", ""), call_id

        for _ in range(20):
            model, hedged, _ = ask()
            assert model.startswith("gpt-6-luna") or hedged  # one in twenty is late by definition
        fault = {"kind": "slow_start", "model": "gpt-6-luna", "delay_s": LATE_S, "count": 1}
        httpx2.post(f"{simulator.address}/simulator/faults", json=fault).raise_for_status()
        began_s = time.monotonic()
        model, hedged, call_id = ask()
        took_s = time.monotonic() - began_s

    assert model.startswith("gpt-6.1-terra")
    assert hedged == "true"
    assert took_s < LATE_S / 2
    record = gateway.record(call_id)
    assert (record.outcome, record.attempts, record.usage_source) == ("answered", 2, "estimated")
    assert record.course == "first/gpt-6-luna: late; second/gpt-6.1-terra (hedge)"
    assert simulator.stop() == 0
