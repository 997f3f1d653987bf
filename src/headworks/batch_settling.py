"""What a batch or a fine-tuning job says of itself, and the record of what a batch has used. Pure.

A batch is charged once, when it is seen for the first time after its end, at the provider's batch price; a fine-tuning
job by the tokens that it was trained with. The id of that record follows from the object's own, so that the store takes
it once, whoever writes it how often.
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


_WITH_TOOLS = frozenset({"/v1/responses", "/v1/chat/completions"})
"""What tools of the provider may run for (OpenAI API reference, 2026-11)."""


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
    endpoint: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    fine_tuned_model: str | None = None
    file: _File | None = None
    usage: _Usage | None = None
    request_counts: _Counts | None = None
    created_at: float | None = None
    trained_tokens: int | None = None

    @property
    def came_to_nothing(self) -> bool:
        """Whether no request of a batch was completed."""
        return self.request_counts is not None and self.request_counts.completed == 0

    @property
    def draws(self) -> bool:
        """Whether it is a batch of images, whose tokens have several prices."""
        return self.endpoint is not None and self.endpoint.startswith("/v1/images/")

    @property
    def may_have_run_tools(self) -> bool:
        """Whether it is a batch of calls for which a provider runs tools: what they cost, the batch does not say."""
        return self.endpoint in _WITH_TOOLS

    @property
    def has_ended(self) -> bool:
        """Whether it is a batch or a job that does nothing more."""
        return self.status in _ENDED


class OutputUse(msgspec.Struct, frozen=True):
    """What all lines came to.

    Attributes:
        usage: the tokens of all of them.
        cost_pico: what they cost, in pico-dollars, each by itself; -1 where that of one is not known.
    """

    usage: Usage
    cost_pico: int


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


def made_us(note: ObjectNote, seen: Seen) -> int:
    """When it was made, in microseconds since the Unix epoch."""
    return int(seen.created_at * 1e6) if seen.created_at is not None else note.made_us


def has_own_steps(price: TargetPrice, usage: Usage, at_us: int) -> bool:
    """Whether the calls of a batch may have several prices, by how long each of them was, so that their sum does not
    say what they cost."""
    step = price.first_step(at_us=at_us, tier=TIER)
    return step is not None and usage.input_tokens > step


def batch_record(
    note: ObjectNote, seen: Seen, price: TargetPrice, owner: str, now_us: int, *, use: OutputUse | None = None
) -> Settled:
    """The record of what a batch that has ended has used. Its cost is not known where its usage or its batch price is
    not; one of which no request was completed is free.

    Arguments:
        use: what the lines of its output came to, where that was asked for.
    """
    usage = usage_of(seen) if use is None else use.usage
    cost_pico, version = -1, ""
    if use is not None:
        cost_pico, version = use.cost_pico, price.version if use.cost_pico >= 0 else ""
    elif usage is not None:
        cost = price.cost(usage, at_us=made_us(note, seen), tier=TIER)
        if cost is not None and cost.is_complete and cost.tier == TIER:
            cost_pico, version = cost.total, cost.version
    if seen.came_to_nothing and not (usage and usage.input_tokens):
        cost_pico = 0
    return _record(note, seen, "batches", owner, now_us, (usage or Usage(), cost_pico, version, TIER))


def job_record(note: ObjectNote, seen: Seen, price: TargetPrice, owner: str, now_us: int) -> Settled:
    """The record of what a fine-tuning job that has ended has cost: the tokens that it was trained with, times their
    price. One that has failed before it began is free; the tokens are no call's, and stand in no usage."""
    tokens = seen.trained_tokens
    if tokens is None and seen.status == "failed":
        tokens = 0
    cost = None if tokens is None else price.training(tokens, at_us=made_us(note, seen))
    version = "" if cost is None else price.version
    return _record(note, seen, "fine_tuning", owner, now_us, (Usage(), -1 if cost is None else cost, version, ""))


def _record(
    note: ObjectNote, seen: Seen, endpoint: str, owner: str, now_us: int, came_to: tuple[Usage, int, str, str]
) -> Settled:
    """`came_to`: the usage, the cost, the price table's version, the tier."""
    usage, cost_pico, version, tier = came_to
    began_us, model = made_us(note, seen), seen.model or ""
    digest = blake2b(note.object_id.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    opened = Opened(
        f"call_{max(0, note.made_us // 1000):011x}{digest}",
        began_us,
        endpoint,
        model,
        note.key_id,
        owner,
        note.team,
        "",
        note.provider,
        model,
    )
    name = "batch" if endpoint == "batches" else "job"
    return Settled(
        opened,
        "answered",
        200,
        max(0, now_us - began_us),
        finish_reason=f"{name}_{seen.status}",
        served_model=model,
        input_tokens=usage.input_tokens,
        cached_tokens=usage.cached_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        usage_source=usage.source,
        cost_pico=cost_pico,
        price_version=version,
        service_tier=tier,
        extras=usage.extras,
    )
