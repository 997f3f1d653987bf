"""What a response or a transcription used, in our convention: tokens by kind, as they are charged."""

import math

import msgspec

from headworks.calls import NO_USAGE, Usage
from headworks.catalogue import Extras
from headworks.realtime.events import EventUsage, TokenDetails

_NONE = TokenDetails()


class Used(msgspec.Struct, frozen=True):
    """Tokens of one response or transcription, and how many of them were no text. A source of `none` says that nothing
    was told."""

    usage: Usage = NO_USAGE
    extras: Extras = Extras()

    @property
    def is_told(self) -> bool:
        """Whether the provider said what was used."""
        return self.usage.source == "provider"


NOTHING_TOLD = Used()


def used_by_response(found: EventUsage | None) -> Used:
    """The usage of `response.done`. Cached tokens whose kind is not told are taken for text: sound then costs what it
    costs uncached, and nothing is charged too low."""
    if found is None or (found.input_tokens is None and found.output_tokens is None):
        return NOTHING_TOLD
    read, written = found.input_token_details or _NONE, found.output_token_details or _NONE
    cached = read.cached_tokens_details or _NONE
    usage = Usage(
        input_tokens=_count(found.input_tokens),
        cached_tokens=_count(read.cached_tokens),
        output_tokens=_count(found.output_tokens),
        source="provider",
    )
    extras = Extras(
        audio_input_tokens=_count(read.audio_tokens),
        cached_audio_tokens=_count(cached.audio_tokens),
        image_input_tokens=_count(read.image_tokens),
        cached_image_tokens=_count(cached.image_tokens),
        audio_output_tokens=_count(written.audio_tokens),
    )
    return Used(usage, extras)


def used_by_transcription(found: EventUsage | None) -> Used:
    """The usage of a transcription: tokens, or seconds of sound, of which a part of one counts as one."""
    if found is None:
        return NOTHING_TOLD
    if found.seconds is not None:
        seconds = math.ceil(found.seconds) if math.isfinite(found.seconds) else 0
        return Used(Usage(source="provider"), Extras(audio_s=max(0, seconds)))
    return used_by_response(found)


def _count(tokens: int | None) -> int:
    return max(0, tokens or 0)
