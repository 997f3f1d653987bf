"""The most that one response of a session can cost: what is set aside for it under a budget."""

from headworks.catalogue import TargetPrice

_WINDOW_TOKENS = 128_000
_ANSWER_TOKENS = 32_000
"""Where the catalogue does not know a model's bounds: the largest window of a Realtime model (gpt-realtime-2), and the
most that one writes (OpenAI, model pages, 2026-11)."""


def most_per_response(price: TargetPrice, at_us: int) -> int | None:
    """In pico-dollars; None where no price is known. The conversation and the answer share the model's window, and any
    of it may be sound.

    Arguments:
        at_us: when the session begins, in microseconds since the Unix epoch.
    """
    model = price.model
    window = (None if model is None else model.context_tokens) or _WINDOW_TOKENS
    written = min(window, (None if model is None else model.max_output_tokens) or _ANSWER_TOKENS)
    # The price is linear in what is read and written, so that the most lies at one end or the other.
    ends = [price.most(window - out, out, at_us=at_us, has_media=True) for out in (0, written)]
    known = [end for end in ends if end is not None]
    return max(known) if len(known) == len(ends) else None
