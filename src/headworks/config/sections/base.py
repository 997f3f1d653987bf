"""What sections are made of: what a section is, and the types that several of them, and contracts, share."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from headworks import calls


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of the file: fields are known, unknown ones are errors."""


Seconds = Annotated[float, Meta(gt=0, le=86_400)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096, extra={"form": "path"})]
Cidr = Annotated[str, Meta(max_length=64, extra={"form": "network"})]
"""A network as `10.0.0.0/8` or `2001:db8::/32`, or one address."""

UpstreamModelName = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]
"""A model's name at its provider."""

TargetName = Annotated[
    str,
    Meta(pattern="^[^/]+/.+$", max_length=320, extra={"form": "model-name", "expected": "`provider/model`"}),
]
"""A model at a provider."""

Droppable = Annotated[
    tuple[Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z_]*(\.[A-Za-z][A-Za-z_]*)*$", max_length=80)], ...],
    Meta(max_length=64),
]
"""Names of fields of requests, as a dialect has them, with dots for what stands inside a field."""

Weight = Annotated[int, Meta(description="Share of the load, against the weights of the others.", ge=1, le=1000)]
MOST_TIER = 100
"""The last tier that pools and targets may be in."""

Priority = Annotated[int, Meta(ge=0, le=calls.PRIORITIES - 1)]
"""A class of calls: a lower one is served first."""

Region = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{1,15}$")]
"""Where data is processed: `eu`, `us`."""

Agreement = Literal["zero-retention", "business-associate", "no-training"]
"""What may be agreed with a provider about the data that it sees."""

Sensitivity = Literal["public", "internal", "confidential", "restricted"]
"""How harmful data is when it leaks, the least first."""
