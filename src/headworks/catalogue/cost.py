"""What a call costs: tokens times prices, itemised, in whole pico-dollars. Pure; no float anywhere.

A token is charged once. Input is divided into what was read from the cache, what was written to it, audio, image,
video, and the rest; output into reasoning, audio, image, video, citations, and the rest. Figures that contradict one
another (more cached tokens than there was input) are cut to what there is.
"""

import msgspec

from headworks.calls import Extras, Usage
from headworks.catalogue.prices import DEARER, ON_REQUEST, STANDARD
from headworks.catalogue.tariffs import Deck, Tariff

_HOUR_S = 3600


class Cost(msgspec.Struct, frozen=True, gc=False):
    """What a call costs, in whole pico-dollars. The seven parts from `input` to `request` sum to the total.

    Attributes:
        input: text read at the full price.
        cached_input: text read from the prompt cache.
        cache_write: input that was also written to the prompt cache.
        output: text, reasoning included.
        media: audio, image and video tokens, in and out, and sound that is billed by time.
        services: searches, runs of code, pages, characters: what is counted beside tokens.
        request: what a request costs as such.
        reasoning: how much of `output` is reasoning.
        version: which price table this was computed with (`PriceBook.version`).
        tier: the tier whose prices were applied: `standard`, too, where the call's own has none.
        above: the long-context bound that the input exceeded, in tokens; 0 for none.
        is_estimated: the provider told no usage, and the tokens were counted here.
        is_complete: false where tokens were used that no source gives a price for, or a tier that is dearer than the
        standard one and has no price: the total is then too low.
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
        extras: what the call used beyond tokens of text; None: as the usage says.
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
    if extras is None:
        extras = usage.extras
    has_tier = card.tier == tier or tier not in DEARER
    if extras is not None:
        cost = _with_extras(usage, extras, tariff, deck.least_audio_s, (version, card.tier, above))
        return cost if has_tier else msgspec.structs.replace(cost, is_complete=False)
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
        has_tier and (tariff.has_input or not whole) and (tariff.has_output or not output),
    )


_MEDIA_PARTS = (
    *("audio_input", "cached_audio", "image_input", "cached_image", "video_input"),
    *("audio_output", "image_output", "video_output", "audio_hour"),
)
_MEDIA_READ = _MEDIA_PARTS[:5]
_WRITTEN = ("output", "reasoning", "citation", "audio_output", "image_output", "video_output")
_SERVICE_PARTS = ("web_search", "file_search", "container_run", "message", "page", "annotated_page", "character")


def divided(usage: Usage, extras: Extras, least_audio_s: int = 0) -> dict[str, int]:
    """How many there are of each kind that has a price, by the names of `Rates`: each token is of one kind. Sound that
    is billed by time is in seconds, under `audio_hour`.

    Arguments:
        least_audio_s: how many seconds a request pays for at least.
    """
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
    annotated = min(extras.annotated_pages, extras.pages)
    return {
        "input": rest - audio - image - video,
        "cached_input": cached - cached_audio - cached_image,
        "cache_write": written - written_long,
        "cache_write_long": written_long,
        "output": usage.output_tokens - reasoning - spoken - drawn - filmed - cited,
        "reasoning": reasoning,
        "citation": cited,
        "audio_input": audio,
        "cached_audio": cached_audio,
        "image_input": image,
        "cached_image": cached_image,
        "video_input": video,
        "audio_output": spoken,
        "image_output": drawn,
        "video_output": filmed,
        "audio_hour": max(extras.audio_s, least_audio_s) if extras.audio_s else 0,
        "web_search": extras.web_searches,
        "file_search": extras.file_searches,
        "container_run": extras.container_runs,
        "message": extras.messages,
        "page": extras.pages - annotated,
        "annotated_page": annotated,
        "character": extras.characters,
        "request": 1,
    }


def amount_of(name: str, count: int, price_pico: int) -> int:
    """What so many of a kind cost. Sound is quoted by the hour and billed by the second: the one product that is
    rounded, half a pico up."""
    product = count * price_pico
    return (2 * product + _HOUR_S) // (2 * _HOUR_S) if name == "audio_hour" else product


def _with_extras(
    usage: Usage, extras: Extras, tariff: Tariff, least_audio_s: int, origin: tuple[str, str, int]
) -> Cost:
    """As `cost_of` goes on, where more than text tokens were used. `origin`: version, tier, and bound exceeded."""
    counts = divided(usage, extras, least_audio_s)
    amounts = {name: amount_of(name, count, getattr(tariff, name)) for name, count in counts.items()}
    version, tier, above = origin
    return Cost(
        input=amounts["input"],
        cached_input=amounts["cached_input"],
        cache_write=amounts["cache_write"] + amounts["cache_write_long"],
        output=amounts["output"] + amounts["reasoning"] + amounts["citation"],
        media=sum(amounts[name] for name in _MEDIA_PARTS),
        services=sum(amounts[name] for name in _SERVICE_PARTS),
        request=amounts["request"],
        reasoning=amounts["reasoning"],
        version=version,
        tier=tier,
        above=above,
        is_estimated=usage.source == "estimated",
        is_complete=not extras.foreign_tokens
        and all(not counts[name] or name in tariff.priced for name in (*_SERVICE_PARTS, "audio_hour"))
        and _is_complete(
            tariff,
            usage.input_tokens
            - _priced(tariff.audio_input, counts["audio_input"] + counts["cached_audio"])
            - _priced(tariff.image_input, counts["image_input"] + counts["cached_image"])
            - _priced(tariff.video_input, counts["video_input"]),
            usage.output_tokens
            - _priced(tariff.audio_output, counts["audio_output"])
            - _priced(tariff.image_output, counts["image_output"])
            - _priced(tariff.video_output, counts["video_output"]),
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
        has_media: what goes in may be sound, images and video, too, not text alone.
        writes_long: it may be kept in a prompt cache for the longer time.
        hosted_runs: how often tools may run at the provider.
        asks_tier: they may name a tier that nothing else is served in.
    """

    input_tokens: int
    output_tokens: int
    calls: int = 1
    longest: int = -1
    has_media: bool = False
    writes_long: bool = False
    hosted_runs: int = 0
    asks_tier: bool = False


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
    for each in (one for one in deck.tiers if most.asks_tier or one not in ON_REQUEST) if not tier else (tier,):
        card = deck.card(each, at_us)
        for tariff in (card.base, *(step for bound, step in card.steps if longest > bound)):
            if not _is_complete(tariff, most.input_tokens, most.output_tokens):
                return None
            read = max(tariff.input, tariff.cached_input, tariff.cache_write)
            if most.writes_long:
                read = max(read, tariff.cache_write_long)
            if most.has_media:
                read = max(read, *(getattr(tariff, name) for name in _MEDIA_READ))
            # A model that has prices for more than text may answer with it, whatever it was sent.
            written = max(*(getattr(tariff, name) for name in _WRITTEN))
            run = max(tariff.web_search, tariff.file_search, tariff.container_run)
            total = read * most.input_tokens + written * most.output_tokens
            total += tariff.request * most.calls + run * most.hosted_runs
            found = max(found, total)
    return found
