"""What an entry says, before it is sealed and after it was opened. Pure.

Calls, reports and events are all one kind of value, so that they are searched and exported alike.
"""

from datetime import UTC, datetime
from functools import lru_cache

import msgspec


class Content(msgspec.Struct, frozen=True, omit_defaults=True):
    """A commitment to what was kept of a call's content: SHA-256 of the salt and the bytes, in hexadecimal.

    Whoever has the bytes and this can show that they are those of the call. When the entry's key is destroyed the salt
    is gone with it, and nobody can even try whether some text was it.
    """

    salt: str
    request: str = ""
    response: str = ""
    values: str = ""


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is sealed of an entry; what is empty is not there.

    Attributes:
        who: the key's id, or the operator's user name.
        owner, team: that the key was made with.
        user: whom the application calls for, as it says.
        source: from where: an address, or a terminal.
        target: what it was done to: a model, a key, a workload.
        detail: names and figures, never a prompt or a secret.
        content: of a call whose content was kept.
    """

    who: str = ""
    owner: str = ""
    team: str = ""
    user: str = ""
    source: str = ""
    target: str = ""
    workload: str = ""
    prompt_version: str = ""
    status: int = 0
    error_code: str = ""
    detail: dict[str, str | int] = {}
    content: Content | None = None


class CallFigures(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The `detail` of a call's body."""

    endpoint: str
    provider: str = ""
    model: str = ""
    served_model: str = ""
    attempts: int = 0
    verdict: str = ""
    course: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cost_pico: int = 0
    prompt_hash: str = ""
    caller_key: str = ""
    trace_id: str = ""


class CallBody(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A `Body` of a call, as it is made and encoded: field by field the same, and read back as such."""

    who: str = ""
    owner: str = ""
    team: str = ""
    user: str = ""
    source: str = ""
    target: str = ""
    workload: str = ""
    prompt_version: str = ""
    status: int = 0
    error_code: str = ""
    detail: CallFigures | None = None
    content: Content | None = None


class AuditEntry(msgspec.Struct, frozen=True):
    """One entry, opened. `body` is None where its key was destroyed: erased, or its time was over.

    `number` counts from 0, `at_us` is in microseconds since the Unix epoch. `what` is `call`, `outcome`, or an event's
    name (`key.created`, ...). `segment` and `line` say where it lies, `log` on which machine, where several are shown.
    """

    number: int
    at_us: int
    entry_id: str
    what: str
    outcome: str
    body: Body | None
    segment: int
    line: int
    log: str = ""


class NewEntry(msgspec.Struct, frozen=True):
    """An entry that is still to be sealed, with the person and the workload under whose key."""

    at_us: int
    entry_id: str
    what: str
    outcome: str
    body: Body | CallBody


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Body).decode


def encode_body(body: Body | CallBody) -> bytes:
    """A body as it is sealed."""
    return _encode(body)


def decode_body(data: bytes) -> Body:
    """A body that was opened."""
    return _decode(data)


def month_of(at_us: int) -> str:
    """The month of a moment, in UTC: keys are per month, so that what is old can go without what is new."""
    return _month_of_day(at_us // 86_400_000_000)


@lru_cache(maxsize=64)
def _month_of_day(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m")
