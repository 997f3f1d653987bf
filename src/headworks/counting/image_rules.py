"""How many tokens a picture is, by what each provider documents. Pure.

OpenAI: "Images and vision", "Calculating costs", 2025-10: squares of 512 pixels (tiles) for the older models, of 32
pixels (patches) for the newer. Anthropic: "Vision", "Evaluate image size": width x height / 750. Google: "Understand
and count tokens", "Multimodal tokens": 258 a tile of 768 pixels.
"""

import math
from functools import lru_cache
from typing import assert_never

import msgspec

from headworks.counting.images import Size

_USUAL_SIZE: Size = (1024, 1024)
"""Of a picture that we cannot see, as one behind a URL: OpenAI's own example."""


class Tiles(msgspec.Struct, frozen=True):
    """`base` for the picture, and `tile` for each square of 512 pixels, when it is fit into 2,048 by 2,048 and its
    shorter side is no longer than 768. With low detail `base` alone."""

    base: int
    tile: int


class Patches(msgspec.Struct, frozen=True):
    """A token for each square of 32 pixels, at most `most`: what is larger is made smaller. `percent` of that is
    charged."""

    most: int = 1536
    percent: int = 100


class Area(msgspec.Struct, frozen=True):
    """A token for so many pixels, when the longer side is at most `longest` pixels, and at most `most` tokens."""

    pixels: int
    longest: int
    most: int


class Crops(msgspec.Struct, frozen=True):
    """`tokens` for a picture of at most `small` pixels a side, and for each square of `side` pixels of a larger."""

    tokens: int
    small: int
    side: int


Rule = Tiles | Patches | Area | Crops

_OPENAI: tuple[tuple[str, Rule], ...] = (
    ("gpt-4o-mini", Tiles(2833, 5667)),
    ("gpt-4.1-mini", Patches(percent=162)),
    ("gpt-4.1-nano", Patches(percent=246)),
    ("o4-mini", Patches(percent=172)),
    # The guide says 1.62 and 2.46 of gpt-5-mini and gpt-5-nano; users measured 1.20 of the former. More is safer.
    ("gpt-5-mini", Patches(percent=162)),
    ("gpt-5-nano", Patches(percent=246)),
    ("gpt-5-chat", Tiles(70, 140)),
    ("gpt-5", Tiles(70, 140)),
    ("gpt-4o", Tiles(85, 170)),
    ("gpt-4.1", Tiles(85, 170)),
    ("gpt-4.5", Tiles(85, 170)),
    ("chatgpt-4o", Tiles(85, 170)),
    ("gpt-4", Tiles(85, 170)),
    ("o1", Tiles(75, 150)),
    ("o3", Tiles(75, 150)),
    ("computer-use", Tiles(65, 129)),
)
_CLAUDE = Area(750, 1568, 1600)
_GEMINI = Crops(258, 384, 768)
_NEWEST = Patches(most=2500)
"""Our guess for models that we know no documented rule of: a token a patch, as of OpenAI's newer ones, up to a picture
of 1,600 by 1,600 pixels."""

_NEWER = "gpt-5."
"""Models of OpenAI's after gpt-5, whose names begin like it."""

_LOW_SIDE = 512
"""What a patch model sees with low detail, in pixels a side."""


@lru_cache(maxsize=1024)
def rule_of(model: str) -> tuple[Rule, bool]:
    """The rule of a model, by its provider's name for it, and whether it is documented for this model."""
    name = model.rpartition("/")[2].lower()
    if "claude" in name:
        return _CLAUDE, True
    if "gemini" in name or "gemma" in name:
        return _GEMINI, True
    for prefix, rule in _OPENAI:
        if name.startswith(prefix) and not name.startswith(_NEWER):
            return rule, True
    return _NEWEST, False


def image_tokens(rule: Rule, size: Size | None, detail: str = "auto") -> int:
    """Tokens of one picture.

    Arguments:
        size: in pixels; None where it is not known, and then that of a usual one is taken.
        detail: as the request says it; what it leaves open (`auto`) counts as high, which is never less.
    """
    width, height = _USUAL_SIZE if size is None else size
    match rule:
        case Tiles():
            return rule.base if detail == "low" else rule.base + rule.tile * _tiles(width, height)
        case Patches():
            if detail == "low":
                width, height = _within(width, height, _LOW_SIDE)
            return -(-_patches(width, height, rule.most) * rule.percent // 100)
        case Area():
            width, height = _within(width, height, rule.longest)
            return min(rule.most, math.ceil(width * height / rule.pixels))
        case Crops():
            if width <= rule.small and height <= rule.small:
                return rule.tokens
            return rule.tokens * math.ceil(width / rule.side) * math.ceil(height / rule.side)
        case _:
            assert_never(rule)


def _within(width: int, height: int, longest: int) -> Size:
    """The same picture with no side longer than that."""
    side = max(width, height)
    if side <= longest:
        return width, height
    return max(1, width * longest // side), max(1, height * longest // side)


def _tiles(width: int, height: int) -> int:
    width, height = _within(width, height, 2048)
    shorter = min(width, height)
    if shorter > 768:
        width, height = width * 768 // shorter, height * 768 // shorter
    return math.ceil(width / 512) * math.ceil(height / 512)


def _patches(width: int, height: int, most: int) -> int:
    """The guide's own steps: shrink to the area, then so far that a side is a whole number of patches."""
    across, down = math.ceil(width / 32), math.ceil(height / 32)
    if across * down <= most:
        return across * down
    factor = math.sqrt(most * 32 * 32 / (width * height))
    wide, high = width * factor / 32, height * factor / 32
    factor *= min(max(1, math.floor(wide)) / wide, max(1, math.floor(high)) / high)
    return min(most, max(1, round(width * factor / 32)) * max(1, math.ceil(round(height * factor / 32, 6))))
