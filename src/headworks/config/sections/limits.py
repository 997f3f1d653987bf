"""`limits` and `budget`, wherever they stand: how much may be asked for, and what may be spent."""

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta

from headworks import calls
from headworks.config.sections.base import Section

Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]


class Limits(calls.Limits, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much may be asked for. What is left out is not limited here."""

    requests_per_minute: Annotated[Count | None, Meta(description="Requests in a minute.")] = None
    tokens_per_minute: Annotated[Count | None, Meta(description="Tokens in a minute, input and output together.")] = (
        None
    )
    requests_per_day: Annotated[Count | None, Meta(description="Requests in 24 hours.")] = None
    tokens_per_day: Annotated[Count | None, Meta(description="Tokens in 24 hours, input and output together.")] = None
    input_tokens_per_minute: Annotated[
        Count | None,
        Meta(
            description="Tokens of input in a minute, without those that were read from a prompt cache, as Anthropic "
            "counts them."
        ),
    ] = None
    output_tokens_per_minute: Annotated[Count | None, Meta(description="Tokens of output in a minute.")] = None


Usd = Annotated[Decimal, Meta(extra={"form": "amount"}, extra_json_schema={"type": "number", "minimum": 0})]
"""Dollars, read exactly as they are written: never through a float."""


class Spending(Section, frozen=True):
    """How much money may be spent: what calls cost by the price table. A day and a month are those of the calendar, in
    UTC."""

    per_day: Annotated[Usd | None, Meta(description="Dollars in a day. Left out: no bound.")] = None
    per_month: Annotated[Usd | None, Meta(description="Dollars in a month. Left out: no bound.")] = None
    on_reach: Annotated[
        Literal["refuse", "tell"],
        Meta(
            description="`refuse`: a call that could exceed it is not made, so it never is exceeded. `tell`: calls go "
            "on, with a header that says so."
        ),
    ] = "refuse"
    alert_at: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1000)], ...],
        Meta(description="Percents of it at which `alerts` are sent.", max_length=10),
    ] = (80, 100)
