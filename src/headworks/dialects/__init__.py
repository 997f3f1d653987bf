"""Dialects: what the wire says, in each API's own words, and what it means in ours. Pure codecs; no I/O.

Two ways lead through this room. A call that is relayed in its own dialect is only *read*: the head of its request
(`read_head`, `read_form`), the end of its stream (`ChatTail`, …), the figures of its answer (`read_chat_answer`, …);
what is not read passes byte for byte. A call that is *bridged* to an upstream of another dialect is decoded wholly into
the canonical form, the Responses item, and encoded from it; what the target cannot honour is refused.

May import `calls`, `errors`.
"""

from headworks.calls import UnreadableAnswer
from headworks.dialects.answer_readers import ANSWER_READERS
from headworks.dialects.answers import (
    read_chat_answer,
    read_embeddings_answer,
    read_responses_answer,
)
from headworks.dialects.anthropic_relay import MessagesTail, read_messages_answer
from headworks.dialects.bridging import BRIDGES, Bridge, TranslatedStream
from headworks.dialects.errors import refusal_body, translated_error
from headworks.dialects.gemini_relay import GeminiTail, read_gemini_answer
from headworks.dialects.media_answers import (
    MediaWatch,
    read_compaction,
    read_free_answer,
    read_images_answer,
    read_transcript,
)
from headworks.dialects.multipart import Form, read_form
from headworks.dialects.reading import RequestHead, read_fields, read_head
from headworks.dialects.sse import EventSplitter, ServerSentEvent, encode_event, parse_event
from headworks.dialects.summary import AnswerSummary, Terminal
from headworks.dialects.tails import ChatTail, ResponsesTail, StreamTail

__all__ = [
    "ANSWER_READERS",
    "BRIDGES",
    "AnswerSummary",
    "Bridge",
    "ChatTail",
    "EventSplitter",
    "Form",
    "GeminiTail",
    "MediaWatch",
    "MessagesTail",
    "RequestHead",
    "ResponsesTail",
    "ServerSentEvent",
    "StreamTail",
    "Terminal",
    "TranslatedStream",
    "UnreadableAnswer",
    "encode_event",
    "parse_event",
    "read_chat_answer",
    "read_compaction",
    "read_embeddings_answer",
    "read_fields",
    "read_form",
    "read_free_answer",
    "read_gemini_answer",
    "read_head",
    "read_images_answer",
    "read_messages_answer",
    "read_responses_answer",
    "read_transcript",
    "refusal_body",
    "translated_error",
]
