"""What a request for a Realtime session says, and what is not served because it would lead around this gateway."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from headworks.errors import Refusal
from headworks.exchange import Request

if TYPE_CHECKING:
    from headworks.websocket import Offer

_KEY_PROTOCOL = "openai-insecure-api-key."
"""Browsers can send no header with a WebSocket, so the API takes a key as the name of a subprotocol (OpenAI, "Realtime
API with WebSocket", 2026-11)."""

_PROTOCOL = "realtime"
_BETA_PROTOCOL = "openai-beta.realtime-v1"
_MOST_PROTOCOL_BYTES = 8192


class SessionAsk(msgspec.Struct, frozen=True):
    """What is asked for.

    Attributes:
        protocol: the subprotocol that is agreed on; "" for none. Never the one that is a key.
        is_beta: the events of the API's first version are asked for.
    """

    model: str
    offer: "Offer"
    protocol: str
    is_beta: bool


def key_in_protocols(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The key that a browser sends as a subprotocol, as a header would have it."""
    offered = headers.get(b"sec-websocket-protocol")
    if offered is None or len(offered) > _MOST_PROTOCOL_BYTES:
        return None
    for one in offered.split(b","):
        name = one.strip(b" \t")
        if name.startswith(_KEY_PROTOCOL.encode()):
            return b"Bearer " + name[len(_KEY_PROTOCOL) :]
    return None


def read_ask(request: Request, *, is_known: bool) -> SessionAsk:
    """Read a request for a session.

    Arguments:
        is_known: the caller has shown a key that is its own.

    Raises:
        Refusal: 426 where it is no WebSocket; 403 where it comes from a page of another site; 400 for what else is
            wrong.
    """
    if request.upgrade is None:
        raise Refusal(
            426,
            "upgrade_required",
            "Realtime sessions are held over a WebSocket: connect to this address with one.",
            headers=(("upgrade", "websocket"),),
        )
    if not is_known:
        _check_origin(request.headers)
    from headworks.websocket import read_offer  # only who has sessions loads it

    offer = read_offer(request.headers)
    return SessionAsk(
        _model_in(request.query),
        offer,
        _PROTOCOL if _PROTOCOL in offer.protocols else "",
        _BETA_PROTOCOL in offer.protocols,
    )


def unmetered() -> Refusal:
    """Of what hands a caller something with which it talks to the provider by itself."""
    return Refusal(
        403,
        "unmetered_session",
        "This would have your client talk to the provider directly, where no limit, budget or record of this gateway "
        "holds. Open the session through this gateway: connect a WebSocket to /v1/realtime?model=... with your key "
        "(the OpenAI SDKs' `realtime.connect`). WebRTC, SIP calls and translation sessions are not served.",
        kind="permission_error",
    )


def _check_origin(headers: Mapping[bytes, bytes]) -> None:
    """Any page may open a WebSocket to any address, also to one that only its reader's machine can reach. Whoever shows
    a key means to; where none is needed, the page must be this gateway's own (RFC 6455 §10.2)."""
    origin = headers.get(b"origin")
    if origin is None:
        return
    _, _, authority = origin.strip().lower().partition(b"://")
    if authority != headers.get(b"host", b"").strip().lower():
        raise Refusal(
            403,
            "origin_not_allowed",
            "A page of another site may not open a session here without a key.",
            kind="permission_error",
        )


def _model_in(query: str) -> str:
    given = parse_qsl(query, keep_blank_values=True, max_num_fields=32)
    for name, _ in given:
        if name != "model":
            what = f"`{name}`" if name.isidentifier() and len(name) <= 64 else "a parameter"
            raise Refusal(
                400,
                "unsupported_parameter",
                f"The session's address has {what}, which this gateway cannot honour; `model` is all that it takes. "
                "Calls (`call_id`) and transcription sessions (`intent`) are not served.",
                param=name if name.isidentifier() else None,
            )
    if len(given) != 1 or not given[0][1]:
        raise Refusal(400, "missing_required_parameter", "A session needs one `model` in its address.", param="model")
    return given[0][1]
