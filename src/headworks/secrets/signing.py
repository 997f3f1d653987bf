"""AWS Signature Version 4, for the two calls that are made here. Pure.

Source: AWS documentation, "Create a signed AWS API request" (2026-11). Ours, and not a library: the SDK is forty times
this project's size, and what is needed of it is below.
"""

import hashlib
import hmac
from datetime import UTC, datetime
from typing import NoReturn
from urllib.parse import urlsplit

import msgspec

from headworks.secrets.asking import Ask

_ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(msgspec.Struct, frozen=True):
    """What a request is signed with. They show only the key's public name.

    Attributes:
        expires_s: when they end, in Unix seconds; 0 where they do not.
    """

    key_id: str
    key: str
    token: str = ""
    expires_s: float = 0.0

    def __repr__(self) -> str:
        return f"Credentials({self.key_id!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials cannot be pickled or copied")


def signed(ask: Ask, credentials: Credentials, region: str, service: str, now_s: float) -> Ask:
    """The same request, signed.

    Arguments:
        ask: its path is `/`, and it has no query: that is all that the JSON protocols need.
        now_s: Unix seconds.
    """
    moment = datetime.fromtimestamp(now_s, UTC).strftime("%Y%m%dT%H%M%SZ")
    named = [*ask.headers, ("host", urlsplit(ask.url).netloc), ("x-amz-date", moment)]
    if credentials.token:
        named.append(("x-amz-security-token", credentials.token))
    headers = sorted((name.lower(), " ".join(value.split())) for name, value in named)
    names = ";".join(name for name, _ in headers)
    lines = [f"{name}:{value}" for name, value in headers]
    canonical = "\n".join([ask.method, "/", "", *lines, "", names, hashlib.sha256(ask.body).hexdigest()])
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    to_sign = "\n".join([_ALGORITHM, moment, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{credentials.key}".encode()
    for step in (moment[:8], region, service, "aws4_request"):
        key = hmac.digest(key, step.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    proof = f"{_ALGORITHM} Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    sent = tuple((name, value) for name, value in headers if name != "host")  # the client sets that
    return Ask(ask.method, ask.url, (*sent, ("authorization", proof)), ask.body)
