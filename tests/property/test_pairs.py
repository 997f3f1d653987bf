"""What both dialects of a pair have a word for comes through a bridge whole: citations, log probabilities, refusals,
tiers, and tokens by kind, in whole answers and in streams, for every pair, each way."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Endpoint, Extras, Usage
from headworks.dialects import BRIDGES
from headworks.dialects.anthropic_answers import decode_messages_answer, encode_messages_answer
from headworks.dialects.anthropic_encoding import MessagesEncoder
from headworks.dialects.anthropic_streams import MessagesDecoder
from headworks.dialects.canonical import (
    AnswerMessage,
    AnswerRefusal,
    AnswerText,
    Logprob,
    ModelAnswer,
    TopLogprob,
    UrlCitation,
)
from headworks.dialects.chat_answers import decode_chat_answer, encode_chat_answer
from headworks.dialects.chat_streams import ChatDecoder, ChatEncoder
from headworks.dialects.events import Cited, Ended, Refused, Started, Text
from headworks.dialects.gemini_answers import decode_gemini_answer
from headworks.dialects.gemini_encoding import GeminiEncoder, encode_gemini_answer
from headworks.dialects.gemini_streams import GeminiDecoder
from headworks.dialects.responses_answers import ResponseFrame, decode_responses_answer, encode_responses_answer
from headworks.dialects.responses_encoding import ResponsesEncoder
from headworks.dialects.responses_streams import ResponsesDecoder

RESPONSES, CHAT, MESSAGES, GEMINI = (
    Endpoint.RESPONSES,
    Endpoint.CHAT,
    Endpoint.MESSAGES,
    Endpoint.GENERATE_CONTENT,
)
DIALECTS = (RESPONSES, CHAT, MESSAGES, GEMINI)
ASKED = {
    RESPONSES: {"model": "m", "input": "x"},
    CHAT: {"model": "m", "messages": [], "stream_options": {"include_usage": True}, "stream": True},
    MESSAGES: {"model": "m", "max_tokens": 9, "messages": []},
    GEMINI: {"model": "m", "contents": []},
}
WRITE = {
    RESPONSES: lambda answer: encode_responses_answer(answer, ResponseFrame({}, answer.id)),
    CHAT: encode_chat_answer,
    MESSAGES: encode_messages_answer,
    GEMINI: encode_gemini_answer,
}
READ = {
    RESPONSES: decode_responses_answer,
    CHAT: decode_chat_answer,
    MESSAGES: decode_messages_answer,
    GEMINI: decode_gemini_answer,
}
ENCODER = {
    RESPONSES: lambda: ResponsesEncoder({}),
    CHAT: lambda: ChatEncoder(includes_usage=True),
    MESSAGES: MessagesEncoder,
    GEMINI: GeminiEncoder,
}
DECODER = {RESPONSES: ResponsesDecoder, CHAT: ChatDecoder, MESSAGES: MessagesDecoder, GEMINI: GeminiDecoder}

TIERS = {RESPONSES: {"default", "flex", "priority"}, CHAT: {"default", "flex", "priority"}}
TIERS |= {MESSAGES: {"default", "priority"}, GEMINI: set()}
LOGPROBS = {RESPONSES, CHAT, GEMINI}
WRITES = {RESPONSES, CHAT, MESSAGES}
"""Dialects that tell what was written to a cache: Google's writes are not told, for they cost nothing by the token."""

KINDS = {name for name in Extras.__struct_fields__ if name.endswith("_tokens")} - {"citation_tokens", "foreign_tokens"}
COUNTS = {
    RESPONSES: {"long_cache_write_tokens", "audio_input_tokens", "image_input_tokens"},
    CHAT: {"audio_input_tokens", "image_input_tokens", "audio_output_tokens"},
    MESSAGES: {"long_cache_write_tokens"},
    GEMINI: KINDS - {"long_cache_write_tokens"},
}
"""By dialect: the kinds of tokens that it has words for."""

_WORD = st.text("abé€ ", min_size=1, max_size=8).filter(lambda text: text.strip() != "")
_COUNT = st.integers(0, 9)


def _bytes(token):
    return tuple(token.encode())


@st.composite
def _answers(draw):
    """An answer of one text, or of words that decline."""
    text = draw(_WORD)
    end = len(text)
    cited = draw(st.lists(st.builds(UrlCitation, st.just("https://a.example/é"), _WORD, st.just(0), st.just(end))))
    tops = st.lists(st.builds(lambda token: TopLogprob(token, -2.5, _bytes(token)), _WORD), max_size=2).map(tuple)
    said = st.lists(st.builds(lambda token, top: Logprob(token, -0.5, _bytes(token), top), _WORD, tops), max_size=3)
    part = AnswerText(text, tuple(cited), tuple(draw(said)))
    extras = Extras(**{name: draw(_COUNT) for name in sorted(KINDS)})
    usage = Usage(500, 100, 100, 300, 100, "provider", -1, extras)
    tier = draw(st.sampled_from([None, "default", "flex", "priority"]))
    end_reason = draw(st.sampled_from(["", "max_output_tokens"]))
    declines = draw(st.booleans())
    parts = (AnswerRefusal(text),) if declines else (part,)
    reason = "content_filter" if declines else end_reason
    return ModelAnswer("r1", "m", 7, (AnswerMessage(parts),), reason, usage, tier)


def sayable(answer, *dialects):
    """The answer without what one of the dialects has no words for."""
    usage = answer.usage
    names = set.intersection(*(COUNTS[one] for one in dialects))
    extras = Extras(**{name: getattr(usage.extras, name) for name in names})
    written = usage.cache_write_tokens if all(one in WRITES for one in dialects) else 0
    if not written and "long_cache_write_tokens" in names:
        extras = msgspec.structs.replace(extras, long_cache_write_tokens=0)
    if "cached_audio_tokens" in names:  # they are a part
        extras = msgspec.structs.replace(
            extras,
            cached_audio_tokens=min(extras.cached_audio_tokens, extras.audio_input_tokens),
            cached_image_tokens=min(extras.cached_image_tokens, extras.image_input_tokens),
        )
    usage = msgspec.structs.replace(usage, cache_write_tokens=written, extras=None if extras == Extras() else extras)
    tier = answer.service_tier if all(answer.service_tier in TIERS[one] for one in dialects) else None
    (message,) = answer.output
    (part,) = message.parts
    if isinstance(part, AnswerText) and not all(one in LOGPROBS for one in dialects):
        part = msgspec.structs.replace(part, logprobs=())
    return msgspec.structs.replace(answer, output=(AnswerMessage((part,)),), usage=usage, service_tier=tier)


def words(answer):
    """What an answer says, without what each API has of its own: ids, times, and what is a refusal and what only text
    beside one."""
    texts = [part for item in answer.output if isinstance(item, AnswerMessage) for part in item.parts]
    text = "".join(part.text if isinstance(part, AnswerText) else part.refusal for part in texts)
    cited = [one for part in texts if isinstance(part, AnswerText) for one in part.citations]
    logprobs = [one for part in texts if isinstance(part, AnswerText) for one in part.logprobs]
    return text, cited, logprobs, answer.usage, answer.service_tier


def events_of(answer):
    (message,) = answer.output
    (part,) = message.parts
    yield Started(answer.id, answer.model, answer.created, answer.service_tier)
    if isinstance(part, AnswerRefusal):
        yield Refused(part.refusal)
    else:
        yield Text(part.text, part.logprobs)
        yield from map(Cited, part.citations)
    yield Ended(answer.end_reason, answer.usage, answer.service_tier)


def told(events):
    """What a stream says, as `words` has it; the tier may stand at either end."""
    text = "".join(event.text for event in events if isinstance(event, Text | Refused))
    cited = [event.citation for event in events if isinstance(event, Cited)]
    logprobs = [one for event in events if isinstance(event, Text) for one in event.logprobs]
    (ended,) = [event for event in events if isinstance(event, Ended)]
    started = events[0]
    return text, cited, logprobs, ended.usage, ended.service_tier or started.service_tier


PAIRS = [(called, spoken) for called in DIALECTS for spoken in DIALECTS if called is not spoken]


@settings(max_examples=80)
@given(pair=st.sampled_from(PAIRS), answer=_answers())
def test_a_whole_answer_keeps_what_both_have_a_word_for(pair, answer):
    called, spoken = pair
    answer = sayable(answer, called, spoken)
    bridge = BRIDGES[called, spoken](json.dumps(ASKED[called]).encode())
    body, summary = bridge.answer(WRITE[spoken](answer))
    again = READ[called](body)

    assert _bare(words(again)) == _bare(words(answer))
    assert summary.usage == answer.usage
    is_refusal = isinstance(answer.output[0].parts[0], AnswerRefusal)
    assert (again.end_reason == "content_filter") is is_refusal
    assert again.end_reason == answer.end_reason


@settings(max_examples=80)
@given(pair=st.sampled_from(PAIRS), answer=_answers())
def test_a_stream_keeps_what_both_have_a_word_for(pair, answer):
    called, spoken = pair
    answer = sayable(answer, called, spoken)
    encoder = ENCODER[spoken]()
    data = b"".join([encoder.encode(event) for event in events_of(answer)])
    steps = BRIDGES[called, spoken](json.dumps(ASKED[called] | {"stream": True}).encode()).stream()
    if spoken is CHAT:
        data += b"data: [DONE]\n\n"
    again = DECODER[called]().feed(steps.feed(data))

    assert _bare(told(again)) == _bare(words(answer))
    assert steps.summary().usage == answer.usage


_OWN_WORDS = ("The model declined to answer.", "Google's filters ended the answer (SAFETY).")


def _bare(said):
    """Anthropic's and Google's answers say of a refusal that it is one, in words that stand beside the model's."""
    text, *rest = said
    for words_of_ours in _OWN_WORDS * 2:
        text = text.removesuffix(words_of_ours)
    return text, *rest
