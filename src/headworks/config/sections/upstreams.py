"""What a provider is reached with: connections, time limits, several keys and servers, probes.

`Defaults` is the section `defaults`, which providers inherit from.
"""

from typing import Annotated

from msgspec import Meta, field

from headworks import exchange
from headworks.config.managers import SecretReference
from headworks.config.sections.base import MOST_TIER, Seconds, Section, UpstreamModelName, Weight
from headworks.config.sections.limits import Limits


class Connections(Section, frozen=True):
    """The pool of connections to one upstream, in each worker."""

    limit: Annotated[int, Meta(description="Most connections.", ge=1, le=100_000)] = 256
    idle_s: Annotated[Seconds, Meta(description="Seconds after which an idle connection is closed.")] = 30.0
    max_age_s: Annotated[
        Seconds, Meta(description="Seconds after which a connection is replaced, so that DNS changes are followed.")
    ] = 300.0
    waiting: Annotated[
        int, Meta(description="Most calls that wait for a connection; further ones fail at once.", ge=0, le=1_000_000)
    ] = 1024


class Timeouts(exchange.Timeouts, frozen=True, forbid_unknown_fields=True):
    """The time limits of one attempt at an upstream. A provider inherits those that it leaves out."""

    connect_s: Annotated[Seconds, Meta(description="Seconds to connect, TLS and proxy included.")] = 5.0
    first_byte_s: Annotated[
        Seconds, Meta(description="Seconds from the request's last byte to the head of the answer.")
    ] = 120.0
    between_bytes_s: Annotated[Seconds, Meta(description="Seconds between two pieces of the answer.")] = 60.0
    total_s: Annotated[Seconds, Meta(description="Seconds for the whole attempt.")] = 600.0


class Defaults(Section, frozen=True):
    """What providers inherit where they say nothing."""

    timeouts: Annotated[Timeouts, Meta(description="Time limits of one attempt.")] = Timeouts()
    deadline_s: Annotated[
        Seconds,
        Meta(
            description="Seconds for a whole call, all attempts included, where neither caller nor contract say less."
        ),
    ] = 600.0
    retries: Annotated[
        int, Meta(description="Further attempts at one target, where its failure is one that passes.", ge=0, le=10)
    ] = 2


UsageTier = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9][a-z0-9-]{0,30}$",
        extra={"expected": "a tier's name of lower-case letters, digits and `-`, in quotes if it is a number"},
    ),
]


class ProviderPool(Section, frozen=True):
    """One of several projects or keys of a provider. What it leaves out is the provider's."""

    api_key: Annotated[SecretReference | None, Meta(description="The key of this project, as a reference.")] = None
    older_api_keys: Annotated[
        tuple[SecretReference, ...],
        Meta(description="Further keys of it, the newest first: used where `api_key` is refused."),
    ] = ()
    organization: Annotated[
        str | None, Meta(description="Sent as `OpenAI-Organization`.", extra={"form": "header-value"})
    ] = None
    project: Annotated[str | None, Meta(description="Sent as `OpenAI-Project`.", extra={"form": "header-value"})] = None
    base_url: Annotated[
        str,
        Meta(
            description="Where this server is, where it is another than the provider's: several servers of one's own "
            "are pools, too. Left out: the provider's.",
            extra={"form": "base-url"},
        ),
    ] = ""
    weight: Weight = 1
    tier: Annotated[
        int,
        Meta(description="Pools of a higher tier are used only while none of a lower one can.", ge=0, le=MOST_TIER),
    ] = 0
    limits: Annotated[
        Limits | None, Meta(description="What this project may ask of each model. Left out: the provider's.")
    ] = None
    model_limits: Annotated[
        dict[UpstreamModelName, Limits], Meta(description="The same for models whose limits are others, by name.")
    ] = field(default_factory=dict)
    usage_tier: Annotated[
        UsageTier | None, Meta(description="The usage tier of this project's account. Left out: the provider's.")
    ] = None


class Probe(Section, frozen=True):
    """A small request that finds out whether a target whose circuit breaker is open is well again."""

    path: Annotated[
        str,
        Meta(
            description="Path below `base_url` that is asked for with GET, with the provider's key. An answer of 2xx "
            "says that it is well; one of 5xx, or none, that it is not; anything else says nothing.",
            pattern=r"^/[\x21-\x7e]*$",
            max_length=256,
            extra={"expected": "a path that begins with `/`, without white space"},
        ),
    ] = "/models"
    every_s: Annotated[
        float, Meta(description="Seconds from one probe to the next, all workers of a machine together.", ge=1, le=3600)
    ] = 10.0
    timeout_s: Annotated[float, Meta(description="Seconds that it may take in all.", ge=0.1, le=60)] = 5.0
