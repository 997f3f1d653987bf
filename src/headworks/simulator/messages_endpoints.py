"""The endpoints of Anthropic's API: messages, and how many tokens they would take."""

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.asking import Ask
from headworks.simulator.chance import identifier
from headworks.simulator.generation import FAILURE_MESSAGES
from headworks.simulator.messages_asking import MessagesBody, messages_ask, messages_body
from headworks.simulator.messages_wire import SimulatedMessage, message_beats, signature
from headworks.simulator.provider import Provider, Visit, tallied
from headworks.simulator.rejection import Rejection
from headworks.simulator.script import Script, plain, stream


def create_message(provider: Provider, visit: Visit) -> Script:
    """POST /v1/messages"""
    body = messages_body(visit.request.body)
    if body.max_tokens is None:
        raise Rejection(400, "max_tokens: Field required")
    ask = _ask(provider, visit, body)
    tally = provider.read_prompt(visit, ask)
    answers = provider.write(ask)
    if visit.failure is not None and not body.stream:
        raise Rejection(500, FAILURE_MESSAGES[visit.failure.code])
    answer = answers[0]
    rhythm = provider.rhythm(visit, ask.model)
    message = SimulatedMessage(
        id=identifier("msg_", provider.plan.seed, visit.unique),
        model=ask.served_model,
        answer=answer,
        thinking=None if not answer.reasoning_tokens else answer.summary if body.shows_thinking else "",
        tally=tallied(tally, answers, is_prewarm=False),
        rhythm=rhythm,
        seed=provider.plan.seed,
        unique=visit.unique,
    )
    if not body.stream:
        return plain(200, message.body(), delay_s=rhythm.total_s(answer.output_tokens))
    return stream(message_beats(message, visit.failure), delay_s=rhythm.total_s(answer.reasoning_tokens))


def count_message_tokens(provider: Provider, visit: Visit) -> Script:
    """POST /v1/messages/count_tokens"""
    ask = _ask(provider, visit, messages_body(visit.request.body))
    return plain(200, msgspec.json.encode({"input_tokens": ask.prompt_tokens()}))


def _ask(provider: Provider, visit: Visit, body: MessagesBody) -> Ask:
    name, model = provider.model(body.model, "text", Endpoint.MESSAGES, visit.now)
    return messages_ask(body, name, model, lambda thinking: signature(provider.plan.seed, thinking))
