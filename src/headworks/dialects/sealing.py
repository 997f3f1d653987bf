"""Sealed reasoning on its way through another dialect.

A provider seals what its model thought and wants it back unchanged with the next turn: Anthropic signs thinking blocks,
OpenAI encrypts reasoning items, Google signs parts of the answer. A caller hands back what it got, in the place that
its own dialect has for it, so that the seal travels there, complete: all that the provider needs to see again, and a
word in front that says whose it is.

    Anthropic's block  ->  `encrypted_content` of a reasoning item  ->  the same block
    OpenAI's item      ->  `signature` of a thinking block          ->  the same item
    Google's signature ->  `encrypted_content` of a reasoning item  ->  the part that it signs

Nothing here is secret or signed by us: it is wrapping. Who tears it gets the provider's own refusal.
"""

import base64
import binascii
from typing import Literal

import msgspec

from headworks.dialects.canonical import Reasoning

_OF_ANTHROPIC = "anthropic."
_OF_GOOGLE = "google."
_OF_OPENAI = "openai."


class ThinkingBlock(msgspec.Struct, frozen=True, tag_field="type", tag="thinking"):
    """What Claude thought, signed."""

    thinking: str
    signature: str


class RedactedThinkingBlock(msgspec.Struct, frozen=True, tag_field="type", tag="redacted_thinking"):
    """What Claude thought and does not show."""

    data: str


Thinking = ThinkingBlock | RedactedThinkingBlock


class GeminiSeal(msgspec.Struct, frozen=True):
    """What Gemini thought, sealed: the `thoughtSignature` of a part. One that belongs to a call comes before it and
    goes back on it; any other stands where it stood, by itself."""

    signature: str
    belongs_to: Literal["call", "text"]


_encode = msgspec.json.Encoder().encode
_decode_thinking = msgspec.json.Decoder(Thinking).decode
_decode_gemini = msgspec.json.Decoder(GeminiSeal).decode
_decode_reasoning = msgspec.json.Decoder(Reasoning).decode


def sealed_thinking(block: Thinking) -> str:
    """The block as the `encrypted_content` of a reasoning item."""
    return _OF_ANTHROPIC + _wrapped(block)


def thinking_in(encrypted_content: str) -> Thinking | None:
    """The block that was sealed; None where this is another provider's."""
    data = _unwrapped(encrypted_content, _OF_ANTHROPIC)
    try:
        return None if data is None else _decode_thinking(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def sealed_signature(seal: GeminiSeal) -> str:
    """The signature as the `encrypted_content` of a reasoning item."""
    return _OF_GOOGLE + _wrapped(seal)


def gemini_seal_in(encrypted_content: str) -> GeminiSeal | None:
    """The signature that was sealed; None where this is another provider's."""
    data = _unwrapped(encrypted_content, _OF_GOOGLE)
    try:
        return None if data is None else _decode_gemini(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def sealed_reasoning(item: Reasoning) -> str:
    """The item as the `signature` of a thinking block."""
    return _OF_OPENAI + _wrapped(item)


def reasoning_in(signature: str) -> Reasoning | None:
    """The item that was sealed; None where this is another provider's."""
    data = _unwrapped(signature, _OF_OPENAI)
    try:
        return None if data is None else _decode_reasoning(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _wrapped(value: object) -> str:
    return base64.urlsafe_b64encode(_encode(value)).decode("ascii")


def _unwrapped(text: str, whose: str) -> bytes | None:
    if not text.startswith(whose):
        return None
    try:
        return base64.b64decode(text[len(whose) :].encode("ascii"), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        return None
