"""The endpoints of AWS Bedrock's runtime: what a model answers, whole or streamed; what texts are as vectors.

A model is one of the plan, by its own name or by the one that Bedrock has for it: `claude-sonnet-5` is
`eu.anthropic.claude-sonnet-5-v1:0`, too.
"""

import datetime as dt
import re
import urllib.parse
from collections.abc import Callable

import msgspec

from headworks.calls import Endpoint
from headworks.exchange import Request
from headworks.simulator import rejection
from headworks.simulator.converse_asking import converse_ask, converse_body
from headworks.simulator.converse_wire import SimulatedConverse, converse_beats
from headworks.simulator.embeddings import embedding_named
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.invocations import invoked
from headworks.simulator.messages_wire import signature
from headworks.simulator.provider import Provider, Visit, tallied
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script, plain, stream

_PATH = re.compile(r"/model/(.+)/(converse|converse-stream|invoke)")
_BEDROCK = re.compile(
    r"(?:.*/)?(?:[a-z-]+\.)?(?:anthropic|openai|google|amazon|cohere)\.(.+?)(?:-v[0-9]+(?::[0-9]+)?)?"
)
_SIGNED = re.compile(rb"AWS4-HMAC-SHA256 Credential=([^/, ]+)/[0-9]{8}/[a-z0-9-]+/bedrock/aws4_request, .+")
_MOST_OFF_S = 300.0
_EVENTS = b"application/vnd.amazon.eventstream"


def converse(provider: Provider, visit: Visit) -> Script:
    """POST /model/{model}/converse and /converse-stream"""
    body = converse_body(visit.request.body)
    is_streamed = visit.request.path.endswith("-stream")
    name, model = provider.model(model_in(provider, visit.request.path), "text", Endpoint.CONVERSE, visit.now)
    ask = converse_ask(body, name, model, lambda thinking: signature(provider.plan.seed, thinking))
    tally = provider.read_prompt(visit, ask)
    answers = provider.write(ask)
    if visit.failure is not None and not is_streamed:
        raise Rejection(500, FAILURE_MESSAGES[visit.failure.code])
    answer = answers[0]
    rhythm = provider.rhythm(visit, ask.model)
    shows = body.thinking is not None and body.thinking.display != "omitted"
    said = SimulatedConverse(
        answer=answer,
        thinking=None if not answer.reasoning_tokens else answer.summary if shows else "",
        tier=body.tier,
        tally=tallied(tally, answers, is_prewarm=False),
        rhythm=rhythm,
        seed=provider.plan.seed,
        unique=visit.unique,
    )
    if not is_streamed:
        return plain(200, said.body(), delay_s=rhythm.total_s(answer.output_tokens))
    delay_s = rhythm.total_s(answer.reasoning_tokens)
    return stream(converse_beats(said, visit.failure), delay_s=delay_s, content_type=_EVENTS)


def invoke(provider: Provider, visit: Visit) -> Script:
    """POST /model/{model}/invoke, of the models that embed."""
    asked = urllib.parse.unquote(visit.request.path)
    wanted = model_in(provider, visit.request.path)
    if provider.base_model(wanted) is None:
        wanted = embedding_named(asked.split("/")[-2], provider.plan.models, is_known=False)
    name, model = provider.model(wanted, "embedding", Endpoint.INVOKE_MODEL, visit.now)
    found = invoked(visit.request.body, asked, model, provider.plan.seed, visit.unique)
    provider.admit(visit, name, found.tokens)
    return found.script()


def is_of_bedrock(path: str) -> bool:
    """Whether a path is one of this API's."""
    return path.startswith("/model/")


def route(request: Request) -> Callable[[Provider, Visit], Script]:
    """What a request asks of a model. Raises Rejection: there is no such thing."""
    found = _PATH.fullmatch(request.path)
    if request.method != "POST" or found is None:
        raise rejection.no_such_path(request.method, request.path)
    return invoke if found[2] == "invoke" else converse


def model_in(provider: Provider, path: str) -> str:
    """The model that a path names, by its name in the plan where it has one."""
    found = _PATH.fullmatch(path)
    name = "" if found is None else urllib.parse.unquote(found[1])
    if provider.base_model(name) is not None:
        return name
    theirs = _BEDROCK.fullmatch(name)
    return theirs[1] if theirs is not None else name


def with_key(request: Request, now: float) -> Request:
    """The same request as if the key that signs it were sent. What it is signed with nobody knows here: only the date
    is looked at.

    Raises:
        Rejection: the clock of whoever signed it is off.
    """
    found = _SIGNED.fullmatch(request.headers.get(b"authorization", b""))
    if found is None:
        return request
    try:
        moment = dt.datetime.strptime(request.headers.get(b"x-amz-date", b"").decode(), "%Y%m%dT%H%M%S%z")
    except (ValueError, UnicodeDecodeError):
        raise Rejection(403, "Date must be in ISO-8601 'basic format'.", code="IncompleteSignatureException") from None
    off_s = now - moment.timestamp()
    if abs(off_s) > _MOST_OFF_S:
        words = (
            "Signature expired: it is now earlier than" if off_s > 0 else "Signature not yet current: still later than"
        )
        at = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        raise Rejection(403, f"Signature {words} {at}", code="InvalidSignatureException")
    return msgspec.structs.replace(request, headers={**request.headers, b"authorization": b"Bearer " + found[1]})
