"""What a call is expected to take of a quota of tokens: weighed before it, and learnt from what it was billed.

Only calls that such a quota may bind are weighed. A picture is counted by its size and not by its bytes, which are a
hundred times as many; text by the model's tokenizer where that is loaded, else by the bytes that a token of such calls
was seen to have. Both are corrected by what such calls were billed.
"""

from collections.abc import Mapping

import msgspec

from headworks.calls import Weight
from headworks.catalogue import loaded_tokenizer_for
from headworks.counting import count_request, measure_media
from headworks.limits import Expectations
from headworks.settlement import OpenCall

MOST_BYTES = 64 * 1024
"""Of text are counted, and what is beyond them taken to be like them: about half a millisecond of a worker's time."""

SMALL_BYTES = 2_048
"""Text of fewer bytes is not tokenized: its tokens are few beside what the answer may be."""

_EARLIER = frozenset({"previous_response_id", "conversation"})
"""What was said before, and is billed, is not in a request with one of these."""


def weigh(fields: Mapping[str, msgspec.Raw], model: str, request_bytes: int, *, is_whole: bool = True) -> Weight | None:
    """What a request holds; None where that is as many bytes of text as it has.

    Arguments:
        fields: of its body.
        model: its provider's name for the model.
        request_bytes: of the whole body.
        is_whole: that this is what the model will read. It is not where a workload makes its own request of it, whose
            tokens its bytes tell by experience.
    """
    if request_bytes >= SMALL_BYTES and is_whole and _EARLIER.isdisjoint(fields):
        tokenizer = loaded_tokenizer_for(model)
        if tokenizer.certainty != "estimated":
            count = count_request(fields, model, tokenizer=tokenizer, most_bytes=MOST_BYTES)
            text_bytes = max(0, request_bytes - count.media_chars)
            return Weight(text_bytes, count.media_tokens, count.tokens - count.media_tokens)
    media_tokens, media_chars = measure_media(fields, model)
    return Weight(max(0, request_bytes - media_chars), media_tokens) if media_tokens else None


def expected_tokens(expectations: Expectations, kind: str, call: OpenCall) -> int:
    """What to reserve for a call."""
    weight = call.weight
    if weight is None:
        return expectations.tokens(kind, call.request_bytes)
    return expectations.tokens(
        kind, weight.text_bytes, input_tokens=weight.text_tokens, media_tokens=weight.media_tokens
    )


def learn_tokens(expectations: Expectations, kind: str, call: OpenCall) -> None:
    """What a call was billed as."""
    usage, weight = call.usage, call.weight
    if weight is None:
        expectations.learn(kind, call.request_bytes, usage.input_tokens, usage.output_tokens, now_s=call.head_s)
        return
    expectations.learn(
        kind,
        weight.text_bytes,
        usage.input_tokens,
        usage.output_tokens,
        counted_tokens=weight.text_tokens,
        media_tokens=weight.media_tokens,
        now_s=call.head_s,
    )
