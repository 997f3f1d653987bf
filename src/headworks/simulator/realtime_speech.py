"""One response of a Realtime session, as the events that it goes out in.

The shapes are those of `openai.types.realtime` (openai 3.54). Sound is made of the text that it says: the same text
sounds the same, two tenths of a second a token.
"""

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from headworks.simulator.answers import Answer
from headworks.simulator.rhythm import Rhythm
from headworks.simulator.tokens import count, split

SAMPLE_BYTES_PER_MS = 48
"""PCM of 16 bits at 24 kHz."""

INPUT_BYTES_PER_TOKEN = 100 * SAMPLE_BYTES_PER_MS
OUTPUT_BYTES_PER_TOKEN = 50 * SAMPLE_BYTES_PER_MS
"""A token of what a user says is 100 ms of it, one of what the model says 50 ms (OpenAI, "Managing Realtime costs",
2026-11)."""

_PIECE_BYTES = 200 * SAMPLE_BYTES_PER_MS

Status = Literal["in_progress", "completed", "cancelled", "failed", "incomplete"]
Json = dict[str, object]


class Planned(msgspec.Struct):
    """An event that is to go out, so many seconds after the one before."""

    kind: str
    fields: Json
    delay_s: float = 0.0
    is_content: bool = False


class Read(msgspec.Struct, frozen=True):
    """The tokens of what a response reads, by kind, and how many of them were read before."""

    text: int = 0
    audio: int = 0
    image: int = 0
    cached_text: int = 0
    cached_audio: int = 0


def sound_of(text: str) -> bytes:
    """What a piece of text sounds like."""
    return hashlib.shake_128(text.encode()).digest(_PIECE_BYTES)


class Speaking:
    """A response that is under way. State: what of it has gone out.

    Arguments:
        answer: what it will have said at its end; None where it fails at once.
        is_spoken: as sound with a transcript, else as text.
        make_id: a new id with this beginning.
        keep: takes an item that is now part of the conversation.
    """

    def __init__(
        self,
        response_id: str,
        conversation_id: str | None,
        answer: Answer | None,
        read: Read,
        rhythm: Rhythm,
        *,
        is_spoken: bool,
        metadata: object,
        make_id: Callable[[str], str],
        keep: Callable[[Json], None],
        error: Json | None = None,
    ) -> None:
        self.id = response_id
        self._conversation_id = conversation_id
        self._answer = answer
        self._read = read
        self._rhythm = rhythm
        self._is_spoken = is_spoken
        self._metadata = metadata
        self._make_id = make_id
        self._keep = keep
        self._error = error
        self._output: list[Json] = []
        self._said: list[str] = []
        self._sound_bytes = 0
        self._argument_tokens = 0
        self.is_over = False

    def value(self, status: Status, details: Json | None = None) -> Json:
        """The response object."""
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": list(self._output),
            "conversation_id": self._conversation_id,
            "output_modalities": ["audio"] if self._is_spoken else ["text"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy"}},
            "usage": None if status == "in_progress" else self._usage(),
            "metadata": self._metadata,
        }

    def events(self) -> Iterator[Planned]:
        """All of it, from `response.output_item.added` on; the end is `response.done`."""
        if self._error is not None or self._answer is None:
            yield self._done("failed", {"type": "failed", "error": self._error})
            return
        delays = self._rhythm.delays()
        wait_s = self._rhythm.first_token_s
        answer = self._answer
        if answer.text or answer.refusal or not answer.tool_calls:
            yield from self._message(answer.text or answer.refusal, wait_s, delays)
            wait_s = 0.0
        for call in answer.tool_calls:
            yield from self._call(call.name, call.arguments, wait_s, delays)
            wait_s = 0.0
        if answer.finish == "length":
            yield self._done("incomplete", {"type": "incomplete", "reason": "max_output_tokens"})
        else:
            yield self._done("completed", {"type": "completed"})

    def broken_off(self, reason: str) -> Planned:
        """Its end, where it is cancelled before."""
        return self._done("cancelled", {"type": "cancelled", "reason": reason})

    def failed(self, code: str, message: str) -> Planned:
        """Its end, where the generation fails."""
        return self._done("failed", {"type": "failed", "error": {"type": code, "code": code, "message": message}})

    def _done(self, status: Status, details: Json) -> Planned:
        self.is_over = True
        return Planned("response.done", {"response": self.value(status, details)})

    def _message(self, text: str, wait_s: float, delays: Iterator[float]) -> Iterator[Planned]:
        item: Json = {"id": self._make_id("item_"), "object": "realtime.item", "type": "message", "role": "assistant"}
        place: Json = {"response_id": self.id, "output_index": 0}
        yield from self._begun(item | {"status": "in_progress", "content": []}, place, wait_s)
        place |= {"item_id": item["id"], "content_index": 0}
        empty: Json = {"type": "audio", "transcript": ""} if self._is_spoken else {"type": "text", "text": ""}
        yield Planned("response.content_part.added", {**place, "part": empty})
        for piece in split(text):
            self._said.append(piece)
            yield from self._piece(piece, place, next(delays))
        part: Json
        if self._is_spoken:
            yield Planned("response.output_audio.done", dict(place))
            yield Planned("response.output_audio_transcript.done", {**place, "transcript": text})
            part, kept = {"type": "audio", "transcript": text}, {"type": "output_audio", "transcript": text}
        else:
            yield Planned("response.output_text.done", {**place, "text": text})
            part, kept = {"type": "text", "text": text}, {"type": "output_text", "text": text}
        yield Planned("response.content_part.done", {**place, "part": part})
        yield from self._ended(item | {"status": "completed", "content": [kept]}, 0)

    def _piece(self, piece: str, place: Json, delay_s: float) -> Iterator[Planned]:
        if not self._is_spoken:
            yield Planned("response.output_text.delta", {**place, "delta": piece}, delay_s, is_content=True)
            return
        yield Planned("response.output_audio_transcript.delta", {**place, "delta": piece}, delay_s, is_content=True)
        sound = sound_of(piece)
        self._sound_bytes += len(sound)
        encoded = base64.b64encode(sound).decode()
        yield Planned("response.output_audio.delta", {**place, "delta": encoded}, is_content=True)

    def _call(self, name: str, arguments: str, wait_s: float, delays: Iterator[float]) -> Iterator[Planned]:
        index = len(self._output)
        item: Json = {"id": self._make_id("item_"), "object": "realtime.item", "type": "function_call", "name": name}
        item["call_id"] = self._make_id("call_")
        place: Json = {"response_id": self.id, "output_index": index}
        yield from self._begun(item | {"status": "in_progress", "arguments": ""}, place, wait_s)
        place |= {"item_id": item["id"], "call_id": item["call_id"]}
        for piece in split(arguments):
            self._argument_tokens += 1
            yield Planned(
                "response.function_call_arguments.delta", {**place, "delta": piece}, next(delays), is_content=True
            )
        yield Planned("response.function_call_arguments.done", {**place, "name": name, "arguments": arguments})
        self._argument_tokens += count(name)
        yield from self._ended(item | {"status": "completed", "arguments": arguments}, index)

    def _begun(self, item: Json, place: Json, wait_s: float) -> Iterator[Planned]:
        yield Planned("response.output_item.added", {**place, "item": item}, wait_s)
        if self._conversation_id is not None:
            yield Planned("conversation.item.added", {"previous_item_id": None, "item": item})

    def _ended(self, item: Json, index: int) -> Iterator[Planned]:
        self._output.append(item)
        yield Planned("response.output_item.done", {"response_id": self.id, "output_index": index, "item": item})
        if self._conversation_id is not None:
            self._keep(item)
            yield Planned("conversation.item.done", {"previous_item_id": None, "item": item})

    def _usage(self) -> Json:
        read = self._read
        text = sum(map(count, self._said)) + self._argument_tokens
        audio = self._sound_bytes // OUTPUT_BYTES_PER_TOKEN
        whole = read.text + read.audio + read.image
        return {
            "total_tokens": whole + text + audio,
            "input_tokens": whole,
            "output_tokens": text + audio,
            "input_token_details": {
                "text_tokens": read.text,
                "audio_tokens": read.audio,
                "image_tokens": read.image,
                "cached_tokens": read.cached_text + read.cached_audio,
                "cached_tokens_details": {
                    "text_tokens": read.cached_text,
                    "audio_tokens": read.cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }
