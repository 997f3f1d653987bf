"""What a call costs: tokens times prices, itemised, in whole pico-dollars. Pure; no float anywhere.

A token is charged once. Input is divided into what was read from the cache, what was written to it, audio, image,
video, and the rest; output into reasoning, audio, image, video, citations, and the rest. Figures that contradict one
another (more cached tokens than there was input) are cut to what there is.
"""

import msgspec

from headworks.calls import Usage, UsageDetails
from headworks.catalogue.prices import STANDARD
from headworks.catalogue.tariffs import Deck, Tariff

_HOUR_S = 3600


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What some calls use beyond `calls.Usage`.

    Tokens are parts of those in `Usage`: `long_cache_write_tokens` of its cache writes (those with the longer time to
    live), `audio_input_tokens`, `image_input_tokens` and `video_input_tokens` of its input, `cached_audio_tokens` and
    `cached_image_tokens` of its cached input and of these, the output ones of its output. The rest are counts beside
    tokens; `annotated_pages` are part of `pages`, `audio_s` is whole seconds of sound, transcribed or spoken.
    """

    long_cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    cached_audio_tokens: int = 0
    audio_output_tokens: int = 0
    image_input_tokens: int = 0
    cached_image_tokens: int = 0
    image_output_tokens: int = 0
    video_input_tokens: int = 0
    video_output_tokens: int = 0
    citation_tokens: int = 0
    web_searches: int = 0
    file_searches: int = 0
    messages: int = 0
    pages: int = 0
    annotated_pages: int = 0
    characters: int = 0
    audio_s: int = 0


def extras_of(details: UsageDetails) -> Extras:
    """The same as what is charged beside tokens of text."""
    return Extras(**{name: getattr(details, name) for name in details.__struct_fields__})


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a call costs, in whole pico-dollars. The seven parts from `input` to `request` sum to the total.

    Attributes:
        input: text read at the full price.
        cached_input: text read from the prompt cache.
        cache_write: input that was also written to the prompt cache.
        output: text, reasoning included.
        media: audio, image and video tokens, in and out, and sound that is billed by time.
        services: searches, pages, characters: what is counted beside tokens.
        request: what a request costs as such.
        reasoning: how much of `output` is reasoning.
        version: which price table this was computed with (`PriceBook.version`).
        tier: the tier whose prices were applied: `standard`, too, where the call's own has none.
        above: the long-context bound that the input exceeded, in tokens; 0 for none.
        is_estimated: the provider told no usage, and the tokens were counted here.
        is_complete: false where tokens were used that no source gives a price for: the total is then too low.
    """

    input: int
    cached_input: int
    cache_write: int
    output: int
    media: int = 0
    services: int = 0
    request: int = 0
    reasoning: int = 0
    version: str = ""
    tier: str = STANDARD
    above: int = 0
    is_estimated: bool = False
    is_complete: bool = True

    @property
    def total(self) -> int:
        """All of it."""
        return (
            self.input + self.cached_input + self.cache_write + self.output + self.media + self.services + self.request
        )


def cost_of(
    usage: Usage,
    deck: Deck | None,
    *,
    at_us: int,
    tier: str = STANDARD,
    extras: Extras | None = None,
    version: str = "",
) -> Cost | None:
    """What a call costs, or None where that is not known: no price of the model, or no usage to go by. Never zero for
    unknown; who knows that nothing was sent (a refused call) knows that it was free.

    Arguments:
        usage: the call's tokens.
        deck: the model's prices; None for a model that has none.
        at_us: when the call began, in microseconds since the Unix epoch; prices change.
        tier: as the provider served it: `standard`, `batch`, `flex`, `priority`. Unknown ones are standard.
        extras: what the call used beyond tokens of text.
        version: of the price table; goes into the cost.
    """
    if deck is None or usage.source == "none":
        return None
    card = deck.card(tier, at_us)
    tariff, above = card.base, 0
    for bound, higher in card.steps:
        if usage.input_tokens > bound:
            tariff, above = higher, bound
            break
    if extras is None and usage.details is not None:
        extras = extras_of(usage.details)
    if extras is not None:
        return _with_extras(usage, extras, tariff, deck.least_audio_s, (version, card.tier, above))
    whole, output = usage.input_tokens, usage.output_tokens
    cached, written, reasoning = usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    if cached + written > whole:
        cached = min(cached, whole)
        written = min(written, whole - cached)
    if reasoning > output:
        reasoning = output
    thought = tariff.reasoning * reasoning
    return Cost(
        tariff.input * (whole - cached - written),
        tariff.cached_input * cached,
        tariff.cache_write * written,
        tariff.output * (output - reasoning) + thought,
        0,
        0,
        tariff.request,
        thought,
        version,
        card.tier,
        above,
        usage.source == "estimated",
        (tariff.has_input or not whole) and (tariff.has_output or not output),
    )


def _with_extras(
    usage: Usage, extras: Extras, tariff: Tariff, least_audio_s: int, origin: tuple[str, str, int]
) -> Cost:
    """As `cost_of` goes on, where more than text tokens were used. `origin`: version, tier, and bound exceeded."""
    cached = min(usage.cached_tokens, usage.input_tokens)
    written = min(usage.cache_write_tokens, usage.input_tokens - cached)
    written_long = min(extras.long_cache_write_tokens, written)
    rest = usage.input_tokens - cached - written

    cached_audio = min(extras.cached_audio_tokens, extras.audio_input_tokens, cached)
    cached_image = min(extras.cached_image_tokens, extras.image_input_tokens, cached - cached_audio)
    audio = min(extras.audio_input_tokens - cached_audio, rest)
    image = min(extras.image_input_tokens - cached_image, rest - audio)
    video = min(extras.video_input_tokens, rest - audio - image)

    reasoning = min(usage.reasoning_tokens, usage.output_tokens)
    spoken = min(extras.audio_output_tokens, usage.output_tokens - reasoning)
    drawn = min(extras.image_output_tokens, usage.output_tokens - reasoning - spoken)
    filmed = min(extras.video_output_tokens, usage.output_tokens - reasoning - spoken - drawn)
    cited = min(extras.citation_tokens, usage.output_tokens - reasoning - spoken - drawn - filmed)
    text = usage.output_tokens - reasoning - spoken - drawn - filmed - cited

    seconds = max(extras.audio_s, least_audio_s) if extras.audio_s else 0
    annotated = min(extras.annotated_pages, extras.pages)
    thought = tariff.reasoning * reasoning
    version, tier, above = origin
    return Cost(
        input=tariff.input * (rest - audio - image - video),
        cached_input=tariff.cached_input * (cached - cached_audio - cached_image),
        cache_write=tariff.cache_write * (written - written_long) + tariff.cache_write_long * written_long,
        output=tariff.output * text + thought + tariff.citation * cited,
        media=(
            tariff.audio_input * audio
            + tariff.cached_audio * cached_audio
            + tariff.image_input * image
            + tariff.cached_image * cached_image
            + tariff.video_input * video
            + tariff.audio_output * spoken
            + tariff.image_output * drawn
            + tariff.video_output * filmed
            # Sound is quoted by the hour and billed by the second: the one product that is rounded, half a pico up.
            + (2 * tariff.audio_hour * seconds + _HOUR_S) // (2 * _HOUR_S)
        ),
        services=(
            tariff.web_search * extras.web_searches
            + tariff.file_search * extras.file_searches
            + tariff.message * extras.messages
            + tariff.page * (extras.pages - annotated)
            + tariff.annotated_page * annotated
            + tariff.character * extras.characters
        ),
        request=tariff.request,
        reasoning=thought,
        version=version,
        tier=tier,
        above=above,
        is_estimated=usage.source == "estimated",
        is_complete=_is_complete(
            tariff,
            usage.input_tokens
            - _priced(tariff.audio_input, audio + cached_audio)
            - _priced(tariff.image_input, image + cached_image)
            - _priced(tariff.video_input, video),
            usage.output_tokens
            - _priced(tariff.audio_output, spoken)
            - _priced(tariff.image_output, drawn)
            - _priced(tariff.video_output, filmed),
        ),
    )


def _priced(rate: int, count: int) -> int:
    """How many of the tokens have a price, be it that of a wider kind."""
    return count if rate else 0


def _is_complete(tariff: Tariff, input_tokens: int, output_tokens: int) -> bool:
    """Whether text has a price, in and out, as far as there is any."""
    return (tariff.has_input or not input_tokens) and (tariff.has_output or not output_tokens)


class Most(msgspec.Struct, frozen=True, gc=False):
    """The most that calls can take together.

    Attributes:
        input_tokens, output_tokens: of all of them.
        calls: how many there are.
        longest: the most input that one of them can take; -1 where that may be all of it.
        has_media: they may be sound and images, too, not text alone.
        has_long_cache: what is written to the cache may be kept there for the longer time.
    """

    input_tokens: int
    output_tokens: int
    calls: int = 1
    longest: int = -1
    has_media: bool = False
    has_long_cache: bool = False


def most_of(deck: Deck, most: Most, *, at_us: int, tier: str = "") -> int | None:
    """The most that calls can cost, in pico-dollars, however their input is cached; None where input or output has no
    price.

    Arguments:
        most: what they can take.
        at_us: when they begin, in microseconds since the Unix epoch.
        tier: the one that serves them; "": whichever is dearest.
    """
    found = 0
    longest = most.input_tokens if most.longest < 0 else most.longest
    for each in deck.tiers if not tier else (tier,):
        card = deck.card(each, at_us)
        for tariff in (card.base, *(step for bound, step in card.steps if longest > bound)):
            if not _is_complete(tariff, most.input_tokens, most.output_tokens):
                return None
            read = max(tariff.input, tariff.cached_input, tariff.cache_write)
            written = max(tariff.output, tariff.reasoning)
            if most.has_long_cache:
                read = max(read, tariff.cache_write_long)
            if most.has_media:
                seen = (tariff.image_input, tariff.cached_image, tariff.video_input)
                read = max(read, tariff.audio_input, tariff.cached_audio, *seen)
                written = max(written, tariff.audio_output, tariff.image_output, tariff.video_output)
            total = read * most.input_tokens + written * most.output_tokens + tariff.request * most.calls
            found = max(found, total)
    return found
