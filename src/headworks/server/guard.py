"""What httptools leaves to its caller: the checks without which a request can be read in two ways.

httptools (llhttp) refuses conflicting lengths, bare line feeds, folded headers and control bytes. It accepts
a missing or a second Host, a Host with a path in it, `Transfer-Encoding: identity, chunked`, chunked bodies on
HTTP/1.0, absolute-form targets and any number of headers of any size. Each function here closes one of these and
raises `Refusal`; what passes has one meaning.

Sources: RFC 9112 §3.2 (Host, request target), §6.1 (Transfer-Encoding), §6.3 (message length); RFC 3986 §3.2
(authority), §5.2.4 (dot segments).
"""

import re
from urllib.parse import unquote_to_bytes

from headworks.errors import Refusal

_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
"""`uri-host [":" port]` without percent-encoding: registered names, IPv4 and bracketed IPv6."""

_PLAIN_PATH = re.compile(rb"/[A-Za-z0-9._~:@!$&'()*+,;=/-]*")
_DOT_SEGMENT = re.compile(rb"(?:^|/)\.{1,2}(?:/|$)")
_TARGET_BYTES = re.compile(rb"[\x21-\x7e]+")


def malformed(message: str, *, code: str = "malformed_http", status: int = 400) -> Refusal:
    """The refusal of a request that is not acceptable HTTP."""
    return Refusal(status, code, message)


def check_framing(headers: dict[bytes, bytes], version: str) -> bool:
    """HTTP/1.0 or 1.1; exactly one valid Host; Transfer-Encoding absent or `chunked`, and only on 1.1; no upgrade but
    to WebSocket, and without a body. Returns whether there is one.

    Duplicates have been refused before (`ONCE`), so a header here has one value.
    """
    if version not in ("1.0", "1.1"):
        raise malformed("The HTTP version is neither 1.0 nor 1.1.", status=505)
    host = headers.get(b"host")
    if host is None:
        if version != "1.0":
            raise malformed("The request has no Host header.")
    elif _HOST.fullmatch(host.strip()) is None:  # the parser leaves trailing white space
        raise malformed("The Host header is not a host name with an optional port.")
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        if version == "1.0":
            raise malformed("Transfer-Encoding needs HTTP/1.1.")
        if coding.strip().lower() != b"chunked":
            raise malformed("The only Transfer-Encoding accepted here is chunked.", status=501)
        if b"content-length" in headers:
            raise malformed("A request has Content-Length or Transfer-Encoding, not both.")
    if b"upgrade" not in headers:
        return False
    _check_upgrade(headers, version)
    return True


def _check_upgrade(headers: dict[bytes, bytes], version: str) -> None:
    """To WebSocket, said in both of its headers (RFC 6455 §4.1), where no body could be taken for its first bytes."""
    tokens = {token.strip().lower() for token in headers.get(b"connection", b"").split(b",")}
    if headers[b"upgrade"].strip().lower() != b"websocket" or b"upgrade" not in tokens or version == "1.0":
        raise malformed("The only protocol upgrade that is served here is one to WebSocket; remove the Upgrade header.")
    if b"transfer-encoding" in headers or headers.get(b"content-length", b"0").strip() != b"0":
        raise malformed("A request for a protocol upgrade has no body.")


def check_coding(headers: dict[bytes, bytes]) -> None:
    """The body is as it stands: nothing here unpacks one (RFC 9110 §8.4, §15.5.16)."""
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() not in (b"", b"identity"):
        raise Refusal(
            415,
            "unsupported_content_encoding",
            "A request's body is taken uncompressed only; send it without Content-Encoding.",
            headers=(("accept-encoding", "identity"),),
        )


ONCE = frozenset(
    {
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"authorization",
        b"x-api-key",
        b"x-goog-api-key",
        b"content-type",
        b"expect",
        b"upgrade",
        b"sec-websocket-key",
        b"sec-websocket-version",
    }
)
"""Headers that decide something: a second one is refused, for the one that a proxy read may not be ours."""


REFUSED_METHODS = frozenset({"CONNECT", "TRACE"})
"""Methods that are about connections, not resources (RFC 9110 §9.3.6, §9.3.8): no application sees them."""


def split_target(target: bytes, slashes_below: tuple[bytes, ...] = ()) -> tuple[str, str]:
    """The decoded path and the raw query of an origin-form request target.

    Encoded slashes, control bytes, backslashes, dot segments and empty segments are refused rather than
    normalised: the path that is routed is the path that is authorised, and no proxy in front can read it otherwise.
    Below the paths in `slashes_below`, which end in a slash, an encoded slash is a slash: there stands one name.
    """
    if not target.startswith(b"/"):
        raise malformed("The request target must be a path that begins with a slash.")
    if _TARGET_BYTES.fullmatch(target) is None or b"#" in target:
        raise malformed("The request target holds characters that a URL may not hold.")
    raw, _, query = target.partition(b"?")
    if _PLAIN_PATH.fullmatch(raw) is None:
        lowered = raw.lower()
        is_one_name = any(raw.startswith(path) and b"/" not in raw[len(path) :] for path in slashes_below)
        if (b"%2f" in lowered and not is_one_name) or b"%5c" in lowered or b"\\" in raw:
            raise malformed("The path holds an encoded slash or a backslash.")
        path = unquote_to_bytes(raw)
        if any(byte < 0x20 or byte == 0x7F for byte in path) or b"%" in path:
            raise malformed("The path holds an encoding that is not accepted.")
    else:
        path = raw
    if b"//" in path or _DOT_SEGMENT.search(path) is not None:
        raise malformed("The path holds empty or dot segments.")
    try:
        return path.decode("utf-8"), query.decode("ascii")
    except UnicodeDecodeError:
        raise malformed("The path is not UTF-8.") from None
