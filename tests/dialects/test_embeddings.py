"""OpenAI's embeddings, asked of Google's and AWS's models in as many requests as these need."""

import base64
import json
import struct
from typing import Any

import httpx2
import msgspec
import pytest
from google import genai
from google.auth.credentials import Credentials
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.embedding_create_params import EmbeddingCreateParams

from headworks.calls import UnreadableAnswer
from headworks.dialects.embeddings import MOST_TEXTS, EmbeddingsBridge, Part, PartAnswer, packed_answers
from headworks.errors import Refusal

STUDIO = "/models/gemini-embedding-001:batchEmbedContents"
GEMINI = "/publishers/google/models/gemini-embedding-001:predict"
OLDER = "/publishers/google/models/text-embedding-005:predict"
MAAS = "/publishers/google/models/multilingual-e5-maas:predict"
TITAN = "/model/amazon.titan-embed-text-v2%3A0/invoke"
TITAN_1 = "/model/amazon.titan-embed-text-v1/invoke"
COHERE_3 = "/model/eu.cohere.embed-english-v3/invoke"
COHERE_4 = "/model/cohere.embed-v4%3A0/invoke"
MODELS = {
    STUDIO: "gemini-embedding-001",
    GEMINI: "gemini-embedding-001",
    OLDER: "text-embedding-005",
    MAAS: "multilingual-e5-maas",
    TITAN: "amazon.titan-embed-text-v2:0",
    TITAN_1: "amazon.titan-embed-text-v1",
    COHERE_3: "eu.cohere.embed-english-v3",
    COHERE_4: "cohere.embed-v4:0",
}
EVERY = list(MODELS)


def bridge(path: str, **fields: Any) -> tuple[EmbeddingsBridge, list[Part]]:
    made = EmbeddingsBridge(json.dumps({"model": "m", "input": "x"} | fields).encode())
    return made, made.parts(path, MODELS[path])


def sent(path: str, **fields: Any) -> list[Any]:
    return [json.loads(part.body) for part in bridge(path, **fields)[1]]


def answer_of(path: str, part: Part, vectors: list[list[float]], tokens: int | None) -> PartAnswer:
    """What a provider answers to a request, with its vectors."""
    action = part.path.rpartition(":")[2]
    told: dict[str, Any] = {}
    if action == "predict":
        statistics = {} if tokens is None else {"statistics": {"token_count": tokens, "truncated": False}}
        told = {"predictions": [{"embeddings": {"values": one, **statistics}} for one in vectors]}
    elif part.path.endswith("/invoke"):
        if "titan" in path:
            told = {"embedding": vectors[0]} | ({} if tokens is None else {"inputTextTokenCount": tokens})
        else:
            told = {"embeddings": {"float": vectors} if path == COHERE_4 else vectors, "id": "1", "texts": []}
            return PartAnswer(json.dumps(told).encode(), -1 if tokens is None else tokens)
    else:
        usage = {} if tokens is None else {"usageMetadata": {"promptTokenCount": tokens}}
        shown = [{"values": one} for one in vectors]
        told = ({"embedding": shown[0]} if action == "embedContent" else {"embeddings": shown}) | usage
    return PartAnswer(json.dumps(told).encode())


def texts_of(path: str, body: Any) -> list[str]:
    if "requests" in body:
        return [one["content"]["parts"][0]["text"] for one in body["requests"]]
    if "instances" in body:
        return [one["content"] for one in body["instances"]]
    if "content" in body:
        return [body["content"]["parts"][0]["text"]]
    return body["texts"] if "texts" in body else [body["inputText"]]  # type: ignore[no-any-return]


def answered(path: str, count: int, tokens: int | None = 3, **fields: Any) -> tuple[Any, Any]:
    """An answer to so many texts, each of whose vectors is its number."""
    made, parts = bridge(path, input=[str(index) for index in range(count)], **fields)
    answers = [
        answer_of(path, part, [[float(text), 0.5] for text in texts_of(path, json.loads(part.body))], tokens)
        for part in parts
    ]
    written, summary = made.answer(packed_answers(answers))
    return json.loads(written), summary


def test_ai_studio_is_asked_for_each_text_with_its_model() -> None:
    asked = sent(STUDIO, input=["a", "é"], dimensions=64, user="u", encoding_format="base64")
    assert [one["requests"] for one in asked] == [
        [
            {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 64}
            for text in ("a", "é")
        ]
    ]


class _Token(Credentials):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.token = "ya29.token"

    def refresh(self, request: Any) -> None:
        """It needs none."""


@pytest.mark.parametrize(("path", "count"), [(GEMINI, 1), (GEMINI, 3), (OLDER, 1), (OLDER, 3), (MAAS, 1)])
def test_vertex_ai_is_asked_as_googles_own_client_asks(path: str, count: int) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={}, headers={"content-type": "application/json"})

    options = types.HttpOptions(api_version="v1", httpx_client=httpx2.Client(transport=httpx2.MockTransport(answer)))
    client = genai.Client(vertexai=True, project="p", location="eu", credentials=_Token(), http_options=options)
    texts = ["a", "é", "c"][:count]
    config = types.EmbedContentConfig(output_dimensionality=64, auto_truncate=False)
    client.models.embed_content(model=MODELS[path], contents=texts, config=config)

    (part,) = bridge(path, input=texts, dimensions=64)[1]
    theirs = json.loads(asked[0].content)
    for one in theirs.get("requests", [theirs]):  # that its author is a user goes without saying
        if "content" in one:
            one["content"].pop("role", None)
    assert asked[0].url.path.endswith(part.path)
    assert json.loads(part.body) == theirs


def test_bedrock_is_asked_in_each_makers_words() -> None:
    assert sent(TITAN, input=["a", "b"], dimensions=256) == [
        {"inputText": "a", "dimensions": 256},
        {"inputText": "b", "dimensions": 256},
    ]
    assert sent(TITAN_1) == [{"inputText": "x"}]
    common = {"texts": ["a", "b"], "truncate": "NONE", "embedding_types": ["float"]}
    assert sent(COHERE_3, input=["a", "b"]) == [{**common, "input_type": "search_document"}]
    assert sent(COHERE_4, input=["a", "b"], dimensions=512, input_type="search_query") == [
        {**common, "input_type": "search_query", "output_dimension": 512}
    ]


@pytest.mark.parametrize(
    ("path", "count", "sizes"),
    [
        (STUDIO, 201, [100, 100, 1]),
        (GEMINI, 101, [100, 1]),
        (OLDER, 251, [250, 1]),
        (MAAS, 2, [1, 1]),
        (TITAN, 3, [1, 1, 1]),
        (COHERE_4, 97, [96, 1]),
    ],
)
def test_what_a_provider_does_not_take_at_once_is_asked_in_several_requests(
    path: str, count: int, sizes: list[int]
) -> None:
    asked = sent(path, input=["t"] * count)
    assert [len(texts_of(path, one)) for one in asked] == sizes


def test_long_texts_are_not_put_into_one_prediction() -> None:
    asked = sent(OLDER, input=["é" * 20_000, "b" * 20_000, "c", "d" * 100_000, "e"])
    assert [[text[0] for text in texts_of(OLDER, one)] for one in asked] == [["é", "b"], ["c"], ["d"], ["e"]]


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2]}, "input[0]"),
        ({"input": ["a", [1]]}, "input[1]"),
        ({"input": 5}, "input"),
        ({"input": []}, "input"),
        ({"input": ["x"] * (MOST_TEXTS + 1)}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": "many"}, "dimensions"),
        ({"input_type": "a poem"}, "input_type"),
        ({"brand_new": 1}, "brand_new"),
    ],
)
def test_what_a_provider_has_nothing_for_is_refused_by_its_name(path: str, fields: Any, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent(path, **fields)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize("path", [STUDIO, GEMINI, OLDER, TITAN])
def test_a_purpose_is_refused_where_the_maker_does_not_ask_for_one(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent(path, input_type="search_query")
    assert refused.value.param == "input_type"


@pytest.mark.parametrize("path", [TITAN_1, COHERE_3])
def test_dimensions_are_refused_where_vectors_have_one_length(path: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent(path, dimensions=256)
    assert refused.value.param == "dimensions"


def test_a_model_of_no_known_maker_is_refused_unless_configuration_says_what_it_stands_for() -> None:
    made = EmbeddingsBridge(b'{"model":"m","input":"x"}')
    path, arn = "/model/arn%3Aaws%3Abedrock%3A1/invoke", "arn:aws:bedrock:eu-west-1:1:application-inference-profile/a"
    with pytest.raises(Refusal) as refused:
        made.parts(path, arn)
    assert refused.value.param == "model"
    (part,) = made.parts(path, arn, "amazon.titan-embed-text-v2:0")
    assert part == Part(path, b'{"inputText":"x"}')


def test_every_field_of_the_sdk_is_known() -> None:
    known = {"input": "x", "model": "m", "dimensions": 3, "encoding_format": "float", "user": "u"}
    assert set(EmbeddingCreateParams.__annotations__) == set(known)
    for path in (STUDIO, GEMINI, OLDER, TITAN, COHERE_4):
        assert len(sent(path, **known)) == 1


@pytest.mark.parametrize("path", EVERY)
def test_answers_come_back_in_the_order_of_the_texts_with_all_their_tokens(path: str) -> None:
    told, summary = answered(path, 130)
    found = CreateEmbeddingResponse.model_validate(told)
    assert [one.embedding[0] for one in found.data] == [float(index) for index in range(130)]
    assert [one.index for one in found.data] == list(range(130))
    parts = len(sent(path, input=["t"] * 130))
    tokens = 3 * (130 if path == OLDER else parts)
    assert (found.usage.prompt_tokens, summary.usage.input_tokens, summary.usage.source) == (tokens, tokens, "provider")
    assert found.model == MODELS[path]


@pytest.mark.parametrize("path", EVERY)
def test_tokens_that_nobody_tells_are_left_to_be_counted(path: str) -> None:
    told, summary = answered(path, 2, tokens=None)
    assert summary.usage is None
    assert told["usage"] == {"prompt_tokens": 0, "total_tokens": 0}


@given(
    st.sampled_from(EVERY),
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4), min_size=1, max_size=3),
)
def test_an_answer_says_the_same_numbers_in_either_form(path: str, values: list[list[float]]) -> None:
    def say(**fields: Any) -> list[Any]:
        made, parts = bridge(path, input=[str(index) for index in range(len(values))], **fields)
        answers = [
            answer_of(path, part, [values[int(text)] for text in texts_of(path, json.loads(part.body))], 1)
            for part in parts
        ]
        return [one["embedding"] for one in json.loads(made.answer(packed_answers(answers))[0])["data"]]

    assert say() == values
    for one, expected in zip(say(encoding_format="base64"), values, strict=True):
        data = base64.b64decode(one)
        assert list(struct.unpack(f"<{len(data) // 4}f", data)) == expected


@pytest.mark.parametrize("path", EVERY)
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"embeddings":5}', b"\xff", b'{"embedding":["x"]}', b"null"])
def test_what_is_no_answer_is_not_passed_on(path: str, body: bytes) -> None:
    made, _ = bridge(path)
    with pytest.raises(UnreadableAnswer):
        made.answer(packed_answers([PartAnswer(body)]))
    assert made.used(packed_answers([PartAnswer(body)])) is None


def test_numbers_beyond_any_embedding_are_no_answer() -> None:
    made, (part,) = bridge(TITAN, encoding_format="base64")
    with pytest.raises(UnreadableAnswer):
        made.answer(packed_answers([answer_of(TITAN, part, [[1e300]], 1)]))


@given(st.binary(max_size=60))
def test_whatever_comes_as_an_answer_is_read_or_refused(data: bytes) -> None:
    for path in EVERY:
        made, _ = bridge(path)
        for body in (data, packed_answers([PartAnswer(data)])):
            try:
                made.answer(body)
            except UnreadableAnswer:
                continue
            raise AssertionError(msgspec.json.encode(body.hex()))


def test_what_parts_of_a_broken_call_used_is_known() -> None:
    made, parts = bridge(TITAN, input=["a", "b", "c"])
    usage = made.used(packed_answers([answer_of(TITAN, part, [[0.5]], 7) for part in parts[:2]]))
    assert usage is not None
    assert usage.input_tokens == 14


def test_errors_come_in_openais_words() -> None:
    made, _ = bridge(TITAN)
    error = json.loads(made.error(b'{"message":"Too many input tokens."}', 400))["error"]
    assert (error["message"], error["type"]) == ("Too many input tokens.", "invalid_request_error")
    made, _ = bridge(OLDER)
    error = json.loads(made.error(b'{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT"}}', 400))["error"]
    assert (error["message"], error["type"]) == ("m", "invalid_request_error")
