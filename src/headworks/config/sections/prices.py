"""The section `prices`: what calls cost, where that differs from the list prices."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, field

from headworks.config.sections.base import Section, TargetName
from headworks.config.sections.limits import Usd

Factor = Annotated[Decimal, Meta(extra={"form": "amount"}, extra_json_schema={"type": "number", "minimum": 0})]

Speed = Annotated[
    Decimal, Meta(extra={"form": "positive-amount"}, extra_json_schema={"type": "number", "exclusiveMinimum": 0})
]


class SelfHosted(Section, frozen=True):
    """Machines of your own, whose hours are turned into prices of tokens."""

    gpu_hour: Annotated[Usd, Meta(description="Dollars for one GPU in one hour, everything included.")]
    output_tokens_per_s: Annotated[
        Speed, Meta(description="Tokens that the machine writes in a second, all requests together, under full load.")
    ]
    input_tokens_per_s: Annotated[
        Speed | None,
        Meta(
            description="Tokens that it reads in a second, under full load. Left out: output carries all of the cost."
        ),
    ] = None
    gpus: Annotated[int, Meta(description="How many GPUs the machine has.", ge=1, le=100_000)] = 1
    busy_percent: Annotated[
        Decimal,
        Meta(
            description="Share of the paid hours in which it works; the tokens pay for the rest, too.",
            extra={"form": "percent"},
            extra_json_schema={"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        ),
    ] = Decimal(100)


class ProviderPrices(Section, frozen=True):
    """How the prices of one provider differ from the list prices."""

    catalogue: Annotated[
        str | None,
        Meta(
            description="The catalogue's provider whose list prices hold; `headworks models providers` lists them. "
            "Left out: the one whose API is at `base_url`, OpenAI's for the simulator."
        ),
    ] = None
    discount_percent: Annotated[
        Decimal,
        Meta(
            description="Comes off every list price. Negative: a surcharge, as for processing in a region.",
            extra={"form": "discount"},
            extra_json_schema={"type": "number", "minimum": -1000, "maximum": 100},
        ),
    ] = Decimal(0)
    self_hosted: Annotated[
        SelfHosted | None, Meta(description="Its models run on machines of your own: no list prices hold.")
    ] = None
    container_run: Annotated[
        Usd | None,
        Meta(
            description="Dollars for each run of code in a container at this provider (code interpreter, shell, code "
            "execution), as you reckon it: providers bill the container's time, which no answer tells. 0 for what is "
            "free to you. Left out: such calls have no known cost."
        ),
    ] = None


class LongContext(Section, frozen=True):
    """Higher prices of the whole call when its input is long."""

    above: Annotated[int, Meta(description="Tokens of input that a call may have at the lower prices.", ge=1)]
    input_factor: Annotated[Factor, Meta(description="Factor on all prices of input.")] = Decimal(1)
    output_factor: Annotated[Factor, Meta(description="Factor on all prices of output.")] = Decimal(1)


class OwnPrices(Section, frozen=True):
    """A contract's prices of one model, in dollars per million tokens: complete, without list price or discount."""

    input: Annotated[Usd, Meta(description="Input.")]
    output: Annotated[Usd, Meta(description="Output, reasoning included.")]
    cached_input: Annotated[Usd | None, Meta(description="Input read from the prompt cache. Left out: as input.")] = (
        None
    )
    cache_write: Annotated[Usd | None, Meta(description="Input written to the prompt cache. Left out: as input.")] = (
        None
    )
    cache_write_long: Annotated[
        Usd | None,
        Meta(description="The same, with the longer time to live (1 hour, 12 hours). Left out: as `cache_write`."),
    ] = None
    reasoning: Annotated[Usd | None, Meta(description="Reasoning. Left out: as output.")] = None
    audio_input: Annotated[Usd | None, Meta(description="Audio in. Left out: as input.")] = None
    audio_output: Annotated[Usd | None, Meta(description="Audio out. Left out: as output.")] = None
    image_input: Annotated[Usd | None, Meta(description="Images in. Left out: as input.")] = None
    image_output: Annotated[Usd | None, Meta(description="Images out. Left out: as output.")] = None
    request: Annotated[Usd | None, Meta(description="Dollars for each request as such.")] = None
    web_search: Annotated[
        Usd | None, Meta(description="Dollars for each web search. Left out: calls that search have no known cost.")
    ] = None
    file_search: Annotated[Usd | None, Meta(description="The same for searches of files at the provider.")] = None
    audio_hour: Annotated[
        Usd | None, Meta(description="Dollars for an hour of sound, of models that are billed by time.")
    ] = None
    training: Annotated[
        Usd | None,
        Meta(description="Tokens of a fine-tuning job, in each pass over them. Left out: what jobs cost is not known."),
    ] = None
    batch_factor: Annotated[Factor | None, Meta(description="Factor on all prices for batch jobs. Left out: 1.")] = None
    flex_factor: Annotated[Factor | None, Meta(description="The same for the tier `flex`.")] = None
    priority_factor: Annotated[Factor | None, Meta(description="The same for the tier `priority`.")] = None
    long_context: Annotated[LongContext | None, Meta(description="Higher prices of long input.")] = None
    source: Annotated[str, Meta(description="Where the prices are from: a contract, an offer.", max_length=200)] = ""


PublicKey = Annotated[str, Meta(extra={"form": "public-key"})]


class Pricing(Section, frozen=True):
    """What calls cost here, where that differs from the catalogue's list prices, and who may renew the catalogue."""

    providers: Annotated[
        dict[str, ProviderPrices], Meta(description="By name of the provider: discounts, machines of your own.")
    ] = field(default_factory=dict)
    models: Annotated[
        dict[TargetName, OwnPrices], Meta(description="By `provider/model`: a contract's own prices.")
    ] = field(default_factory=dict)
    update_url: Annotated[
        str | None,
        Meta(
            description="Where `headworks models update` finds a newer catalogue; its signature is there with `.sig`.",
            extra={"form": "base-url"},
        ),
    ] = None
    update_keys: Annotated[
        tuple[PublicKey, ...],
        Meta(description="Who may sign a newer catalogue: Ed25519 public keys in base64."),
    ] = ()
