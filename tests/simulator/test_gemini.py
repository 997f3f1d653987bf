"""Google's generateContent as the simulator speaks it, read by Google's own client."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai import errors, types

from headworks.exchange import Request
from headworks.simulator.plan import BadKey, Failing, Outage, QuotaExhausted, RateLimited, Rule, Say

MODEL = "gemini-3.5-flash"
ASKED = "The weather in Oslo?"
TOOL = types.Tool(
    function_declarations=[
        types.FunctionDeclaration(
            name="get_weather",
            description="Looks.",
            parameters_json_schema={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        )
    ]
)


@pytest.fixture
def client_of(desk_with: Callable[..., Any]) -> Callable[..., genai.Client]:
    def make(key: str = "AIza-test", **plan: Any) -> genai.Client:
        desk = desk_with(**plan)

        def serve(request: httpx2.Request) -> httpx2.Response:
            headers = {name.lower().encode(): value.encode() for name, value in request.headers.items()}
            query = request.url.query.decode()
            asked = Request(
                request.method, request.url.raw_path.decode().partition("?")[0], query, headers, request.read()
            )
            script = desk.simulator.answer(asked)
            told = [(name.decode(), value.decode()) for name, value in script.headers.items()]
            return httpx2.Response(script.status, headers=told, content=b"".join(beat.data for beat in script.beats))

        options = types.HttpOptions(
            base_url="http://simulator.invalid", httpx_client=httpx2.Client(transport=httpx2.MockTransport(serve))
        )
        return genai.Client(api_key=key, http_options=options)

    return make


@pytest.fixture
def client(client_of: Callable[..., genai.Client]) -> genai.Client:
    return client_of()


def ask(client: genai.Client, contents: Any = ASKED, **config: Any) -> types.GenerateContentResponse:
    return client.models.generate_content(model=MODEL, contents=contents, config=config or None)


def test_an_answer_says_what_it_cost(client: genai.Client) -> None:
    answer = ask(client)
    usage = answer.usage_metadata
    assert answer.text
    assert answer.model_version == MODEL
    assert answer.response_id
    assert usage is not None
    assert usage.total_token_count == (
        (usage.prompt_token_count or 0) + (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    )
    assert (answer.candidates or [])[0].finish_reason is types.FinishReason.STOP


@pytest.mark.parametrize(
    "config",
    [{}, {"tools": [TOOL]}, {"thinking_config": {"include_thoughts": True, "thinking_level": "LOW"}}],
    ids=["text", "tools", "thoughts"],
)
def test_the_pieces_of_a_stream_are_the_whole_answer(client: genai.Client, config: Any) -> None:
    chunks = list(client.models.generate_content_stream(model=MODEL, contents=ASKED, config=config))
    parts = [part for chunk in chunks for one in chunk.candidates or () for part in one.content.parts or ()]
    whole = ask(client, **config).candidates[0].content.parts  # type: ignore[index,union-attr]

    def said(found: Any, *, is_thought: bool) -> str:
        return "".join(part.text or "" for part in found if bool(part.thought) is is_thought)

    assert said(parts, is_thought=False) == said(whole, is_thought=False)
    assert said(parts, is_thought=True) == said(whole, is_thought=True)
    assert bool(said(parts, is_thought=True)) is ("thinking_config" in config)
    assert [part.function_call.name for part in parts if part.function_call] == [
        part.function_call.name for part in whole if part.function_call
    ]
    assert chunks[-1].usage_metadata


def test_a_function_is_called_and_what_it_returns_is_read(client: genai.Client) -> None:
    first = ask(client, tools=[TOOL])
    called = (first.function_calls or [])[0]
    said = (first.candidates or [])[0].content
    assert called.args
    result = types.Part.from_function_response(name="get_weather", response={"output": "snow"})
    result.function_response.id = called.id  # type: ignore[union-attr]
    turns = [
        types.Content(role="user", parts=[types.Part(text=ASKED)]),
        said,
        types.Content(role="user", parts=[result]),
    ]

    assert "snow" in (ask(client, turns, tools=[TOOL]).text or "")

    said.parts[0].thought_signature = None  # type: ignore[index,union-attr]
    with pytest.raises(errors.ClientError, match="missing a thought_signature"):
        ask(client, turns, tools=[TOOL])
    with pytest.raises(errors.ClientError, match="number of function response parts"):
        ask(client, [*turns[:2], turns[0]], tools=[TOOL])


def test_structured_output_fits_either_kind_of_schema(client: genai.Client) -> None:
    own = types.Schema(
        type=types.Type.OBJECT,
        properties={"city": types.Schema(type=types.Type.STRING), "type": types.Schema(type=types.Type.INTEGER)},
        required=["city", "type"],
    )
    standard = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    for schema in ({"response_schema": own}, {"response_json_schema": standard}):
        answer = ask(client, response_mime_type="application/json", **schema)
        assert isinstance(json.loads(answer.text or "")["city"], str)


@pytest.mark.parametrize("mode", ["ANY", "NONE"])
def test_a_mode_makes_or_forbids_calls(client: genai.Client, mode: str) -> None:
    config = {"function_calling_config": {"mode": mode}}
    assert bool(ask(client, tools=[TOOL], tool_config=config).function_calls) is (mode == "ANY")


def test_tokens_are_counted(client: genai.Client) -> None:
    assert client.models.count_tokens(model=MODEL, contents=ASKED).total_tokens


def test_a_refusal_is_a_finish_reason(client_of: Callable[..., genai.Client]) -> None:
    client = client_of(rules=(Rule(say=Say(refusal="I would rather not.")),))
    candidate = (ask(client).candidates or [])[0]
    assert candidate.finish_reason is types.FinishReason.SAFETY


@pytest.mark.parametrize(
    ("fault", "code", "status", "detail"),
    [
        (Outage(), 503, "UNAVAILABLE", ""),
        (RateLimited(retry_after_s=7), 429, "RESOURCE_EXHAUSTED", "'retryDelay': '7s'"),
        (QuotaExhausted(), 429, "RESOURCE_EXHAUSTED", "PerDay"),
        (BadKey(), 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
    ],
)
def test_errors_have_googles_shape(
    client_of: Callable[..., genai.Client], fault: Any, code: int, status: str, detail: str
) -> None:
    with pytest.raises(errors.APIError) as caught:
        ask(client_of(faults=(fault,)))
    assert (caught.value.code, caught.value.status) == (code, status)
    assert detail in str(caught.value.details)


def test_a_stream_may_fail_on_its_way(client_of: Callable[..., genai.Client]) -> None:
    client = client_of(faults=(Failing(after_content=1),))
    chunks = client.models.generate_content_stream(model=MODEL, contents=ASKED)
    assert next(chunks).text
    with pytest.raises(errors.APIError) as caught:
        list(chunks)
    assert caught.value.status == "INTERNAL"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("gemini-3.5-flash:generateContent", {"contents": []}, 400),
        ("gemini-3.5-flash:generateContent", {"contents": [{"parts": [{"text": "x"}]}], "topK": 1}, 400),
        ("nope:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}, 404),
        ("gemini-3.5-flash:embedContent", {}, 404),
        ("gemini-3.5-flash:streamGenerateContent", {"contents": [{"parts": [{"text": "x"}]}]}, 400),
    ],
)
def test_what_the_api_refuses_is_refused(desk_with: Callable[..., Any], path: str, body: Any, status: int) -> None:
    headers = {b"x-goog-api-key": b"AIza"}
    request = Request("POST", f"/v1beta/models/{path}", "", headers, json.dumps(body).encode())
    script = desk_with().simulator.answer(request)
    assert script.status == status
    assert json.loads(b"".join(beat.data for beat in script.beats))["error"]["code"] == status


# -- caches ------------------------------------------------------------------------------------------------------------

BOOK = "word " * 2000


def cached(client: genai.Client, **config: Any) -> types.CachedContent:
    return client.caches.create(model=MODEL, config={"contents": [BOOK], "ttl": "300s"} | config)


def test_a_cache_is_made_shown_kept_on_used_and_deleted(client: genai.Client) -> None:
    made = cached(client, system_instruction="Be brief.", display_name="book")
    assert (made.model, made.display_name) == (f"models/{MODEL}", "book")
    assert made.name is not None
    assert made.usage_metadata is not None
    size = made.usage_metadata.total_token_count or 0
    assert size >= 2000

    answer = ask(client, cached_content=made.name)
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.cached_content_token_count == size
    assert (answer.usage_metadata.prompt_token_count or 0) > size

    kept = client.caches.update(name=made.name, config=types.UpdateCachedContentConfig(ttl="7200s"))
    assert kept.expire_time is not None
    assert made.expire_time is not None
    assert kept.expire_time > made.expire_time
    assert client.caches.get(name=made.name).expire_time == kept.expire_time
    assert [one.name for one in client.caches.list()] == [made.name]

    client.caches.delete(name=made.name)
    assert list(client.caches.list()) == []


def test_a_page_of_caches_leads_to_the_next(client: genai.Client) -> None:
    names = [cached(client).name for _ in range(3)]
    assert [one.name for one in client.caches.list(config={"page_size": 2})] == names


def test_what_a_cache_has_is_not_said_again(client: genai.Client) -> None:
    name = cached(client).name
    with pytest.raises(errors.ClientError, match="can not be used with"):
        ask(client, cached_content=name, system_instruction="Be brief.")
    with pytest.raises(errors.ClientError, match="has to be the same"):
        client.models.generate_content(model="gpt-6-luna", contents="x", config={"cached_content": name})


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"contents": ["short"]}, "too small"),
        ({"ttl": "soon"}, "duration"),
        ({"ttl": None, "expire_time": "x"}, "time"),
    ],
)
def test_a_cache_that_cannot_be_is_refused(client: genai.Client, config: Any, message: str) -> None:
    with pytest.raises((errors.ClientError, ValueError), match=message):
        cached(client, **config)


def test_a_cache_that_is_not_there_may_not_be_read(client: genai.Client) -> None:
    for call in (client.caches.get, client.caches.delete):
        with pytest.raises(errors.ClientError) as caught:
            call(name="cachedContents/none")
        assert (caught.value.code, caught.value.status) == (403, "PERMISSION_DENIED")
    with pytest.raises(errors.ClientError, match="not found"):
        ask(client, cached_content="cachedContents/none")
