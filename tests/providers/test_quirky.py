"""Servers with quirks: what goes up to each of them, and what is refused before it does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import FailureKind
from headworks.config.quirks import QUIRKS
from headworks.errors import Refusal
from headworks.providers import REGISTRY, OpenAIProvider, Provider, ProviderSettings, QuirkyProvider

CHAT = "/chat/completions"
NEW, OLD = "max_completion_tokens", "max_tokens"


def provider(name: str) -> Provider:
    quirks = QUIRKS[name]
    settings = ProviderSettings(
        "there", api_key="key", renamed=quirks.renamed, refused=quirks.refused, unsent=quirks.unsent
    )
    return REGISTRY["openai-compatible"](settings)


def sent(name: str, path: str = CHAT, **fields: object) -> dict[str, object]:
    body: dict[str, object] = json.loads(provider(name).json_request(path, json.dumps(fields).encode(), b"").body)
    return body


@pytest.mark.parametrize("name", ["ollama", "llama-cpp", "lm-studio", "mistral", "deepseek", "together", "fireworks"])
def test_the_output_limit_has_the_name_that_the_server_reads(name: str) -> None:
    assert sent(name, model="m", **{NEW: 5}) == {"model": "m", OLD: 5}
    assert sent(name, model="m", **{OLD: 5}) == {"model": "m", OLD: 5}
    assert sent(name, model="m", **{OLD: 5, NEW: 5}) == {"model": "m", OLD: 5}


def test_two_limits_that_differ_are_refused() -> None:
    with pytest.raises(Refusal) as caught:
        sent("mistral", **{OLD: 5, NEW: 6})
    assert (caught.value.status, caught.value.param) == (400, NEW)


@pytest.mark.parametrize("name", ["vllm", "openrouter", "litellm"])
def test_a_server_without_quirks_in_its_fields_costs_a_call_nothing(name: str) -> None:
    assert type(provider(name)) is OpenAIProvider


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("groq", "logprobs", True),
        ("groq", "n", 2),
        ("ollama", "n", 3),
        ("ollama", "logit_bias", {"5": 1}),
        ("deepseek", "seed", 5),
        ("mistral", "store", True),
        ("xai", "logit_bias", {"5": 1}),
    ],
)
def test_what_a_server_has_nothing_for_is_refused_by_name(name: str, field: str, value: object) -> None:
    with pytest.raises(Refusal) as caught:
        sent(name, model="m", **{field: value})
    refusal = caught.value
    assert (refusal.status, refusal.code, refusal.param) == (400, "unsupported_parameter", field)
    assert "there" in refusal.message


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("groq", "n", 1),
        ("groq", "logprobs", False),
        ("groq", "top_logprobs", 0),
        ("ollama", "logit_bias", {}),
        ("mistral", "store", False),
        ("mistral", "service_tier", "auto"),
        ("deepseek", "seed", None),
        ("mistral", "stream_options", {"include_usage": True}),
    ],
)
def test_a_field_that_asks_for_nothing_is_left_out(name: str, field: str, value: object) -> None:
    assert sent(name, model="m", **{field: value}) == {"model": "m"}


def test_a_seed_is_mistrals_random_seed() -> None:
    assert sent("mistral", seed=7) == {"random_seed": 7}


def test_only_chat_has_these_quirks() -> None:
    assert sent("mistral", "/embeddings", store=True, **{NEW: 5}) == {"store": True, NEW: 5}


PROVIDERS = {name: provider(name) for name in QUIRKS}
ALL = sorted({name for quirks in QUIRKS.values() for name in (*dict(quirks.renamed), *quirks.refused, *quirks.unsent)})


@given(
    st.sampled_from(sorted(QUIRKS)),
    st.dictionaries(st.text(max_size=12).filter(lambda name: name not in ALL), st.integers() | st.text(), max_size=6),
    st.sampled_from(["", " ", "\n"]),
)
def test_a_body_without_such_fields_goes_on_byte_for_byte(name: str, fields: dict[str, object], space: str) -> None:
    body = space.encode() + json.dumps(fields).encode() + space.encode()
    assert PROVIDERS[name].json_request(CHAT, body, b"").body == body


def test_groqs_own_status_says_that_there_is_no_room() -> None:
    assert provider("groq").classify(498, {}, b"{}").kind is FailureKind.OVERLOADED
    assert provider("groq").classify(429, {}, b"{}").kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"code": "Client specified an invalid argument", "error": "maximum context length is 5"}, "TOO_LONG"),
        (422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden"}]}}, "REJECTED"),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "store"]}]}, "REJECTED"),
        (402, {"error": {"message": "Insufficient Balance", "code": "invalid_request_error"}}, "QUOTA"),
        (403, {"error": {"code": 403, "message": "Input was flagged", "metadata": {"reasons": ["x"]}}}, "REFUSED"),
        (502, {"error": {"code": 502, "message": "Provider returned error"}}, "ERROR"),
        (503, {"error": {"code": 503, "message": "No available model provider"}}, "OVERLOADED"),
    ],
)
def test_the_errors_of_all_of_them_are_classified(status: int, body: object, kind: str) -> None:
    settings = ProviderSettings("there", refused=("n",))
    assert QuirkyProvider(settings).classify(status, {}, json.dumps(body).encode()).kind.name == kind
