"""Log probabilities of the tokens of a text: drawn from the seed and the text, so that they are the same each time.

They are plausible, and no model's: a token is more likely than those that stand beside it, and all together have less
than the whole probability.
"""

import math
from collections.abc import Sequence

from headworks.simulator.chance import fraction
from headworks.simulator.tokens import split

MOST_TOP_LOGPROBS = 20
"""Alternatives that either API gives at most (OpenAI API reference, `top_logprobs`, 2026-11)."""

TokenLogprob = dict[str, object]
"""A token as both APIs have it: `token`, `logprob`, `bytes`, `top_logprobs`."""

_LEAST_SHARE = 0.5
"""Of the probability that is left: what a token has at least, so that no alternative is likelier than one before it."""

_OTHERS = (
    " the", " a", " and", " of", " to", " in", " is", ",", ".", " it", " that", " for", " you", " with", " on", " as",
    " are", " be", " this", "\n", "!",
)  # fmt: skip


def logprobs_of(text: str, top: int, seed: int) -> tuple[TokenLogprob, ...]:
    """One for each token of a text, in order; the same for a token wherever it stands, and so for a piece of a stream.

    Arguments:
        top: how many of the likeliest tokens stand beside each, itself among them.
    """
    return tuple(_token(piece, top, seed) for piece in split(text))


def without_bytes(logprobs: Sequence[TokenLogprob]) -> list[TokenLogprob]:
    """The same as the Responses API has them in the events of a stream."""
    return [
        {name: value if name != "top_logprobs" else _bare(value) for name, value in one.items() if name != "bytes"}
        for one in logprobs
    ]


def _bare(tops: object) -> list[dict[str, object]]:
    assert isinstance(tops, list), "`_token` has made it"
    return [{"token": one["token"], "logprob": one["logprob"]} for one in tops]


def _token(piece: str, top: int, seed: int) -> TokenLogprob:
    left, tops = 1.0, []
    for rank, token in enumerate((piece, *(other for other in _OTHERS if other != piece))[: max(1, top)]):
        share = left * (_LEAST_SHARE + (1 - _LEAST_SHARE) * 0.98 * fraction(seed, piece, b"%d" % rank))
        left -= share
        tops.append(_stated(token, math.log(share)))
    return {**tops[0], "top_logprobs": tops[:top]}


def _stated(token: str, logprob: float) -> dict[str, object]:
    return {"token": token, "logprob": round(logprob, 6), "bytes": list(token.encode())}
