"""From limits as configured to the quotas that they mean."""

from collections.abc import Mapping

import msgspec

from headworks.calls import Limits, Team
from headworks.limits import Quota

MINUTE_S = 60.0
DAY_S = 86_400.0


class Quotas(msgspec.Struct, frozen=True):
    """Quotas, by what they count."""

    requests: tuple[Quota, ...] = ()
    tokens: tuple[Quota, ...] = ()
    inputs: tuple[Quota, ...] = ()
    outputs: tuple[Quota, ...] = ()


def quotas_of(name: str, limits: Limits) -> Quotas:
    """The quotas that these limits mean. `name` is the same on every machine."""

    def made(*wanted: tuple[str, int | None, float]) -> tuple[Quota, ...]:
        return tuple(
            Quota(f"{name}/{kind}", amount, window_s) for kind, amount, window_s in wanted if amount is not None
        )

    return Quotas(
        made(("rpm", limits.requests_per_minute, MINUTE_S), ("rpd", limits.requests_per_day, DAY_S)),
        made(("tpm", limits.tokens_per_minute, MINUTE_S), ("tpd", limits.tokens_per_day, DAY_S)),
        made(("itpm", limits.input_tokens_per_minute, MINUTE_S)),
        made(("otpm", limits.output_tokens_per_minute, MINUTE_S)),
    )


def limits_of(teams: Mapping[str, Team]) -> dict[str, Limits]:
    """Of those teams that have any."""
    limits = {name: team.limits for name, team in teams.items()}
    return {name: of for name, of in limits.items() if any(each is not None for each in msgspec.structs.astuple(of))}


def has_token_limits(limits: Limits) -> bool:
    """Whether tokens are limited at all."""
    return limits.tokens_per_minute is not None or limits.tokens_per_day is not None or splits_tokens(limits)


def splits_tokens(limits: Limits) -> bool:
    """Whether input and output are limited apart."""
    return limits.input_tokens_per_minute is not None or limits.output_tokens_per_minute is not None


def count_tokens(teams: Mapping[str, Limits]) -> bool:
    """Whether those of any team are."""
    return any(map(has_token_limits, teams.values()))
