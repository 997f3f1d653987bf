"""The most that a call can take, found in what goes up, before anybody has counted a token of it. Pure."""

from headworks.calls import Endpoint
from headworks.catalogue import ON_REQUEST, Most, TargetPrice
from headworks.dialects.reading import Fields
from headworks.hosted_tools import has_any, may_run_tools, plain

IMAGE_TOKENS = 50_000
"""More than any image takes: 8 tiles of 5,667 tokens and 2,833 are the most that OpenAI counts for one (GPT-4o mini;
"Images and vision", calculating costs)."""

DRAWN_TOKENS = 6_600
"""More than an image takes that gpt-image-1, -mini or -1.5 draws: 6,240 at high quality, and 100 for each of
three partial ones ("Image generation", cost and latency, 2026-11). Newer ones draw in any size, and no bound is
documented."""

_DRAWS_IN_FIXED_SIZES = ("gpt-image-1", "chatgpt-image")

_FRAME_TOKENS = 1024
"""Beyond one token a byte, what a provider adds around messages and tools."""

_ANSWER_TOKENS = 128_000
_WINDOW_TOKENS = 1_100_000
"""Where the catalogue does not know a model's bounds: the largest output and window that models have which are sold
today (2026-11)."""

HOSTED_RUNS = 10
"""A tool that the provider runs makes it read its window again, each time, and may itself cost something. How often,
nobody bounds; this is many."""

_LIMIT_NAMES = {
    Endpoint.RESPONSES: ("max_output_tokens",),
    Endpoint.CHAT: ("max_completion_tokens", "max_tokens"),
    Endpoint.COMPLETIONS: ("max_tokens",),
    Endpoint.MESSAGES: ("max_tokens",),
}
"""By API: what bounds an answer there. A field with another API's name bounds nothing, whatever it says."""

_MEDIA = frozenset({Endpoint.IMAGES, Endpoint.AUDIO})

_READ_ONLY = frozenset({Endpoint.EMBEDDINGS, Endpoint.MODERATIONS})
"""What writes no tokens."""

_SENT_IMAGES = 16
"""Images that are sent along to be edited, at most (API reference, "Create image edit", 2026-11)."""

_LONG_LIVED = (b'"1h"', b'"12h"', b'"24h"')
"""How long a prompt cache is to keep what is written, where that is the dearer time."""

_SOUND = (b'"input_audio"', b'"audio', b'"video', b'"inline_data"', b'"inlineData"')

_MOST_CANDIDATES = 8
"""Answers to one call at most (Gemini API reference, `candidateCount`, 2026-11)."""
_HIDDEN = (b'"file_id"', b'"file_url"', b'"file_uri"', b'"fileUri"', b'"input_audio"', b'"video')
_IMAGES = (b'"input_image"', b'"image_url"', b'"image"', b'"inline_data"', b'"inlineData"')
_ON_REQUEST = tuple(b'"%b"' % tier.encode() for tier in sorted(ON_REQUEST))
_STORED = ("previous_response_id", "conversation", "prompt", "cachedContent")


def most_of_call(fields: Fields, price: TargetPrice, request_bytes: int, endpoint: str) -> Most:
    """The most that a call can take, and what may be among it that is dearer than text (see `most_tokens`)."""
    taken, written = most_tokens(fields, price, request_bytes, endpoint)
    has_media = endpoint in _MEDIA or has_any(fields, (*_IMAGES, *_SOUND))
    runs = HOSTED_RUNS if may_run_tools(fields) else 0
    return Most(
        taken,
        written,
        has_media=has_media,
        writes_long=writes_long(fields),
        hosted_runs=runs,
        asks_tier=has_any(fields, _ON_REQUEST),
    )


def writes_long(fields: Fields) -> bool:
    """Whether a prompt cache may have to keep what is written for the longer, dearer time."""
    return has_any(fields, _LONG_LIVED)


def most_tokens(
    fields: Fields, price: TargetPrice, request_bytes: int = 0, endpoint: str = Endpoint.RESPONSES
) -> tuple[int, int]:
    """The most tokens that a call can take, in and out. A token is a byte at least, so the request bounds its own text;
    what it only refers to is bounded by the model's window, where one is known.

    Arguments:
        fields: what goes up.
        request_bytes: of what the caller sent, which may be no JSON.
        endpoint: the API that they are of.
    """
    size = max(request_bytes, sum(map(len, fields.values())))
    if endpoint in _READ_ONLY:
        return size + _FRAME_TOKENS, 0  # many texts, of a window each
    model = price.model
    if endpoint == Endpoint.IMAGES:
        # A form has no fields here: its images lie in its parts.
        images = _SENT_IMAGES if not fields or any(name in fields for name in ("image", "images", "mask")) else 0
        is_fixed = model is not None and model.name.startswith(_DRAWS_IN_FIXED_SIZES)
        drawn = DRAWN_TOKENS if is_fixed else _ANSWER_TOKENS
        return size + _FRAME_TOKENS + IMAGE_TOKENS * images, drawn * max(1, _whole(fields, "n"))
    window = (None if model is None else model.context_tokens) or _WINDOW_TOKENS
    written = (None if model is None else model.max_output_tokens) or min(window, _ANSWER_TOKENS)
    given = [_whole(fields, name) for name in _LIMIT_NAMES.get(Endpoint(endpoint), ()) if name in fields]
    if given and all(given):  # of two, an older server may know the one or the other
        written = min(written, max(given))
    data = [plain(bytes(raw)) for raw in fields.values()]
    answers = max(1, _whole(fields, "n")) * max(1, _whole(fields, "best_of"))
    if any(mark in raw for raw in data for mark in (b"candidateCount", b"candidate_count")):
        answers *= _MOST_CANDIDATES
    if may_run_tools(fields):
        return window * HOSTED_RUNS, written * answers
    if any(name in fields for name in _STORED) or any(mark in raw for raw in data for mark in _HIDDEN):
        return window, written * answers
    images = sum(raw.count(mark) for raw in data for mark in _IMAGES)
    return min(window, size + _FRAME_TOKENS + IMAGE_TOKENS * images), written * answers


def _whole(fields: Fields, name: str) -> int:
    """A whole number; 0 where there is none."""
    raw = bytes(fields.get(name, b""))
    return int(raw) if raw.isdigit() and len(raw) < 19 else 0
