"""The endpoints that make text: Responses, with everything about stored ones, and Chat Completions."""

import urllib.parse

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.chance import identifier
from headworks.simulator.chat_asking import ChatBody, chat_ask
from headworks.simulator.chat_wire import Completion, chat_beats
from headworks.simulator.decoding import decoded
from headworks.simulator.generation import FAILURE_MESSAGES, HEAD_SHARE, Generation, echoed, output_items
from headworks.simulator.items import Item, made_items
from headworks.simulator.job_endpoints import add_items
from headworks.simulator.projects import Conversation
from headworks.simulator.provider import Provider, Visit, tallied
from headworks.simulator.rejection import Rejection, invalid_value, missing
from headworks.simulator.responses_asking import ResponsesBody, input_items, responses_ask
from headworks.simulator.responses_events import late_beats, response_beats
from headworks.simulator.script import Script, plain, stream
from headworks.simulator.stored import StoredResponse, item_list, page_of


def create_response(provider: Provider, visit: Visit) -> Script:
    """POST /v1/responses"""
    body = decoded(visit.request.body, ResponsesBody)
    if body.model is None:
        raise missing("model")
    name, model = provider.model(body.model, "text", Endpoint.RESPONSES, visit.now)
    provider.project.check_references(visit.request.body)
    conversation = _conversation(provider, body)
    history, items = _input(provider, body)
    if conversation is not None:
        history = tuple(item for _, item in conversation.items)
    ask = msgspec.structs.replace(responses_ask(body, history, items, model), model_id=name)
    tally = provider.read_prompt(visit, ask, may_truncate=body.truncation == "auto")
    answers = provider.write(ask)
    seed = provider.plan.seed
    generation = Generation(
        id=identifier("resp_", seed, visit.unique),
        created_at=visit.now,
        echo=echoed(body, ask),
        output=() if ask.cache.is_prewarm else output_items(answers[0], ask, body, seed, visit.unique),
        answer=answers[0],
        tally=tallied(tally, answers, is_prewarm=ask.cache.is_prewarm),
        rhythm=provider.rhythm(visit, model),
        is_background=bool(body.background),
        failure=visit.failure,
    )
    if body.store is not False:
        provider.shelf.keep(StoredResponse(generation, (*history, *items)))
    if conversation is not None:
        made = made_items(item.value(is_done=True) for item in generation.output)
        add_items(provider, visit, conversation, (*items, *made))
    if body.stream:
        return stream(response_beats(generation), delay_s=HEAD_SHARE * generation.rhythm.first_token_s)
    if generation.is_background:
        return _json(generation.value("queued"))
    return _json(generation.value(generation.final_status), delay_s=generation.total_s)


def retrieve_response(provider: Provider, visit: Visit, response_id: str) -> Script:
    """GET /v1/responses/{id}, also as a stream that starts after an event"""
    stored = provider.shelf.get(response_id)
    query = _query(visit)
    if query.get("stream") != "true":
        return _json(stored.value(visit.now))
    starting_after = query.get("starting_after", "-1")
    if not starting_after.removeprefix("-").isdigit():
        raise invalid_value("starting_after", "Invalid 'starting_after': expected an integer.")
    generation = stored.generation
    elapsed_s = visit.now - generation.created_at
    if not generation.is_background:
        elapsed_s = max(elapsed_s, generation.total_s)
    return stream(late_beats(generation, int(starting_after), elapsed_s))


def delete_response(provider: Provider, _: Visit, response_id: str) -> Script:
    """DELETE /v1/responses/{id}"""
    return _json(provider.shelf.delete(response_id))


def cancel_response(provider: Provider, visit: Visit, response_id: str) -> Script:
    """POST /v1/responses/{id}/cancel"""
    return _json(provider.shelf.cancel(response_id, visit.now).value(visit.now))


def list_input_items(provider: Provider, visit: Visit, response_id: str) -> Script:
    """GET /v1/responses/{id}/input_items"""
    stored = provider.shelf.get(response_id)
    return _json(item_list(stored, page_of(_query(visit)), provider.plan.seed))


def count_input_tokens(provider: Provider, visit: Visit) -> Script:
    """POST /v1/responses/input_tokens"""
    body = decoded(visit.request.body, ResponsesBody)
    if body.model is None:
        raise missing("model")
    _, model = provider.model(body.model, "text", Endpoint.RESPONSES, visit.now)
    history, items = _input(provider, body)
    ask = responses_ask(body, history, items, model)
    tokens = ask.prompt_tokens()
    return _json({"object": "response.input_tokens", "input_tokens": tokens})


def create_chat_completion(provider: Provider, visit: Visit) -> Script:
    """POST /v1/chat/completions"""
    body = decoded(visit.request.body, ChatBody)
    if body.model is None:
        raise Rejection(400, "you must provide a model parameter")
    name, model = provider.model(body.model, "text", Endpoint.CHAT, visit.now)
    provider.project.check_references(visit.request.body)
    ask = chat_ask(body, name, model)
    tally = provider.read_prompt(visit, ask)
    answers = provider.write(ask, body.n or 1)
    if visit.failure is not None and not body.stream:
        code = visit.failure.code
        raise Rejection(500, FAILURE_MESSAGES[code], code=code, kind="server_error")
    rhythm = provider.rhythm(visit, model)
    completion = Completion(
        id=identifier("chatcmpl-", provider.plan.seed, visit.unique),
        created=int(visit.now),
        model=ask.served_model,
        service_tier="default" if body.service_tier in {None, "auto"} else str(body.service_tier),
        answers=answers,
        tally=tallied(tally, answers, is_prewarm=ask.cache.is_prewarm),
        rhythm=rhythm,
        seed=provider.plan.seed,
        unique=visit.unique,
        top_logprobs=body.top_logprobs or 0 if body.logprobs else None,
    )
    if not body.stream:
        longest = max(answer.output_tokens for answer in answers)
        return plain(200, completion.body(), delay_s=rhythm.total_s(longest))
    with_usage = bool(body.stream_options and body.stream_options.include_usage)
    thinking = max(answer.reasoning_tokens for answer in answers)
    return stream(
        chat_beats(completion, with_usage=with_usage, failure=visit.failure), delay_s=rhythm.total_s(thinking)
    )


def _conversation(provider: Provider, body: ResponsesBody) -> Conversation | None:
    """The conversation that a response belongs to. Raises Rejection for an unknown one."""
    named = body.conversation_id
    return None if named is None else provider.project.conversations.get(named)


def _input(provider: Provider, body: ResponsesBody) -> tuple[tuple[Item, ...], tuple[Item, ...]]:
    """The history of a request and its own items, references followed."""
    history = provider.shelf.history(body.previous_response_id)
    items = tuple(
        provider.shelf.item(item.body.id or "") if item.kind == "item_reference" else item for item in input_items(body)
    )
    return history, items


def _query(visit: Visit) -> dict[str, str]:
    return dict(urllib.parse.parse_qsl(visit.request.query))


def _json(value: object, *, delay_s: float = 0.0) -> Script:
    return plain(200, msgspec.json.encode(value), delay_s=delay_s)
