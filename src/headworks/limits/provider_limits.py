"""What a provider says of its limits, as values."""

import msgspec


class KindLimit(msgspec.Struct, frozen=True):
    """What a provider said of one kind of units; None where it said nothing.

    Attributes:
        limit: units in a window.
        remaining: units that are left.
        reset_s: seconds until there is the whole limit again.
    """

    limit: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


NOTHING_SAID = KindLimit()


class ProviderLimits(msgspec.Struct, frozen=True):
    """What one answer's headers say of limits. `tokens` is of all tokens; Anthropic's input and output are apart.

    `retry_after_s`: seconds after which to try again, as exact as the provider was.
    """

    requests: KindLimit = NOTHING_SAID
    tokens: KindLimit = NOTHING_SAID
    input_tokens: KindLimit = NOTHING_SAID
    output_tokens: KindLimit = NOTHING_SAID
    retry_after_s: float | None = None


NO_LIMITS = ProviderLimits()
