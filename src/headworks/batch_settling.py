"""What a batch or a fine-tuning job says of itself, and the record of what a batch has used. Pure.

A batch is charged once, when it is seen for the first time after its end, at the provider's batch price. The id of
that record follows from the batch's own, so that the store takes it once, whoever writes it how often.
"""

from hashlib import blake2b

import msgspec

from headworks.calls import ObjectNote, Opened, Settled, Usage
from headworks.catalogue import TargetPrice

SETTLED = "settled"
"""The label of a batch or a job that has ended and was seen to."""

TIER = "batch"
_ENDED = frozenset({"completed", "failed", "expired", "cancelled", "succeeded"})
"""States in which a batch, or a job, does nothing more (OpenAI API reference, 2026-11)."""


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _File(msgspec.Struct):
    id: str | None = None
    purpose: str | None = None


class _Counts(msgspec.Struct):
    total: int | None = None
    completed: int | None = None


class Seen(msgspec.Struct):
    """What any object of the API may say that matters here."""

    id: str | None = None
    status: str | None = None
    model: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    fine_tuned_model: str | None = None
    file: _File | None = None
    usage: _Usage | None = None
    request_counts: _Counts | None = None
    created_at: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether it is a batch or a job that does nothing more."""
        return self.status in _ENDED


_decode = msgspec.json.Decoder(Seen).decode


class _Named(msgspec.Struct):
    id: str


_decode_named = msgspec.json.Decoder(_Named).decode


def id_in(body: bytes) -> str:
    """The id of an object; "" where it has none."""
    try:
        return _decode_named(body).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def seen_in(body: bytes) -> Seen:
    """What an object says; nothing where it is not of the form that is known."""
    try:
        return _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Seen()


def usage_of(seen: Seen) -> Usage | None:
    """The tokens of a whole batch; None where the provider does not say them."""
    usage = seen.usage
    if usage is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    details, made = usage.input_tokens_details, usage.output_tokens_details
    return Usage(
        input_tokens=usage.input_tokens,
        cached_tokens=(details.cached_tokens if details is not None else None) or 0,
        output_tokens=usage.output_tokens,
        reasoning_tokens=(made.reasoning_tokens if made is not None else None) or 0,
        source="provider",
    )


def batch_record(note: ObjectNote, seen: Seen, price: TargetPrice, owner: str, now_us: int) -> Settled:
    """The record of what a batch that has ended has used. Its cost is not known where its usage or its batch price is
    not; one of which no request was completed is free."""
    began_us = int(seen.created_at * 1e6) if seen.created_at is not None else note.made_us
    model = seen.model or ""
    usage = usage_of(seen)
    cost_pico, version = -1, ""
    if usage is not None:
        cost = price.cost(usage, at_us=began_us, tier=TIER)
        if cost is not None and cost.is_complete and cost.tier == TIER:
            cost_pico, version = cost.total, cost.version
    counts = seen.request_counts
    if counts is not None and counts.completed == 0 and not (usage and usage.input_tokens):
        cost_pico = 0
    digest = blake2b(note.object_id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    opened = Opened(
        f"call_{max(0, note.made_us // 1000):011x}{digest}",
        began_us,
        "batches",
        model,
        note.key_id,
        owner,
        note.team,
        "",
        note.provider,
        model,
    )
    found = usage or Usage()
    return Settled(
        opened,
        "answered",
        200,
        max(0, now_us - began_us),
        finish_reason=f"batch_{seen.status}",
        served_model=model,
        input_tokens=found.input_tokens,
        cached_tokens=found.cached_tokens,
        output_tokens=found.output_tokens,
        reasoning_tokens=found.reasoning_tokens,
        usage_source=found.source,
        cost_pico=cost_pico,
        price_version=version,
        service_tier=TIER,
    )
