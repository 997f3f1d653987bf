"""The canonical form of a streamed answer: few events, in the order in which a model produces.

    Started, (Text | Refused | Thought | Sealed | Called | Cited)*, then Ended or UpstreamError

A decoder turns the bytes of one dialect's stream into these, an encoder turns these into the bytes of another's.
"""

from typing import Literal, Protocol

import msgspec

from headworks.calls import Usage
from headworks.dialects.canonical import EndReason, Logprob, UpstreamError, UrlCitation


class Started(msgspec.Struct, frozen=True):
    """The answer has begun; nothing of it is there yet. `created` is Unix time in seconds; `is_stored`, whether the
    provider keeps it under its id."""

    id: str
    model: str
    created: int
    service_tier: str | None = None
    is_stored: bool = False


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of the answer's text."""

    text: str
    logprobs: tuple[Logprob, ...] = ()


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A piece of a refusal in the model's words."""

    text: str


class Thought(msgspec.Struct, frozen=True, gc=False):
    """A piece of the model's reasoning."""

    text: str


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """The end of a piece of reasoning, in the form in which the upstream wants it back with the next turn."""

    encrypted_content: str
    id: str | None = None


class Called(msgspec.Struct, frozen=True, gc=False):
    """A piece of a tool call. `index` counts the calls of this answer from 0; the first piece of each has `call_id`
    and `name`, later ones leave them empty."""

    index: int
    text: str
    kind: Literal["function", "custom"] = "function"
    call_id: str = ""
    name: str = ""


class Cited(msgspec.Struct, frozen=True):
    """The text so far has a source."""

    citation: UrlCitation


class Ended(msgspec.Struct, frozen=True):
    """The answer's end, complete or cut for a reason, with the usage where the upstream states it."""

    end_reason: EndReason
    usage: Usage | None = None
    service_tier: str | None = None


StreamEvent = Started | Text | Refused | Thought | Sealed | Called | Cited | Ended | UpstreamError


class StreamDecoder(Protocol):
    """Bytes of a dialect's stream in, events out."""

    def feed(self, chunk: bytes) -> list[StreamEvent]:
        """The events that `chunk` completes. After `Ended` or `UpstreamError` nothing follows.

        Raises:
            UnreadableAnswer: the stream is not what its dialect promises.
        """
        ...


class StreamEncoder(Protocol):
    """Events in, bytes of a dialect's stream out."""

    def encode(self, event: StreamEvent) -> bytes:
        """The bytes to send on for `event`; may be nothing."""
        ...
