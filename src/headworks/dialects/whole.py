"""Whole answers in the canonical form, whichever dialect they came in."""

from collections.abc import Mapping

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Failure, UnreadableAnswer
from headworks.dialects.answers import read_chat_answer, read_responses_answer
from headworks.dialects.bridging import ASKED
from headworks.dialects.canonical import AnswerMessage, AnswerText, ModelAnswer, UpstreamError
from headworks.dialects.chat_answers import decode_chat_answer, encode_chat_answer
from headworks.dialects.chat_streams import ChatDecoder
from headworks.dialects.events import Ended, Started, StreamEvent, Text
from headworks.dialects.reading import Fields
from headworks.dialects.responses_answers import decode_responses_answer
from headworks.dialects.responses_encoding import ResponsesEncoder
from headworks.dialects.sse import parse_event, split_blocks
from headworks.dialects.summary import AnswerSummary


class _Event(msgspec.Struct, frozen=True):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"")


_decode_event = msgspec.json.Decoder(_Event).decode


def read_answer(endpoint: Endpoint, body: bytes) -> ModelAnswer | UpstreamError:
    """What a whole body says that its reader could act on; what tools at the provider have done is passed over.

    Raises:
        UnreadableAnswer: it is not one, or says things that are not known here.
    """
    return (
        decode_responses_answer(body, skips_hosted=True) if endpoint is Endpoint.RESPONSES else decode_chat_answer(body)
    )


def summary_of(endpoint: Endpoint, body: bytes) -> AnswerSummary:
    """What a record needs to know of a whole body.

    Raises:
        AttemptFailed: it is not an answer.
    """
    read = read_responses_answer if endpoint is Endpoint.RESPONSES else read_chat_answer
    summary = read(body)
    if isinstance(summary, Failure):
        raise AttemptFailed(summary)
    return summary


def body_of_stream(endpoint: Endpoint, data: bytes) -> bytes:
    """The whole body that says what a stream has said, all of which is `data`.

    Raises:
        UnreadableAnswer: it did not come to a good end, or says things that are not known here.
    """
    if endpoint is Endpoint.RESPONSES:
        return _last_response(data)
    decoder, encoder = ChatDecoder(), ResponsesEncoder({})
    events = b"".join([encoder.encode(event) for event in decoder.feed(data)])
    answer = decode_responses_answer(_last_response(events))
    if not isinstance(answer, ModelAnswer):
        raise UnreadableAnswer("the stream says that its answer failed")
    return encode_chat_answer(answer)


def _last_response(data: bytes) -> bytes:
    """What a stream of the Responses API says at its end that the response is."""
    for block in reversed(split_blocks(data)):
        event = parse_event(block)
        if event is not None and not event.data.startswith(b"[DONE]"):
            end = _decode_event(event.data)
            if end.type in ("response.completed", "response.incomplete"):
                return bytes(end.response)
    raise UnreadableAnswer("the stream has no good end")


def answer_text(answer: ModelAnswer) -> str:
    """The text of an answer, of all its messages."""
    return "".join(
        part.text
        for item in answer.output
        if isinstance(item, AnswerMessage)
        for part in item.parts
        if isinstance(part, AnswerText)
    )


def write_answer(
    answer: ModelAnswer, endpoint: Endpoint, fields: Fields, *, metadata: Mapping[str, str] | None = None
) -> bytes:
    """The body that says what `answer` says.

    Arguments:
        fields: the request's.
        metadata: what the answer has as such. Of dialects that have no place for it, clients keep or pass over it.
    """
    return marked(ASKED[endpoint](_with(fields, endpoint, metadata)).answer(answer), endpoint, metadata)


def write_stream(
    answer: ModelAnswer, endpoint: Endpoint, fields: Fields, *, metadata: Mapping[str, str] | None = None
) -> bytes:
    """The same as a stream that is there at once; of the answer's text."""
    encoder = ASKED[endpoint](_with(fields, endpoint, metadata)).encoder()
    events: tuple[StreamEvent, ...] = (
        Started(answer.id, answer.model, answer.created, is_stored=answer.is_stored),
        Text(answer_text(answer)),
        Ended("", answer.usage),
    )
    return marked(b"".join([encoder.encode(event) for event in events]), endpoint, metadata)


def _with(fields: Fields, endpoint: Endpoint, metadata: Mapping[str, str] | None) -> Fields:
    if metadata is None or endpoint is not Endpoint.RESPONSES:
        return fields
    return {**fields, "metadata": msgspec.Raw(msgspec.json.encode(metadata))}


def marked(body: bytes, endpoint: Endpoint, metadata: Mapping[str, str] | None) -> bytes:
    """A body or a whole stream with our own metadata, in a dialect that has no place for it."""
    if not metadata or endpoint is Endpoint.RESPONSES:
        return body
    mark = b'"metadata":%b,' % msgspec.json.encode(metadata)
    if body.startswith(b"{"):
        return b"{%b%b" % (mark, body[1:])
    begin = b'"message":{' if endpoint is Endpoint.MESSAGES else b"data: {"
    return body.replace(begin, begin + mark, 1)
