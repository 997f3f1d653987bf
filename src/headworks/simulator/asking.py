"""What is asked of the model, whichever API asked: the request in the simulator's own words."""

from typing import Literal

import msgspec

from headworks.calls import Endpoint
from headworks.simulator.plan import Model
from headworks.simulator.prefix_cache import CacheableText
from headworks.simulator.rejection import Rejection
from headworks.simulator.schema import Schema, SchemaRefused, checked
from headworks.simulator.tokens import IMAGE_TOKENS, split


class Tool(msgspec.Struct, frozen=True):
    """A function that the model may call; `schema` is None where it takes anything."""

    name: str
    schema: Schema | None = None


class ToolChoice(msgspec.Struct, frozen=True):
    """Whether tools may or must be called; `names` restricts them, all may be called if there are none."""

    mode: Literal["none", "auto", "required"] = "auto"
    names: tuple[str, ...] = ()


class Format(msgspec.Struct, frozen=True):
    """The form that text must have; `schema` with "json_schema" only."""

    kind: Literal["text", "json_object", "json_schema"] = "text"
    schema: Schema | None = None


FREE_TEXT = Format()


class Segment(msgspec.Struct, frozen=True):
    """A stretch of the prompt in the order in which the provider reads it; `ends_prefix` marks an explicit cache
    breakpoint behind it. An image is a segment that counts a fixed number of tokens."""

    text: str
    ends_prefix: bool = False
    is_image: bool = False


class CacheWish(msgspec.Struct, frozen=True):
    """How the request wants the prompt cache used. `ttl_s` None: as the model's plan says."""

    key: str = ""
    is_implicit: bool = True
    ttl_s: float | None = None
    is_prewarm: bool = False


class Ask(msgspec.Struct, frozen=True):
    """One request for an answer.

    `last_user_text` is what rules look at; `tool_outputs` are those that the input ends with. `max_tokens`
    bounds the output, reasoning included. `effort` is "" where the model does not reason.
    """

    endpoint: Endpoint
    model_id: str
    model: Model
    segments: tuple[Segment, ...]
    last_user_text: str
    tool_outputs: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    is_parallel: bool = True
    format: Format = FREE_TEXT
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    effort: str = ""
    cache: CacheWish = CacheWish()

    @property
    def served_model(self) -> str:
        """The name that the answer carries: the snapshot behind an alias."""
        return self.model.snapshot or self.model_id

    def prompt_tokens(self) -> int:
        """How long the prompt is."""
        return len(cacheable(self.segments, self.cache).pieces)


def cacheable(segments: tuple[Segment, ...], wish: CacheWish) -> CacheableText:
    """The prompt as tokens, with the lengths at which it was marked."""
    pieces: list[str] = []
    breakpoints: list[int] = []
    for segment in segments:
        if segment.is_image:
            pieces += [segment.text] * IMAGE_TOKENS
        else:
            pieces += split(segment.text)
        if segment.ends_prefix:
            breakpoints.append(len(pieces))
    return CacheableText(pieces, tuple(breakpoints), wish.is_implicit)


def accepted_schema(raw: bytes, *, is_strict: bool, subject: str, param: str, code: str) -> Schema:
    """The schema of a response format or a tool. Raises Rejection in the API's words; `subject` such as
    "response_format 'city'"."""
    try:
        return checked(raw, is_strict=is_strict)
    except SchemaRefused as problem:
        raise Rejection(400, f"Invalid schema for {subject}: {problem}", code=code, param=param) from problem


EFFORT_TOKENS = {"none": 0, "minimal": 16, "low": 64, "medium": 192, "high": 512, "xhigh": 1024, "max": 2048}
"""How many reasoning tokens an effort costs on average; the order is real, the figures are ours."""


def effort_of(model: Model, wanted: str | None, param: str) -> str:
    """The reasoning effort of a request: "" for a model that does not reason. Raises Rejection."""
    if wanted is not None and wanted not in EFFORT_TOKENS:
        supported = ", ".join(f"'{name}'" for name in EFFORT_TOKENS)
        raise Rejection(
            400,
            f"Invalid value: '{wanted}'. Supported values are: {supported}.",
            code="invalid_value",
            param=param,
        )
    return (wanted or "medium") if model.is_reasoning else ""
