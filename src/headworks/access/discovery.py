"""What an identity provider says of itself at a known place below its name (OpenID Connect Discovery 1.0). Pure, but
for `read_found`, which reads a file.

Who names an issuer trusts it to say where its keys are; nothing else of what it says is believed.
"""

import ipaddress
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

MOST_BYTES = 262_144
"""Of a document. Those of large providers have some 5 KiB."""

_MOST_URL = 2048
_SUFFIX = ".provider"


class Document(msgspec.Struct, frozen=True):
    """Where things are at an identity provider; "" for what it does not say."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""


_decode = msgspec.json.Decoder(Document).decode


def discovery_url(issuer: str) -> str:
    """Where an issuer says it (§4)."""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"


def read_document(data: bytes, issuer: str) -> Document:
    """What is in a document that was found below an issuer's name.

    Raises:
        ValueError: it is none, or of somebody else (§4.3: `issuer` must be the very same), or leads where others could
            listen.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"what an identity provider says of itself has at most {MOST_BYTES} bytes")
    try:
        found = _decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise ValueError("this is no OpenID Connect discovery document: expected an object with `jwks_uri`") from None
    if found.issuer != issuer:
        raise ValueError("the discovery document is of another issuer: write `issuer` exactly as it has it")
    urls = (found.jwks_uri, found.authorization_endpoint, found.token_endpoint)
    # Only an issuer on this machine has reason to send us to what listens here.
    is_ours = _is_here(urlsplit(issuer).hostname or "")
    if not found.jwks_uri or not all(_is_safe(url, may_be_here=is_ours) for url in urls if url):
        raise ValueError("the discovery document has an address that is not `https://`")
    return found


def document_file(key_set: Path) -> Path:
    """Where a document is kept, beside the key set that it has led to."""
    return key_set.with_suffix(_SUFFIX)


def read_found(key_set: Path, issuer: str) -> Document | None:
    """What an issuer has said of itself; None where it has not been heard yet."""
    try:
        with document_file(key_set).open("rb") as file:
            return read_document(file.read(MOST_BYTES + 1), issuer)
    except (OSError, ValueError):
        return None


def _is_safe(url: str, *, may_be_here: bool) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or len(url) > _MOST_URL or not url.isascii() or not url.isprintable() or " " in url:
        return False
    if _is_here(host):
        return may_be_here and parts.scheme in ("http", "https")
    return parts.scheme == "https"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
