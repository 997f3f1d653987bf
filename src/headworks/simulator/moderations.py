"""Moderation: scores from a short list of telling words, the same for the same text."""

import re
from typing import TypeAlias

import msgspec

from headworks.simulator.chance import fraction, identifier
from headworks.simulator.rejection import invalid_value

_TELLING: dict[str, frozenset[str]] = {
    "harassment": frozenset({"idiot", "loser", "stupid"}),
    "harassment/threatening": frozenset({"threaten"}),
    "hate": frozenset({"hate", "vermin"}),
    "hate/threatening": frozenset({"exterminate"}),
    "illicit": frozenset({"counterfeit", "launder", "smuggle"}),
    "illicit/violent": frozenset({"bomb", "explosive"}),
    "self-harm": frozenset({"suicide"}),
    "self-harm/intent": frozenset({"suicidal"}),
    "self-harm/instructions": frozenset({"overdose"}),
    "sexual": frozenset({"porn", "nude"}),
    "sexual/minors": frozenset(),
    "violence": frozenset({"kill", "stab", "murder"}),
    "violence/graphic": frozenset({"gore", "dismember"}),
}
"""The categories of `omni-moderation-latest`, and the words that trip each; ours, to have something to test."""

_IMAGE_CATEGORIES = frozenset(
    {"self-harm", "self-harm/intent", "self-harm/instructions", "sexual", "violence", "violence/graphic"}
)
_THRESHOLD = 0.5


class _ImageUrl(msgspec.Struct):
    url: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None


class ModerationsBody(msgspec.Struct):
    """The body of POST /v1/moderations."""

    input: str | list[str | _Part]
    model: str | None = None


_Inputs: TypeAlias = list[tuple[str, bool]]


def moderation(body: ModerationsBody, model_id: str, seed: int, unique: bytes) -> dict[str, object]:
    """The answer to a request: one result per string; one for all parts of a multi-modal input."""
    return {
        "id": identifier("modr-", seed, unique),
        "model": model_id,
        "results": [_result(text, has_image, seed) for text, has_image in _inputs(body.input)],
    }


def _inputs(value: str | list[str | _Part]) -> _Inputs:
    if isinstance(value, str):
        return [(value, False)]
    texts = [item for item in value if isinstance(item, str)]
    parts = [item for item in value if isinstance(item, _Part)]
    if not value or (texts and parts):
        raise invalid_value("input", "Invalid 'input': expected a string, an array of strings, or an array of parts.")
    if texts:
        return [(text, False) for text in texts]
    return [("\n".join(part.text or "" for part in parts), any(part.type == "image_url" for part in parts))]


def _result(text: str, has_image: bool, seed: int) -> dict[str, object]:
    words = set(re.findall(r"[a-z]+", text.lower()))
    scores = {
        name: (0.85 if words & telling else 0.0) + fraction(seed, name, text) / 10 for name, telling in _TELLING.items()
    }
    flags = {name: score >= _THRESHOLD for name, score in scores.items()}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {
            name: ["text", "image"] if has_image and name in _IMAGE_CATEGORIES else ["text"] for name in _TELLING
        },
    }
