"""A settled call as the values of a record: what every engine writes."""

import msgspec

from headworks.calls import Opened, Settled
from headworks.records.stores import PREFIX_DAYS, Record

COLUMNS = Record.__struct_fields__[1:]
"""The columns of a record that `row_of` has values for: all but `seq`, which the store gives."""

_MOST = 10**15
"""No count in a record is larger. What a provider states is not to be trusted: sums must stay below 2^63.
Of a cost it is $1,000."""

_MOST_TIER = 64
"""Most characters of a tier: it is the provider's word, and known ones have ten."""


Row = tuple[str | int | None, ...]
"""The values of `COLUMNS`; None is a cost that is not known."""


def row_of(call: Settled, cached: tuple[int, int] | None = None) -> Row:
    """The values of `COLUMNS`, numbers within bounds.

    Arguments:
        cached: where the answer was an earlier call's: what that cost (-1: not known), and the answer's age in seconds.
    """
    opened = call.opened
    saved_pico, age_s = (-1, None) if cached is None else cached
    return (
        opened.call_id,
        _bounded(opened.opened_us, 2**62),
        call.outcome,
        _bounded(call.status, 999),
        call.error_code,
        opened.endpoint,
        opened.requested_model,
        opened.provider,
        opened.model,
        call.served_model,
        opened.key_id,
        opened.owner,
        opened.team,
        opened.user,
        opened.is_streamed,
        _bounded(call.total_us),
        _bounded(call.first_token_us),
        _bounded(call.input_tokens),
        _bounded(call.cached_tokens),
        _bounded(call.cache_write_tokens),
        _bounded(call.output_tokens),
        _bounded(call.reasoning_tokens),
        call.usage_source,
        _bounded(call.attempts),
        call.finish_reason,
        call.response_id,
        call.upstream_request_id,
        _bounded(opened.request_bytes),
        _bounded(call.response_bytes),
        call.workload,
        call.prompt_version,
        call.prompt_hash,
        call.schema_hash,
        call.verdict,
        _bounded(call.repairs),
        _bounded(call.wasted_tokens),
        call.caller_key,
        call.trace_id,
        call.course,
        # A cost that cannot be right is not known: cut to the bound, it would be a false one.
        call.cost_pico if 0 <= call.cost_pico <= _MOST else None,
        call.price_version,
        call.service_tier[:_MOST_TIER],
        None if age_s is None else _bounded(age_s),
        saved_pico if 0 <= saved_pico <= _MOST else None,
        "" if call.extras is None else _encode_json(call.extras).decode(),
    )


def prefix_expires_us(opened_us: int) -> int:
    """Until when a call's fingerprint is kept."""
    return _bounded(opened_us, 2**62) + PREFIX_DAYS * 86_400_000_000


_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


def kept_opened(opened: Opened) -> bytes:
    """A call under way as a store keeps it until it is settled: without its address, which the audit log alone has."""
    return _encode(msgspec.structs.replace(opened, source="") if opened.source else opened)


def lost(opened: Opened) -> Settled:
    """What becomes of a call whose process died."""
    return Settled(opened, "lost", 0, 0, error_code="lost", workload=opened.workload)


def _bounded(value: int, most: int = _MOST) -> int:
    return value if 0 <= value <= most else max(0, min(value, most))
