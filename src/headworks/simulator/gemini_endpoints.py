"""The endpoints of Google's Gemini API: what a model answers, whole or streamed; prompts counted; caches."""

import re
import urllib.parse
from collections.abc import Callable

import msgspec

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator import gemini_caches, rejection
from headworks.simulator.asking import Ask
from headworks.simulator.chance import identifier
from headworks.simulator.cloud_paths import VERTEX
from headworks.simulator.decoding import decoded
from headworks.simulator.embeddings import embedding_named, vector
from headworks.simulator.gemini_asking import GeminiBody, gemini_ask, gemini_body
from headworks.simulator.gemini_wire import SimulatedContent, content_beats, signature
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.plan import Model
from headworks.simulator.provider import Provider, Visit, tallied
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script, plain, stream
from headworks.simulator.tokens import count

_PATH = re.compile(r"/v1(?:beta)?/models/([^/]+):([A-Za-z]+)")
"""A model and what it is to do. Google's own client asks for `/v1` since 3.0, for `/v1beta` if it is told to."""


class _EmbeddingPart(msgspec.Struct, forbid_unknown_fields=True):
    text: str


class _EmbeddingContent(msgspec.Struct, forbid_unknown_fields=True):
    parts: list[_EmbeddingPart]
    role: str | None = None


def generate_content(provider: Provider, visit: Visit) -> Script:
    """POST /v1/models/{model}:generateContent and :streamGenerateContent"""
    body = gemini_body(visit.request.body)
    is_streamed = visit.request.path.endswith(":streamGenerateContent")
    if is_streamed and "alt=sse" not in visit.request.query.split("&"):
        raise Rejection(400, "The simulator streams with `alt=sse` only, as Google's own clients ask for it.")
    ask, cached = _ask(provider, visit, body)
    tally = provider.read_prompt(visit, ask)
    if cached:
        tally = msgspec.structs.replace(tally, cached_tokens=max(cached, tally.cached_tokens))
    answers = provider.write(ask)
    if visit.failure is not None and not is_streamed:
        raise Rejection(500, FAILURE_MESSAGES[visit.failure.code])
    answer = answers[0]
    rhythm = provider.rhythm(visit, ask.model)
    content = SimulatedContent(
        id=identifier("", provider.plan.seed, visit.unique)[:22],
        model=ask.served_model,
        answer=answer,
        thoughts=answer.summary if body.shows_thoughts else "",
        is_signed=ask.model.is_reasoning,
        tally=tallied(tally, answers, is_prewarm=False),
        rhythm=rhythm,
        seed=provider.plan.seed,
        unique=visit.unique,
    )
    if not is_streamed:
        return plain(200, content.body(), delay_s=rhythm.total_s(answer.output_tokens))
    return stream(content_beats(content, visit.failure), delay_s=rhythm.total_s(answer.reasoning_tokens))


def count_tokens(provider: Provider, visit: Visit) -> Script:
    """POST /v1/models/{model}:countTokens"""
    body = gemini_body(visit.request.body)
    return plain(200, msgspec.json.encode({"totalTokens": _ask(provider, visit, body)[0].prompt_tokens()}))


class _EmbedConfig(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    output_dimensionality: int | None = None
    task_type: str | None = None
    title: str | None = None
    auto_truncate: bool = True


class _OfVertex(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What Vertex AI takes one of."""

    content: _EmbeddingContent
    embed_content_config: _EmbedConfig = msgspec.field(default_factory=_EmbedConfig)
    model: str = ""


class _BatchOfVertex(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[_OfVertex]


class _Instance(msgspec.Struct, forbid_unknown_fields=True):
    content: str
    task_type: str | None = None
    title: str | None = None


class _Parameters(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    output_dimensionality: int | None = None
    auto_truncate: bool = True


class _Predicted(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[_Instance]
    parameters: _Parameters = msgspec.field(default_factory=_Parameters)


class _Embedding(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    content: _EmbeddingContent
    model: str = ""
    output_dimensionality: int | None = None
    task_type: str | None = None
    title: str | None = None


class _Embeddings(msgspec.Struct, forbid_unknown_fields=True):
    requests: list[_Embedding]


def embed(provider: Provider, visit: Visit) -> Script:
    """POST /v1/models/{model}:batchEmbedContents"""
    wanted, name, model = _embedding_model(provider, visit)
    if VERTEX in visit.request.headers:
        return _embed_at_vertex(provider, visit, name, model)
    body = decoded(visit.request.body, _Embeddings)
    _check_batch(len(body.requests))
    found, tokens = [], 0
    for one in body.requests:
        if one.model != f"models/{wanted}":
            raise Rejection(400, "BatchEmbedContentsRequest.model: must match the model specified in the batch request")
        text = "".join(part.text for part in one.content.parts)
        tokens += count(text)
        found.append({"values": vector(text, model.dimensions, one.output_dimensionality or model.dimensions)})
    provider.admit(visit, name, tokens)
    return plain(200, msgspec.json.encode({"embeddings": found, "usageMetadata": {"promptTokenCount": tokens}}))


def embed_one(provider: Provider, visit: Visit) -> Script:
    """POST .../publishers/google/models/{model}:embedContent, as Vertex AI has it"""
    if VERTEX not in visit.request.headers:
        raise rejection.no_such_path(visit.request.method, visit.request.path)
    _, name, model = _embedding_model(provider, visit)
    body = decoded(visit.request.body, _OfVertex)
    found, tokens = _vectors_of_vertex([body], model)
    provider.admit(visit, name, tokens)
    return plain(200, msgspec.json.encode({"embedding": found[0], "usageMetadata": {"promptTokenCount": tokens}}))


def predict(provider: Provider, visit: Visit) -> Script:
    """POST .../publishers/google/models/{model}:predict, as Vertex AI has it for the older models that embed"""
    if VERTEX not in visit.request.headers:
        raise rejection.no_such_path(visit.request.method, visit.request.path)
    wanted, name, model = _embedding_model(provider, visit)
    body = decoded(visit.request.body, _Predicted)
    if not 0 < len(body.instances) <= _MOST_INSTANCES:
        raise Rejection(400, f"{_MOST_INSTANCES} instance(s) is allowed per prediction. Actual: {len(body.instances)}")
    size, predictions, tokens = body.parameters.output_dimensionality or model.dimensions, [], 0
    for one in body.instances:
        more = _tokens_of(one.content, model, cuts=body.parameters.auto_truncate)
        tokens += more
        statistics = {"truncated": count(one.content) > more, "token_count": more}
        values = vector(one.content, model.dimensions, size)
        predictions.append({"embeddings": {"values": values, "statistics": statistics}})
    if tokens > _MOST_PREDICTED:
        raise Rejection(400, f"Unable to submit request because the input token count is {tokens} of {wanted}.")
    provider.admit(visit, name, tokens)
    metadata = {"billableCharacterCount": sum(len(one.content) for one in body.instances)}
    return plain(200, msgspec.json.encode({"predictions": predictions, "metadata": metadata}))


def _embed_at_vertex(provider: Provider, visit: Visit, name: str, model: Model) -> Script:
    body = decoded(visit.request.body, _BatchOfVertex)
    _check_batch(len(body.requests))
    found, tokens = _vectors_of_vertex(body.requests, model)
    provider.admit(visit, name, tokens)
    return plain(200, msgspec.json.encode({"embeddings": found, "usageMetadata": {"promptTokenCount": tokens}}))


def _vectors_of_vertex(asked: list[_OfVertex], model: Model) -> tuple[list[dict[str, list[float]]], int]:
    found, tokens = [], 0
    for one in asked:
        text = "".join(part.text for part in one.content.parts)
        tokens += _tokens_of(text, model, cuts=one.embed_content_config.auto_truncate)
        size = one.embed_content_config.output_dimensionality or model.dimensions
        found.append({"values": vector(text, model.dimensions, size)})
    return found, tokens


def _tokens_of(text: str, model: Model, *, cuts: bool) -> int:
    tokens = count(text)
    if tokens > model.context_tokens and not cuts:
        most = model.context_tokens
        raise Rejection(400, f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({most}).")
    return min(tokens, model.context_tokens)


def _embedding_model(provider: Provider, visit: Visit) -> tuple[str, str, Model]:
    """A model that embeds: as it is asked, its id, and its plan."""
    wanted = model_in(visit.request.path)
    known = embedding_named(wanted, provider.plan.models, is_known=provider.base_model(wanted) is not None)
    return wanted, *provider.model(known, "embedding", Endpoint.GENERATE_CONTENT, visit.now)


def _check_batch(count: int) -> None:
    if not 0 < count <= _MOST_EMBEDDINGS:
        raise Rejection(
            400, f"BatchEmbedContentsRequest.requests: at most {_MOST_EMBEDDINGS} requests can be in one batch"
        )


_MOST_EMBEDDINGS = 100
_MOST_INSTANCES = 250
_MOST_PREDICTED = 20_000
"""Tokens of a prediction ("Text embeddings API", 2026-11)."""

_ACTIONS: dict[str, Callable[[Provider, Visit], Script]] = {
    "generateContent": generate_content,
    "streamGenerateContent": generate_content,
    "countTokens": count_tokens,
    "batchEmbedContents": embed,
    "embedContent": embed_one,
    "predict": predict,
}


def is_of_gemini(path: str) -> bool:
    """Whether a path is one of this API's: under `/v1` lie OpenAI's models, too, whose names may have colons."""
    found = _PATH.fullmatch(path)
    is_cache = gemini_caches.PATH.fullmatch(path) is not None
    return is_cache or path.startswith("/v1beta/") or (found is not None and found[2] in _ACTIONS)


def route(request: Request) -> Callable[[Provider, Visit], Script]:
    """What a request asks of a model. Raises Rejection: there is no such thing."""
    cache = gemini_caches.PATH.fullmatch(request.path)
    if cache is not None:
        does = gemini_caches.ALL if cache[1] is None else gemini_caches.ONE
        if request.method not in does:
            raise rejection.wrong_method(request.method, request.path, ", ".join(does))
        return does[request.method]
    found = _PATH.fullmatch(request.path)
    handle = None if found is None else _ACTIONS.get(found[2])
    if handle is None or request.method != "POST":
        raise rejection.no_such_path(request.method, request.path)
    return handle


def model_in(path: str) -> str:
    """The model that a path names."""
    found = _PATH.fullmatch(path)
    return "" if found is None else urllib.parse.unquote(found[1])


def _ask(provider: Provider, visit: Visit, body: GeminiBody) -> tuple[Ask, int]:
    """What is asked, and how many tokens of it are in a cache that it names."""
    name, model = provider.model(model_in(visit.request.path), "text", Endpoint.GENERATE_CONTENT, visit.now)
    body, cached = gemini_caches.before(provider, visit, body, name)
    return gemini_ask(body, name, model, lambda subject: signature(provider.plan.seed, subject)), cached
