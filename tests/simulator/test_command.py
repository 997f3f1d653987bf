"""`headworks simulate` as a process: the official SDK over a real socket, control, and a clean end."""

import subprocess
import sys
import time

import httpx2
import openai
import pytest


@pytest.fixture(scope="module")
def address(running):
    with running("--pace", "0", "--seed", "7") as the_address:
        yield the_address


@pytest.fixture
def client(address):
    with openai.OpenAI(api_key="sk-any", base_url=f"{address}/v1", max_retries=0) as the_client:
        yield the_client
        httpx2.post(f"{address}/simulator/reset").raise_for_status()


def test_the_sdk_talks_to_it_plain_and_streamed(client):
    plain = client.responses.create(model="gpt-6-luna", input="Hello over a socket")
    with client.responses.stream(model="gpt-6-luna", input="Hello over a socket") as stream:
        streamed = stream.get_final_response()
    assert plain.output_text == streamed.output_text
    chunks = client.chat.completions.create(
        model="gpt-6-luna", messages=[{"role": "user", "content": "Hello over a socket"}], stream=True
    )
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == plain.output_text


def test_binary_and_multipart_bodies_pass(client):
    speech = client.audio.speech.create(model="gpt-4o-mini-tts", voice="coral", input="Hi", response_format="wav")
    assert speech.content.startswith(b"RIFF")
    heard = client.audio.transcriptions.create(model="gpt-4o-mini-transcribe", file=("hi.wav", speech.content))
    assert "hi.wav" in heard.text


def test_faults_are_set_while_it_runs(address, client):
    httpx2.post(f"{address}/simulator/faults", json={"kind": "error", "status": 503, "count": 1}).raise_for_status()
    with pytest.raises(openai.InternalServerError):
        client.responses.create(model="gpt-6-luna", input="Hi")
    client.responses.create(model="gpt-6-luna", input="Hi")
    seen = httpx2.get(f"{address}/simulator/requests").json()["requests"]
    assert [request["status"] for request in seen] == [503, 200]


def test_a_cut_is_seen_as_a_truncated_answer(address, client):
    for fault in ({"kind": "cut"}, {"kind": "cut", "before_head": True}, {"kind": "outage", "is_silent": True}):
        httpx2.post(f"{address}/simulator/faults", json={**fault, "count": 1}).raise_for_status()
        with pytest.raises(openai.APIConnectionError):
            client.responses.create(model="gpt-6-luna", input="Hi")
    httpx2.post(f"{address}/simulator/faults", json={"kind": "cut", "after_content": 2}).raise_for_status()
    with pytest.raises((httpx2.RemoteProtocolError, openai.APIConnectionError)):
        list(client.responses.create(model="gpt-6-luna", input="Hi", stream=True))


def test_a_stall_lasts_until_the_client_gives_up(address, client):
    httpx2.post(f"{address}/simulator/faults", json={"kind": "stall", "before_head": True}).raise_for_status()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.2).responses.create(model="gpt-6-luna", input="Hi")


def test_a_stream_takes_its_time(tmp_path, running):
    plan = tmp_path / "plan.yaml"
    plan.write_text("models:\n  slow:\n    latency: {first_token: {median_ms: 150, sigma: 0}, token: {median_ms: 0}}\n")
    with (
        running("--plan", str(plan)) as address,
        openai.OpenAI(api_key="sk-any", base_url=f"{address}/v1") as client,
    ):
        started = time.monotonic()
        assert client.responses.create(model="slow", input="Hi").output_text
        assert time.monotonic() - started >= 0.15


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (("--pace", "-1"), 2, "a number from 0 to 1000"),
        (("--plan", "/nonexistent/plan.yaml"), 1, "cannot be read"),
        (("--host", "192.0.2.1"), 1, "cannot listen on 192.0.2.1"),
    ],
)
def test_what_cannot_be_served_is_said(flags, code, told):
    command = [sys.executable, "-m", "headworks", "simulate", "--port", "0", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert told in done.stderr


def test_a_port_in_use_is_named(address):
    port = address.rsplit(":", 1)[1]
    done = subprocess.run(
        [sys.executable, "-m", "headworks", "simulate", "--port", port], capture_output=True, text=True, timeout=30
    )

    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: it is in use; choose another" in done.stderr
