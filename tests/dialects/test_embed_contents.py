"""OpenAI's embeddings from Google's batchEmbedContents."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse
from openai.types.embedding_create_params import EmbeddingCreateParams

from headworks.calls import UnreadableAnswer
from headworks.dialects.embed_contents import EmbeddingsBridge
from headworks.errors import Refusal


def sent(**fields: Any) -> Any:
    body = json.dumps({"model": "m", "input": "x"} | fields).encode()
    return json.loads(EmbeddingsBridge(body).request(body, "gemini-embedding-001"))["requests"]


def answered(*values: list[float], usage: Any = None, **fields: Any) -> tuple[Any, Any]:
    body = json.dumps({"model": "m", "input": ["x"] * len(values)} | fields).encode()
    bridge = EmbeddingsBridge(body)
    bridge.request(body, "gemini-embedding-001")
    told = {"embeddings": [{"values": one} for one in values]} | ({"usageMetadata": usage} if usage else {})
    written, summary = bridge.answer(json.dumps(told).encode())
    return json.loads(written), summary


def test_each_text_is_asked_for_with_its_model() -> None:
    assert sent(input=["a", "é"], dimensions=64, user="u", encoding_format="base64") == [
        {"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 64}
        for text in ("a", "é")
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [1, 2]}, "input[0]"),
        ({"input": ["a", [1]]}, "input[1]"),
        ({"input": 5}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"dimensions": "many"}, "dimensions"),
        ({"brand_new": 1}, "brand_new"),
    ],
)
def test_what_google_has_nothing_for_is_refused_by_its_name(fields: Any, param: str) -> None:
    with pytest.raises(Refusal) as refused:
        sent(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)


def test_every_field_of_the_sdk_is_known() -> None:
    known = {"input": "x", "model": "m", "dimensions": 3, "encoding_format": "float", "user": "u"}
    assert set(EmbeddingCreateParams.__annotations__) == set(known)
    assert len(sent(**known)) == 1


@given(
    st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=4), min_size=1, max_size=3)
)
def test_an_answer_says_the_same_numbers_in_either_form(values: list[list[float]]) -> None:
    as_floats, _ = answered(*values)
    packed, _ = answered(*values, encoding_format="base64")

    assert [one["embedding"] for one in as_floats["data"]] == values
    for one, expected in zip(packed["data"], values, strict=True):
        data = base64.b64decode(one["embedding"])
        assert list(struct.unpack(f"<{len(data) // 4}f", data)) == expected


def test_its_tokens_are_told_where_google_tells_them() -> None:
    told, summary = answered([0.5], usage={"promptTokenCount": 7})
    found = CreateEmbeddingResponse.model_validate(told)
    assert (found.model, found.usage.prompt_tokens, summary.usage.input_tokens) == ("gemini-embedding-001", 7, 7)
    assert answered([0.5])[1].usage is None


@pytest.mark.parametrize("body", [b"{}", b"x", b'{"embeddings":[]}', b'{"embeddings":[{"values":["a"]}]}'])
def test_what_is_no_answer_is_not_taken_for_one(body: bytes) -> None:
    bridge = EmbeddingsBridge(b'{"model":"m","input":"x"}')
    with pytest.raises(UnreadableAnswer):
        bridge.answer(body)


def test_an_error_is_told_in_openais_words() -> None:
    error = {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}
    told = json.loads(EmbeddingsBridge(b"{}").error(json.dumps(error).encode(), 429))
    assert told["error"]["code"] == "rate_limit_exceeded"
