"""What images and transcripts have used: what a record needs to know of answers that are no generated text.

Whatever else such an answer is, it goes on as it came: a transcript may be plain text, and an image's server may say
nothing of what it used. Then nothing is known of its cost.
"""

import json
import math

import msgspec

from headworks.calls import Extras, Usage, extras_of
from headworks.dialects.summary import AnswerSummary
from headworks.dialects.usage import Count, ResponsesUsage

_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Details(msgspec.Struct, frozen=True):
    text_tokens: Count | None = None
    image_tokens: Count | None = None
    audio_tokens: Count | None = None


class _ImageUsage(msgspec.Struct, frozen=True):
    input_tokens: Count
    output_tokens: Count
    input_tokens_details: _Details | None = None
    output_tokens_details: _Details | None = None


class _Images(msgspec.Struct, frozen=True):
    usage: _ImageUsage | None = None
    svg_usage: msgspec.Raw = msgspec.Raw(b"null")


class _TranscriptUsage(msgspec.Struct, frozen=True):
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    input_token_details: _Details | None = None
    seconds: float | None = None


class _Transcript(msgspec.Struct, frozen=True):
    usage: _TranscriptUsage | None = None


_decode_images = msgspec.json.Decoder(_Images).decode
_decode_transcript = msgspec.json.Decoder(_Transcript).decode

_NONE = _Details()


def read_images_answer(body: bytes) -> AnswerSummary:
    """What images have used (`ImagesResponse` of the SDK, openai 3.54). Output whose kind is not told is drawn."""
    try:
        answer = _decode_images(body)
    except _UNREADABLE:
        return AnswerSummary()
    usage = answer.usage
    if usage is None:
        return AnswerSummary()
    read, made = usage.input_tokens_details or _NONE, usage.output_tokens_details
    drawn = usage.output_tokens if made is None else made.image_tokens
    extras = extras_of(
        image_input_tokens=read.image_tokens,
        image_output_tokens=drawn,
        # An SVG is written by another model, whose price nobody tells.
        foreign_tokens=0 if bytes(answer.svg_usage) == b"null" else 1,
    )
    return AnswerSummary(
        usage=Usage(usage.input_tokens, 0, 0, usage.output_tokens, 0, "provider", extras=extras), terminal="done"
    )


def read_transcript(body: bytes) -> AnswerSummary:
    """What a transcript has used: tokens, or seconds of sound, of which a part of one counts as one."""
    try:
        usage = _decode_transcript(body).usage
    except _UNREADABLE:
        return AnswerSummary()
    if usage is None:
        return AnswerSummary()
    if usage.seconds is not None:
        seconds = usage.seconds
        if not (math.isfinite(seconds) and 0 < seconds < 2**31):
            return AnswerSummary()
        told = Usage(source="provider", extras=Extras(audio_s=math.ceil(seconds)))
        return AnswerSummary(usage=told, terminal="done")
    if usage.input_tokens is None or usage.output_tokens is None:
        return AnswerSummary()
    extras = extras_of(audio_input_tokens=(usage.input_token_details or _NONE).audio_tokens)
    told = Usage(usage.input_tokens, 0, 0, usage.output_tokens, 0, "provider", extras=extras)
    return AnswerSummary(usage=told, terminal="done")


class _Compaction(msgspec.Struct, frozen=True):
    usage: ResponsesUsage | None = None


_decode_compaction = msgspec.json.Decoder(_Compaction).decode


def read_compaction(body: bytes) -> AnswerSummary:
    """What it has used to compact a conversation."""
    try:
        usage = _decode_compaction(body).usage
    except _UNREADABLE:
        return AnswerSummary()
    return AnswerSummary(usage=None if usage is None else usage.stated())


def read_free_answer(body: bytes) -> AnswerSummary:  # noqa: ARG001 - as the other readers
    """Of what is answered without a model's tokens being paid for: moderations, counts."""
    return AnswerSummary(usage=Usage(source="provider"))


_KEPT_BYTES = 4096
"""Of the end of a stream: its last event says what was used, behind the image or the text, in some 300 bytes."""


class MediaWatch:
    """Looks at the end of a stream of images, speech or a transcript, which goes by as it is. State: that end.

    Arguments:
        path: of the API.
    """

    __slots__ = ("_end", "_path")

    def __init__(self, path: str) -> None:
        self._path = path
        self._end = b""

    def see(self, data: bytes) -> None:
        """The next piece."""
        self._end = (self._end + data)[-_KEPT_BYTES:] if len(data) < _KEPT_BYTES else data[-_KEPT_BYTES:]

    def usage(self) -> Usage:
        """What the stream says last that it has used."""
        _, found, rest = self._end.decode("utf-8", "replace").rpartition('"usage":')
        try:
            told, _ = json.JSONDecoder().raw_decode(rest.lstrip()) if found else (None, 0)
        except (ValueError, RecursionError):
            told = None
        body = json.dumps({"usage": told}).encode()
        read = read_images_answer if self._path.startswith("/images/") else read_transcript
        return read(body).usage or Usage()
