"""A stream in any dialect says the same with its values back, wherever its texts, events and bytes were cut."""

import contextlib
import json
import random
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import AttemptFailed, Caller, Endpoint
from headworks.config.privacy import Privacy
from headworks.conversation_values import ConversationValues
from headworks.delta_places import PLACES
from headworks.dialects import ChatTail, GeminiTail, MessagesTail, ResponsesTail
from headworks.dialects.sse import parse_event, split_blocks
from headworks.privacy_bridge import CallPrivacy, ScreenedBridge
from headworks.screened_stream import TreatedStream
from headworks.screening.privacy import (
    KINDS,
    AnswerBody,
    AnswerScreen,
    PrivacyPolicy,
    Redactor,
    Restorer,
    TokenBook,
)
from headworks.settlement import OpenCall
from played_streams import ANSWERS

POLICIES = {
    name: PrivacyPolicy.compile(Privacy(answer=name)) for name in ("allow", "report", "mask", "remove", "block")
}
TAILS = {
    Endpoint.CHAT: ChatTail,
    Endpoint.RESPONSES: ResponsesTail,
    Endpoint.MESSAGES: MessagesTail,
    Endpoint.GENERATE_CONTENT: GeminiTail,
}
MAIL = "ada.lovelace@example.org"
WORDS = ("Well, ", "it is ", "PI", "PII_", "PII_EMAIL_b2cdefg", "p", "é\n", '"x" ', "\U0001f600 ", "4 + 4. ", "pii ")


def steps(endpoint, book, answer="allow"):
    policy = POLICIES[answer]
    restorer, screen = Restorer(book, policy.form), AnswerScreen(policy, book)
    whole = AnswerBody(policy, restorer, AnswerScreen(policy, book))
    return TreatedStream(TAILS[endpoint](), endpoint, policy, restorer, screen, whole, is_json=False)


def cut(data, places):
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[first:last] for first, last in pairwise(edges) if last > first]


def said(endpoint, out):
    """The texts of a stream's pieces, by lane; and of the events, all that are JSON."""
    texts = {}
    events = [json.loads(one.data) for one in map(parse_event, split_blocks(out)) if one and one.data.startswith(b"{")]
    for event in events:
        for piece in PLACES[endpoint].pieces(event):
            texts.setdefault(piece.lane, []).append(piece.text)
    return {lane: "".join(pieces) for lane, pieces in texts.items()}, events


def of_plain_calls(endpoint, answer):
    """What a stream of a call without a workload goes through, and its book."""
    book = TokenBook(b"t" * 32)
    return steps(endpoint, book, answer), book


def of_a_workload(endpoint, answer):
    """The same of a workload's call, which reads the answer and writes it again."""
    call = OpenCall("c", Caller("k"), endpoint.value, 0, 0, 0.0)
    privacy = CallPrivacy(POLICIES[answer], ConversationValues(b"s" * 32), call)
    return ScreenedBridge([privacy], endpoint, {}, None, is_json=False).stream(), privacy._book


WAYS = {
    **{f"plain {endpoint.value}": (of_plain_calls, endpoint) for endpoint in TAILS},
    **{f"workload {endpoint.value}": (of_a_workload, endpoint) for endpoint in (Endpoint.CHAT, Endpoint.RESPONSES)},
}
VALUES = (MAIL, "+44 20 7946 0958", "4111 1111 1111 1111", 'Ada "the first"\n')


def check(way, rng, answer):
    make, endpoint = WAYS[way]
    stream, book = make(endpoint, answer)
    tokens = {book.token_for(KINDS["email"], value): value for value in VALUES}
    text = "".join(rng.choices([*tokens, *WORDS, *WORDS], k=rng.randint(1, 9)))
    expected = re.sub("|".join(tokens), lambda match: tokens[match[0]], text)
    pieces = cut(text, [rng.randrange(10_000) for _ in range(rng.randint(0, 12))]) or [""]
    data = b"".join(ANSWERS[endpoint](pieces))

    out = b"".join(map(stream.feed, cut(data, [rng.randrange(100_000) for _ in range(rng.randint(0, 12))])))

    assert stream.is_complete
    texts, events = said(endpoint, out)
    assert list(texts.values()) == [expected], (text, pieces)
    numbers = [event["sequence_number"] for event in events if "sequence_number" in event]
    assert numbers == list(range(len(numbers)))
    if make is of_a_workload:
        return
    if not any(token in text for token in tokens) and all(not piece.lower().endswith(("p", "pi")) for piece in pieces):
        assert len(split_blocks(out)) >= len(split_blocks(data))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("answer", ["allow", "report"])
@given(seed=st.integers(0, 1 << 32))
def test_however_a_stream_was_cut_it_says_what_was_meant(way, answer, seed):
    check(way, random.Random(seed), answer)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("way", WAYS)
def test_of_a_hundred_thousand_cuts_none_makes_a_difference(way):
    rng = random.Random(f"100000{way}")
    for _ in range(100_000 // len(WAYS) + 1):
        check(way, rng, rng.choice(["allow", "report"]))


def a_text(book):
    """Tokens with everything around them that could be taken for a part of one, and letters of many bytes."""
    first, second, third = (book.token_for(KINDS["email"], value) for value in VALUES[:3])
    return f"Pé {first}, PII_EMAIL_😀pii {second.lower()}{third}; PII_EMAIL_b2cdefg PI{first}p"


def meant(text, book, form):
    return Restorer(book, form).text(text)


@pytest.mark.parametrize("way", WAYS)
def test_of_all_cuts_in_two_between_bytes_none_makes_a_difference(way):
    """Within letters of many bytes, escapes, names of fields and between the events, too."""
    make, endpoint = WAYS[way]
    _, book = make(endpoint, "allow")
    text = a_text(book)
    data = b"".join(ANSWERS[endpoint]([text[:30], text[30:]]))
    data = data.replace(json.dumps("é")[1:-1].encode(), "é".encode())
    for at in range(1, len(data)):
        stream, book = make(endpoint, "allow")
        expected = meant(a_text(book), book, POLICIES["allow"].form)

        out = stream.feed(data[:at]) + stream.feed(data[at:])

        assert stream.is_complete
        assert list(said(endpoint, out)[0].values()) == [expected], at


@pytest.mark.parametrize("way", WAYS)
def test_of_all_cuts_in_two_between_pieces_none_makes_a_difference_and_no_more_than_a_token_is_held_back(way):
    make, endpoint = WAYS[way]
    form = POLICIES["allow"].form
    _, book = make(endpoint, "allow")
    for at in range(1, len(a_text(book))):
        stream, book = make(endpoint, "allow")
        text = a_text(book)
        out, come = b"", 0
        for event in ANSWERS[endpoint]([text[:at], text[at:]]):
            out += stream.feed(event)
            come += sum(map(len, said(endpoint, event)[0].values()))
            told = "".join(said(endpoint, out)[0].values())
            held = next((n for n in range(come + 1) if told == meant(text[: come - n], book, form)), None)
            assert held is not None, (at, told)
            assert held <= form.longest

        assert list(said(endpoint, out)[0].values()) == [meant(text, book, form)], at


@pytest.mark.parametrize("endpoint", TAILS)
def test_what_the_model_brings_up_is_masked_wherever_it_was_cut(endpoint):
    text = f"It was {MAIL}, I am quite sure of that. "
    for step in (1, 4, 100):
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        stream = steps(endpoint, TokenBook(b"t" * 32), "mask")
        out = stream.feed(b"".join(ANSWERS[endpoint](pieces)))
        assert b"lovelace" not in out
        assert list(said(endpoint, out)[0].values()) == [text.replace(MAIL, "***.********@*******.***")]


@pytest.mark.parametrize("endpoint", TAILS)
def test_what_is_blocked_never_goes_out_and_neither_does_what_was_held_back(endpoint):
    text = f"It was {MAIL}, I am quite sure of that. "
    stream = steps(endpoint, TokenBook(b"t" * 32), "block")
    out: list[bytes] = []
    events = ANSWERS[endpoint]([text[at : at + 3] for at in range(0, len(text), 3)])
    with pytest.raises(AttemptFailed, match="personal data"):
        out.extend(map(stream.feed, events))
    told = b"".join(out) + stream.broken("output_blocked", "No.")
    assert "lovelace" not in "".join(said(endpoint, told)[0].values())
    assert b"output_blocked" in told or b"No." in told


def test_what_is_held_back_goes_out_before_the_error_of_a_stream_that_broke():
    stream = steps(Endpoint.CHAT, TokenBook(b"t" * 32))
    out = stream.feed(ANSWERS[Endpoint.CHAT](["Up to PII_EMA"])[0]) + stream.broken("upstream_error", "It broke.")

    assert said(Endpoint.CHAT, out)[0][0, "content", 0] == "Up to PII_EMA"
    assert out.index(b"PII_EMA") < out.index(b"upstream_error")


def test_choices_and_calls_that_come_in_turns_are_kept_apart():
    book = TokenBook(b"t" * 32)
    token, _ = Redactor(POLICIES["allow"]).redact_text(MAIL, book)
    events = []
    for at in range(0, len(token), 4):
        piece = token[at : at + 4]
        call = {"index": 1, "function": {"arguments": piece if at else '{"to":"' + piece}}
        deltas = [{"content": piece}, {"reasoning_content": piece}, {"tool_calls": [call]}]
        events += [{"choices": [{"index": index, "delta": delta}]} for index, delta in enumerate(deltas)]
    closing = {"index": 1, "function": {"arguments": '"}'}}
    events.append({"choices": [{"index": 2, "delta": {"tool_calls": [closing]}, "finish_reason": "tool_calls"}]})
    events += [{"choices": [{"index": index, "delta": {}, "finish_reason": "stop"}]} for index in (0, 1)]
    lines = [f"data: {json.dumps(one)}\n\n" for one in events]
    out = steps(Endpoint.CHAT, book).feed("".join([*lines, "data: [DONE]\n\n"]).encode())

    assert said(Endpoint.CHAT, out)[0] == {
        (0, "content", 0): MAIL,
        (1, "reasoning_content", 0): MAIL,
        (2, "arguments", 1): json.dumps({"to": MAIL}, separators=(",", ":")),
    }


def test_events_that_are_not_json_end_the_stream_and_comments_pass():
    stream = steps(Endpoint.RESPONSES, TokenBook(b"t" * 32))
    assert stream.feed(b": hello\n\n") == b": hello\n\n"
    with pytest.raises(AttemptFailed):
        stream.feed(b"data: {]\n\n")


def chat_data(*deltas, finish_reason="tool_calls"):
    choices = [{"index": 0, "delta": delta} for delta in deltas] + [
        {"index": 0, "delta": {}, "finish_reason": finish_reason}
    ]
    return "".join([*(f"data: {json.dumps({'choices': [one]})}\n\n" for one in choices), "data: [DONE]\n\n"]).encode()


def test_the_end_of_a_text_that_was_held_back_comes_before_what_the_model_does_next():
    call = {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}]}
    data = chat_data({"reasoning_content": "I look it up"}, {"content": "Let me look it up"}, call)

    out = steps(Endpoint.CHAT, TokenBook(b"t" * 32)).feed(data)

    lanes = [
        piece.lane[1]
        for event in said(Endpoint.CHAT, out)[1]
        for piece in PLACES[Endpoint.CHAT].pieces(event)
        if piece.text
    ]
    assert lanes == ["reasoning_content", "reasoning_content", "content", "content", "arguments"]
    assert said(Endpoint.CHAT, out)[0][0, "content", 0] == "Let me look it up"


def test_a_text_and_a_call_in_one_event_stay_in_order():
    call = {"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}
    data = chat_data({"content": "Let me look it up", "tool_calls": [call]})

    events = said(Endpoint.CHAT, steps(Endpoint.CHAT, TokenBook(b"t" * 32)).feed(data))[1]

    assert events[0]["choices"][0]["delta"]["content"] == "Let me look it up"


def test_pieces_of_reasoning_that_come_under_two_names_at_once_are_read_each_as_a_whole():
    book = TokenBook(b"t" * 32)
    token = book.token_for(KINDS["email"], MAIL)
    pieces = [token[:6], token[6:9], token[9:]]
    data = chat_data(*({"reasoning": one, "reasoning_content": one, "content": ""} for one in pieces))

    texts, _ = said(Endpoint.CHAT, steps(Endpoint.CHAT, book).feed(data))

    assert (texts[0, "reasoning", 0], texts[0, "reasoning_content", 0]) == (MAIL, MAIL)


def test_before_a_function_call_of_gemini_goes_the_end_of_the_text():
    call = {"functionCall": {"name": "look", "args": {}}}
    parts = [{"text": "Let me look it up"}, call]
    events = [{"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]} for part in parts]
    events.append({"candidates": [{"index": 0, "finishReason": "STOP"}]})
    data = "".join(f"data: {json.dumps(one)}\n\n" for one in events).encode()

    out = steps(Endpoint.GENERATE_CONTENT, TokenBook(b"t" * 32)).feed(data)

    assert list(said(Endpoint.GENERATE_CONTENT, out)[0].values()) == ["Let me look it up"]
    assert out.rindex(b'"text":"p"') < out.index(b"functionCall")


@pytest.mark.parametrize("answer", ["mask", "remove", "block"])
def test_probabilities_do_not_tell_what_is_taken_out(answer):
    text = f"It was {MAIL}, I am quite sure of that. "
    pieces = [text[at : at + 3] for at in range(0, len(text), 3)]
    choices = [
        {"index": 0, "delta": {"content": one}, "logprobs": {"content": [{"token": one, "logprob": -0.1}]}}
        for one in pieces
    ]
    stream = steps(Endpoint.CHAT, TokenBook(b"t" * 32), answer)
    out = b""
    with contextlib.suppress(AttemptFailed):
        for choice in choices:
            out += stream.feed(f"data: {json.dumps({'choices': [choice]})}\n\n".encode())

    events = said(Endpoint.CHAT, out)[1]
    assert events
    assert all(event["choices"][0]["logprobs"] is None for event in events)


def test_probabilities_go_on_where_nothing_is_taken_out():
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1}]}
    choice = {"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs}
    out = steps(Endpoint.CHAT, TokenBook(b"t" * 32), "report").feed(
        f"data: {json.dumps({'choices': [choice]})}\n\n".encode()
    )

    assert said(Endpoint.CHAT, out)[1][0]["choices"][0]["logprobs"] == logprobs


CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "look", "arguments": '{"n":1}'}}


def around_a_call(endpoint, first, second):
    """A stream with a call between two pieces of text, as each API has it."""
    if endpoint is Endpoint.CHAT:
        return chat_data({"content": first}, {"tool_calls": [CALL]}, {"content": second})
    if endpoint is Endpoint.GENERATE_CONTENT:
        parts = [{"text": first}, {"functionCall": {"name": "look", "args": {"n": 1}}}, {"text": second}]
        events = [{"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]} for part in parts]
        return b"".join(encode(one) for one in [*events, {"candidates": [{"index": 0, "finishReason": "STOP"}]}])
    if endpoint is Endpoint.MESSAGES:
        texts = [({"type": "text", "text": ""}, {"type": "text_delta", "text": one}) for one in (first, second)]
        use = {"type": "tool_use", "id": "c", "name": "look", "input": {}}
        told = [texts[0], (use, {"type": "input_json_delta", "partial_json": '{"n":1}'}), texts[1]]
        head = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "m", "usage": {}}
        events = [{"type": "message_start", "message": head}]
        for index, (block, delta) in enumerate(told):
            events += [
                {"type": "content_block_start", "index": index, "content_block": block},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]
        return b"".join(encode(one, one["type"]) for one in events)
    events = [{"type": "response.created", "response": RESPONSE | {"status": "in_progress"}}]
    items = [message("msg_1", first), FUNCTION_CALL, message("msg_2", second)]
    for index, item in enumerate(items):
        place = {"item_id": item["id"], "output_index": index}
        if item is FUNCTION_CALL:
            events += [
                {"type": "response.output_item.added", "output_index": index, "item": item | {"arguments": ""}},
                {"type": "response.function_call_arguments.delta", "delta": item["arguments"], **place},
                {"type": "response.function_call_arguments.done", "arguments": item["arguments"], **place},
            ]
        else:
            text, place = item["content"][0]["text"], {**place, "content_index": 0}
            part = {"type": "output_text", "text": "", "annotations": []}
            events += [
                {"type": "response.output_item.added", "output_index": index, "item": item | {"content": []}},
                {"type": "response.content_part.added", "part": part, **place},
                {"type": "response.output_text.delta", "delta": text, **place},
                {"type": "response.output_text.done", "text": text, **place},
                {"type": "response.content_part.done", "part": part | {"text": text}, **place},
            ]
        events.append({"type": "response.output_item.done", "output_index": index, "item": item})
    events.append({"type": "response.completed", "response": RESPONSE | {"status": "completed", "output": items}})
    numbered = [one | {"sequence_number": number} for number, one in enumerate(events)]
    return b"".join(encode(one, one["type"]) for one in numbered)


RESPONSE = {"id": "resp_1", "object": "response", "model": "m", "output": []}
FUNCTION_CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "c", "name": "look", "arguments": '{"n":1}', "status": "completed"
}  # fmt: skip


def message(name, text):
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"type": "message", "id": name, "status": "completed", "role": "assistant", "content": [part]}


def encode(event, name=None):
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(event)}\n\n".encode()


def in_order(endpoint, out):
    """What a stream says, in the order in which it does: a text, "call", a text."""
    told = []
    for event in said(endpoint, out)[1]:
        if b"functionCall" in json.dumps(event).encode() and told[-1:] != ["call"]:
            told.append("call")
        for piece in PLACES[endpoint].pieces(event):
            if piece.in_call and piece.text and told[-1:] != ["call"]:
                told.append("call")
            elif piece.text and not piece.in_call:
                told[-1:] = [told[-1] + piece.text] if told and told[-1] != "call" else [*told[-1:], piece.text]
    return told


@pytest.mark.parametrize("way", WAYS)
def test_a_token_never_spans_a_call_and_neither_half_of_it_is_lost(way):
    make, endpoint = WAYS[way]
    _, book = make(endpoint, "report")
    length = len(book.token_for(KINDS["email"], MAIL))
    for at in range(1, length):
        stream, book = make(endpoint, "report")
        token = book.token_for(KINDS["email"], MAIL)

        out = stream.feed(around_a_call(endpoint, f"It is {token[:at]}", f"{token[at:]}, {token}."))

        assert stream.is_complete
        assert in_order(endpoint, out) == [f"It is {token[:at]}", "call", f"{token[at:]}, {MAIL}."], at


@pytest.mark.parametrize("way", [way for way in WAYS if "chat" in way or "generate" in way])
@pytest.mark.parametrize("answer", ["mask", "remove", "block"])
def test_what_the_model_brings_up_around_a_call_is_not_said_by_halves(way, answer):
    """Who shows the answer joins its pieces."""
    make, endpoint = WAYS[way]
    for at in range(4, len(MAIL) - 4):
        stream, _ = make(endpoint, answer)
        out = b""
        with contextlib.suppress(AttemptFailed):
            for block in split_blocks(around_a_call(endpoint, f"It is {MAIL[:at]}", f"{MAIL[at:]}, I think. ")):
                out += stream.feed(block + b"\n\n")

        told = "".join(one for one in in_order(endpoint, out) if one != "call")
        assert MAIL not in told, at
        assert stream.is_complete or answer == "block"


def test_a_document_that_goes_on_behind_a_call_is_still_one():
    value = 'Ada "the first"'
    for way in ("plain chat.completions", "workload chat.completions"):
        make, endpoint = WAYS[way]
        stream, book = make(endpoint, "report")
        token = book.token_for(KINDS["email"], value)

        out = stream.feed(around_a_call(endpoint, '{"who": "', f'{token}"}}'))

        told = "".join(one for one in in_order(endpoint, out) if one != "call")
        assert json.loads(told) == {"who": value}


def test_what_is_thought_before_an_answer_in_json_is_no_json():
    value, book, policy = 'Ada "the first"', TokenBook(b"t" * 32), POLICIES["report"]
    token = book.token_for(KINDS["email"], value)
    restorer, screen = Restorer(book, policy.form), AnswerScreen(policy, book)
    whole = AnswerBody(policy, restorer, AnswerScreen(policy, book))
    stream = TreatedStream(ChatTail(), Endpoint.CHAT, policy, restorer, screen, whole, is_json=True)
    answer = json.dumps({"who": token})

    out = stream.feed(chat_data({"reasoning_content": f"It is {token}."}, {"content": answer}, finish_reason="stop"))

    texts, _ = said(Endpoint.CHAT, out)
    assert texts[0, "reasoning_content", 0] == f"It is {value}."
    assert json.loads(texts[0, "content", 0]) == {"who": value}


@pytest.mark.replaces
def test_an_answer_that_cannot_be_screened_is_said_to_be_that(monkeypatch):
    def fail(*_):
        raise RuntimeError(MAIL)

    for make, endpoint in WAYS.values():
        stream, _ = make(endpoint, "report")
        monkeypatch.setattr("headworks.screening.privacy.finding.Finder.find", fail)
        with pytest.raises(AttemptFailed, match="could not be screened") as caught:
            stream.feed(b"".join(ANSWERS[endpoint]([f"It was {MAIL}, I am quite sure of that. "])))
        monkeypatch.undo()
        assert MAIL not in str(caught.value)
