"""Answers of calls whose personal data went up as tokens: kept with tokens, given with the values of who asks again.

What is kept is what the model said, before a token was turned back: no value that the caller sent lies in the cache.
Within a tenant a value has the same token for good, and two calls are only the same where the same values stand behind
the same tokens (`CallPrivacy.values_hash`). So the call that is given the answer turns it back with what it has sent
itself. An answer in which the model brought up personal data of its own, or a token that the request does not have, is
not kept, and neither is one that would not come out as the very bytes that went to the first caller.
"""

import msgspec

from headworks.calls import AttemptFailed, Endpoint
from headworks.dialects.bridging import ASKED
from headworks.dialects.reading import Fields
from headworks.dialects.structured import wants_json
from headworks.errors import Refusal
from headworks.privacy_bridge import CallPrivacy, ScreenedBridge


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
    # Nothing of the request stands in it: who is given it repeats its own.
    kept = ASKED[endpoint]({}).answer(answer)
    return kept if given_form(privacy, endpoint, asked, own, kept) == given else None


def given_form(privacy: CallPrivacy, endpoint: Endpoint, asked: Fields, own: Fields, kept: bytes) -> bytes | None:
    """The body that a caller gets of what was kept; None where it cannot be turned back whole. Arguments as above."""
    bridge = ScreenedBridge((privacy,), endpoint, own, None, is_json=wants_json(endpoint, asked))
    try:
        body, _ = bridge.answer(kept)
    except (AttemptFailed, Refusal, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return body if privacy.is_only_of_request else None
