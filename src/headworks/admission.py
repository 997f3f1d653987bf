"""What a request says of itself before its body is read: route, caller, and what it allows of time and attempts.

It is worked out once for all requests over one connection that have the same head (`server/known_head.py`). Whether
there is room for a call is another matter: that is `admitting`.
"""

from collections.abc import Mapping

import msgspec

from headworks.access import Grant
from headworks.answering import JSON
from headworks.calls import Endpoint
from headworks.dialects import RequestHead
from headworks.endpoints import Route
from headworks.errors import Refusal
from headworks.exchange import Request, Timeouts
from headworks.settlement import OpenCall, Work

FORWARDED = (b"openai-beta", b"idempotency-key", b"x-client-request-id")
"""Headers of the caller that go upstream. Everything else stays here: an allow-list, so that no credential, cookie
or routing header of one side reaches the other."""

_FORWARDED_OF_MESSAGES = (b"anthropic-version", b"anthropic-beta", b"idempotency-key")
"""The same for callers of Anthropic's API."""

_EARLY_S = 0.2
_EARLY_SHARE = 0.05
"""So long before a client's own timeout it is answered: an error that it sees is better than none. Time limits are kept
to a tenth of a second (`wheel`)."""

DEADLINE = b"x-headworks-deadline-ms"
_READ_TIMEOUTS = (b"x-stainless-read-timeout", b"x-stainless-timeout")
"""In seconds: what the SDKs of OpenAI and Anthropic say of how long they wait (`_base_client.py`; `client.ts`). Of a
stream they mean each piece, so that only other calls are bound by it."""

_MOST_HINT = 86_400_000.0
_MOST_KEY_BYTES = 512
"""As long as a value of `metadata` may be (OpenAI API reference, 2026-10)."""

FALLBACK = b"x-headworks-fallback"
RETRIES = b"x-headworks-retries"
"""With these a caller says of one call that no other name is to be asked (`off`), and how many further attempts may be
made at a target of the one that it asks for; with 0 there is one attempt in all, beside those at other names."""

_MOST_RETRIES = 10


class KnownTimes:
    """The time limits of the last attempt that was planned for one admission: the next has nearly always the same.
    State: whose plan it was, and for what."""

    __slots__ = ("is_streamed", "limits", "planner", "timeouts")

    def __init__(self) -> None:
        self.planner: object | None = None
        self.limits: Timeouts | None = None
        self.is_streamed = False
        self.timeouts: Timeouts | None = None


class Admission(msgspec.Struct, frozen=True):
    """What the head of a request has settled. `forwarded` is the header block that goes upstream, `edition` the ring's
    at that time: while it is the same, the same head means the same admission. `caller_key` is the caller's own name
    for the call. `deadline_s` is how long the caller lets it take, `patience_s` how long its client waits for an answer
    that is not streamed. `times` is None where the caller says nothing of time. `may_fall_back` and `retries` are what
    the caller allows of further attempts, None where it says nothing. `cache_control` is what it says of answers that
    were given before. `peer` is who sent that head: a request that is taken for one like it comes over the same
    connection. `source` is the caller's address behind the proxies that are trusted, where the audit log wants it."""

    route: Route
    grant: Grant | None
    edition: object
    is_json: bool
    forwarded: bytes
    caller_key: str = ""
    deadline_s: float | None = None
    patience_s: float | None = None
    times: KnownTimes | None = None
    may_fall_back: bool = True
    retries: int | None = None
    cache_control: bytes = b""
    peer: str = ""
    source: str = ""

    @property
    def may_hop(self) -> bool:
        """Whether the caller lets others be asked that serve the same name: with no further attempts it does not."""
        return self.retries != 0

    def due_s(self, longest_s: float, *, is_streamed: bool) -> float:
        """Seconds that a call may take, of which configuration allows `longest_s`."""
        if self.deadline_s is not None:
            longest_s = min(longest_s, self.deadline_s)
        if self.patience_s is not None and not is_streamed:
            early_s = max(_EARLY_S, self.patience_s * _EARLY_SHARE)
            longest_s = min(longest_s, max(self.patience_s - early_s, self.patience_s / 2))
        return longest_s


def admission_of(request: Request, route: Route, grant: Grant | None, edition: object, source: str = "") -> Admission:
    """What is known of a request from its head alone.

    Raises:
        Refusal: 400 `invalid_header`: what is to be left out must not be done because it was not understood.
    """
    headers = request.headers
    content_type = headers.get(b"content-type", b"")
    names = _FORWARDED_OF_MESSAGES if route.endpoint is Endpoint.MESSAGES else FORWARDED
    forwarded = b"".join(b"%b: %b\r\n" % (name, headers[name]) for name in names if name in headers)
    key = headers.get(b"idempotency-key", b"")[:_MOST_KEY_BYTES].decode("utf-8", "replace")
    deadline_ms = _number(headers, DEADLINE)
    patience_s = next((found for name in _READ_TIMEOUTS if (found := _number(headers, name)) is not None), None)
    return Admission(
        route,
        grant,
        edition,
        not content_type or _is_json(content_type),
        forwarded,
        key,
        None if deadline_ms is None else deadline_ms / 1000,
        patience_s,
        None if deadline_ms is None and patience_s is None else KnownTimes(),
        _may_fall_back(headers),
        _retries(headers),
        headers.get(b"cache-control", b""),
        request.peer,
        source,
    )


def _may_fall_back(headers: Mapping[bytes, bytes]) -> bool:
    said = headers.get(FALLBACK)
    if said is None:
        return True
    wish = said.strip().lower()
    if wish not in (b"on", b"off"):
        raise _unreadable(FALLBACK, "`off` or `on`")
    return wish == b"on"


def _retries(headers: Mapping[bytes, bytes]) -> int | None:
    said = headers.get(RETRIES)
    if said is None:
        return None
    wish = said.strip()
    if not wish.isdigit() or len(wish) > len(str(_MOST_RETRIES)) or int(wish) > _MOST_RETRIES:
        raise _unreadable(RETRIES, f"a whole number from 0 to {_MOST_RETRIES}")
    return int(wish)


def _unreadable(name: bytes, expected: str) -> Refusal:
    header = name.decode("ascii")
    return Refusal(400, "invalid_header", f"The header `{header}` must be {expected}.", param=header)


def _number(headers: Mapping[bytes, bytes], name: bytes) -> float | None:
    """A positive number; None where there is none, whatever there is instead: a hint that cannot be read is none."""
    try:
        found = float(headers[name])
    except (KeyError, ValueError):
        return None
    return found if 0 < found < _MOST_HINT else None


def metadata_of(head: RequestHead) -> dict[str, str]:
    """What the caller says of the call in `metadata`; nothing where that is not readable: the provider judges it."""
    return metadata_in(head.fields)


def metadata_in(fields: Mapping[str, msgspec.Raw]) -> dict[str, str]:
    """The same, of the fields of a body."""
    raw = fields.get("metadata")
    try:
        found = None if raw is None else msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def note_keys(call: OpenCall, head: RequestHead, admission: Admission) -> dict[str, str]:
    """Put the caller's own key and trace into the record, by which outcomes find the call; returns the metadata."""
    metadata = metadata_of(head)
    key = metadata.get("headworks_key", "") or admission.caller_key
    trace = metadata.get("trace_id", "")
    if key or trace:
        call.work = call.work or Work()
        call.work.caller_key, call.work.trace_id = key[:_MOST_KEY_BYTES], trace[:_MOST_KEY_BYTES]
    return metadata


def _is_json(content_type: bytes) -> bool:
    kind = content_type.split(b";", 1)[0].strip().lower()
    return kind == JSON or kind.endswith(b"+json")
