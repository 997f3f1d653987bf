"""Answers of calls whose personal data went up as tokens: kept with tokens, given with the values of who asks again.

What is kept is what the model said, before a token was turned back: no value that the caller sent lies in the cache.
Within a tenant a value has the same token for good, and two calls are only the same where the same values stand behind
the same tokens (`CallPrivacy.values_hash`). So the call that is given the answer turns it back with what it has sent
itself. An answer in which the model brought up personal data of its own, or a token that the request does not have, is
not kept, and neither is one that would not come out as the very bytes that went to the first caller.
"""

from typing import Literal

import msgspec

from headworks.calls import AttemptFailed, Endpoint, Usage
from headworks.dialects.bridging import ASKED
from headworks.dialects.canonical import AnswerItem, AnswerMessage, AnswerReasoning, AnswerText, ModelAnswer
from headworks.dialects.reading import Fields
from headworks.dialects.structured import wants_json
from headworks.errors import Refusal
from headworks.privacy_bridge import CallPrivacy


class _Said(msgspec.Struct, frozen=True, array_like=True):
    """A message or a thought, with tokens."""

    kind: Literal["message", "thought"]
    texts: tuple[str, ...]


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it is kept: of a `ModelAnswer` what is text. Fields may be added at the end only."""

    id: str
    model: str
    created: int
    said: tuple[_Said, ...]
    usage: Usage | None
    service_tier: str | None
    is_stored: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Kept).decode


def kept_form(privacy: CallPrivacy, endpoint: Endpoint, asked: Fields, own: Fields, given: bytes) -> bytes | None:
    """The answer with tokens, as it may be kept; None where it must not be.

    Arguments:
        asked: the fields that went up.
        own: the caller's.
        given: the body that the caller got.
    """
    answer = privacy.said
    if answer is None or not privacy.is_only_of_request:
        return None
    said = tuple([_said(item) for item in answer.output])
    kept = _encode(
        _Kept(answer.id, answer.model, answer.created, said, answer.usage, answer.service_tier, answer.is_stored)
    )
    return kept if given_form(privacy, endpoint, asked, own, kept) == given else None


def given_form(privacy: CallPrivacy, endpoint: Endpoint, asked: Fields, own: Fields, kept: bytes) -> bytes | None:
    """The body that a caller gets of what was kept; None where it cannot be turned back whole. Arguments as above."""
    try:
        found = _decode(kept)
        answer = ModelAnswer(
            found.id,
            found.model,
            found.created,
            tuple([_item(one) for one in found.said]),
            usage=found.usage,
            service_tier=found.service_tier,
            is_stored=found.is_stored,
        )
        restored = privacy.restored(answer, is_json=wants_json(endpoint, asked))
        body = ASKED[endpoint](own).answer(restored)
    except (AttemptFailed, Refusal, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return body if privacy.is_only_of_request else None


def _said(item: AnswerItem) -> _Said:
    """What of an item is kept. What else it has is missing when it is compared with what went out."""
    if isinstance(item, AnswerMessage):
        return _Said("message", tuple([part.text for part in item.parts if isinstance(part, AnswerText)]))
    return _Said("thought", (item.text,))


def _item(said: _Said) -> AnswerItem:
    if said.kind == "message":
        return AnswerMessage(tuple([AnswerText(text) for text in said.texts]))
    return AnswerReasoning("".join(said.texts))
