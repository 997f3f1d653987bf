"""Legacy completions: a prompt and what follows it (OpenAI API reference, "Completions", 2026-11)."""

from collections.abc import Iterator
from typing import Annotated

import msgspec
from msgspec import Meta

from headworks.calls import Endpoint
from headworks.simulator.answers import Answer
from headworks.simulator.asking import Ask, CacheWish, Segment
from headworks.simulator.chance import identifier
from headworks.simulator.decoding import decoded
from headworks.simulator.provider import Provider, Visit, tallied
from headworks.simulator.rejection import Rejection
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.script import Beat, Script, plain, stream
from headworks.simulator.tokens import split

_USUAL_TOKENS = 16
"""What `max_tokens` is where it is not given."""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class CompletionBody(msgspec.Struct):
    """The fields that mean something here; others are let through."""

    model: str | None = None
    prompt: str | list[str] | None = None
    max_tokens: Annotated[int, Meta(ge=0)] | None = None
    n: Annotated[int, Meta(ge=1, le=128)] | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    echo: bool | None = None


def create_completion(provider: Provider, visit: Visit) -> Script:
    """POST /v1/completions"""
    body = decoded(visit.request.body, CompletionBody)
    if body.model is None:
        raise Rejection(400, "you must provide a model parameter")
    name, model = provider.model(body.model, "text", Endpoint.COMPLETIONS, visit.now)
    prompts = [body.prompt] if isinstance(body.prompt, str) else body.prompt or [""]
    most = _USUAL_TOKENS if body.max_tokens is None else body.max_tokens
    stop = (body.stop,) if isinstance(body.stop, str) else tuple(body.stop or ())
    answers: list[tuple[str, Answer]] = []
    read = made = 0
    for prompt in prompts:
        ask = Ask(
            Endpoint.COMPLETIONS,
            name,
            model,
            (Segment(prompt),),
            prompt,
            max_tokens=most,
            stop=stop,
            cache=CacheWish(is_implicit=False),
        )
        written = provider.write(ask, body.n or 1)
        tally = tallied(provider.read_prompt(visit, ask), written, is_prewarm=False)
        read, made = read + tally.input_tokens, made + tally.output_tokens
        answers += [(prompt if body.echo else "", answer) for answer in written]
    usage = {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
    head: dict[str, object] = {
        "id": identifier("cmpl-", provider.plan.seed, visit.unique),
        "object": "text_completion",
        "created": int(visit.now),
        "model": model.snapshot or name,
    }
    rhythm = provider.rhythm(visit, model)
    if body.stream:
        with_usage = bool(body.stream_options and body.stream_options.include_usage)
        return stream(_beats(head, answers, usage if with_usage else None, rhythm), delay_s=rhythm.total_s(0))
    choices = [_choice(index, before + answer.text, answer.finish) for index, (before, answer) in enumerate(answers)]
    longest = max(answer.output_tokens for _, answer in answers)
    whole = msgspec.json.encode({**head, "choices": choices, "usage": usage})
    return plain(200, whole, delay_s=rhythm.total_s(longest))


def _beats(
    head: dict[str, object], answers: list[tuple[str, Answer]], usage: dict[str, int] | None, rhythm: Rhythm
) -> Iterator[Beat]:
    delays = rhythm.delays()
    for index, (before, answer) in enumerate(answers):
        for piece in ([before] if before else []) + split(answer.text):
            yield Beat(_line({**head, "choices": [_choice(index, piece, None)]}), next(delays), is_content=True)
        yield Beat(_line({**head, "choices": [_choice(index, "", answer.finish)]}))
    if usage is not None:
        yield Beat(_line({**head, "choices": [], "usage": usage}))
    yield Beat(b"data: [DONE]\n\n")


def _choice(index: int, text: str, finish: str | None) -> dict[str, object]:
    return {"text": text, "index": index, "logprobs": None, "finish_reason": finish}


def _line(value: object) -> bytes:
    return b"data: %b\n\n" % msgspec.json.encode(value)
