"""Azure OpenAI and Vertex AI as the simulator speaks them: by paths of their own, with what they add."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.exchange import Request
from headworks.simulator import Plan, Script, Simulator
from headworks.simulator.cloud_paths import plain_request
from headworks.simulator.rejection import Rejection

ASKED = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}
CHAT = "/openai/deployments/gpt-6-luna/chat/completions"
DATED = "api-version=2024-10-21"
VERTEX = "/v1/projects/p/locations/global/publishers/google/models/gemini-3.5-flash:generateContent"


def ask(path: str, query: str = "", headers: dict[bytes, bytes] | None = None, **fields: object) -> Script:
    simulator = Simulator(Plan(pace=0), now=lambda: 1_795_000_000.0)
    given_headers = {b"api-key": b"any"} if headers is None else headers
    return simulator.answer(Request("POST", path, query, given_headers, json.dumps(ASKED | fields).encode()))


def body(script: Script) -> bytes:
    return b"".join(beat.data for beat in script.beats)


def test_a_deployment_answers_with_azures_annotations() -> None:
    script = ask(CHAT, DATED)
    content = body(script)
    answer = json.loads(content)

    assert (script.status, script.length) == (200, len(content))
    assert answer["model"].startswith("gpt-6-luna")
    assert answer["prompt_filter_results"][0]["content_filter_results"]["hate"] == {
        "filtered": False,
        "severity": "safe",
    }
    assert answer["choices"][0]["content_filter_results"]["violence"]["severity"] == "safe"
    assert script.headers[b"apim-request-id"].startswith(b"req_")
    assert b"x-request-id" not in script.headers


def test_its_stream_begins_with_a_chunk_that_has_no_choices() -> None:
    first, second, *_ = body(ask(CHAT, DATED, stream=True)).split(b"\n\n")
    head = json.loads(first.removeprefix(b"data: "))
    assert (head["choices"], head["id"]) == ([], "")
    assert head["prompt_filter_results"]
    assert json.loads(second.removeprefix(b"data: "))["choices"]


def test_the_newer_surface_has_the_model_in_the_body() -> None:
    assert ask("/openai/v1/chat/completions", model="gpt-6-luna").status == 200
    assert ask("/openai/v1/chat/completions").status == 404


@pytest.mark.parametrize("query", ["", "api-version=", "api-version=preview"])
def test_the_older_surface_wants_its_version(query: str) -> None:
    assert ask(CHAT, query).status == 404


def test_azure_wants_a_key_or_a_token() -> None:
    assert ask(CHAT, DATED, {}).status == 401
    assert ask(CHAT, DATED, {b"authorization": b"Bearer eyJ.x.y"}).status == 200


def test_vertex_wants_a_token_and_has_no_place_for_a_key() -> None:
    content = {"contents": [{"role": "user", "parts": [{"text": "Hello"}]}]}

    def status(headers: dict[bytes, bytes]) -> int:
        simulator = Simulator(Plan(pace=0), now=lambda: 1_795_000_000.0)
        return simulator.answer(Request("POST", VERTEX, "", headers, json.dumps(content).encode())).status

    assert status({b"authorization": b"Bearer ya29.x"}) == 200
    assert status({}) == 401


@given(st.text(max_size=40).map(lambda text: f"/{text}"), st.text(max_size=20), st.binary(max_size=30))
def test_whatever_is_no_clouds_path_comes_back_as_it_is(path: str, query: str, content: bytes) -> None:
    request = Request("POST", path, query, {}, content)
    if not path.startswith("/openai/"):
        assert plain_request(request) is request
        return
    with contextlib.suppress(Rejection):
        assert plain_request(request).path.startswith("/v1/")
