"""AWS Signature Version 4, and the credentials that it is made with. Pure, and fast enough for the path of every call.

    signer = Signer(credentials, region="eu-west-1", service="bedrock", host="bedrock-runtime.eu-west-1.amazonaws.com")
    lines = signer.lines("POST", "/model/MODEL/converse", "", body, now_s=time.time())

Source: AWS documentation, "Create a signed AWS API request" (2026-11). Ours, and not a library: the SDK is forty times
this project's size, and what is needed of it is below.
"""

import hashlib
import hmac
import re
import time
from typing import NoReturn
from urllib.parse import quote

import msgspec

_ALGORITHM = "AWS4-HMAC-SHA256"
_DATE = "x-amz-date"
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_TOKEN = "x-amz-security-token"  # noqa: S105 - the name of a header


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


class _Packed(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    key_id: str
    key: str
    token: str = ""


_decode_packed = msgspec.json.Decoder(_Packed).decode


def packed(credentials: Credentials) -> str:
    """The credentials as one line, in the place where others have a key."""
    found = _Packed(credentials.key_id, credentials.key, credentials.token)
    return msgspec.json.encode(found).decode()


def unpacked(key: str) -> Credentials | None:
    """The credentials that such a line holds; None where it is a key like any other, or where name and token could not
    stand in a header: what has a line's end in it would be a header of its own."""
    if not key.startswith("{"):
        return None
    try:
        found = _decode_packed(key)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    if not _VISIBLE.fullmatch(found.key_id + found.token):
        return None
    return Credentials(found.key_id, found.key, found.token)


class Signer:
    """Signs requests to one service. State: the key of the day, which four steps of HMAC make.

    Arguments:
        host: the value of the `host` header, as it will be sent.
        content_type: that of every body; it is signed, too.
    """

    __slots__ = ("_content_type", "_credentials", "_day", "_day_key", "_host", "_names", "_region", "_service", "_tail")

    def __init__(
        self, credentials: Credentials, *, region: str, service: str, host: str, content_type: str = "application/json"
    ) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._host = host
        self._content_type = content_type
        self._day = ""
        self._day_key = b""
        names = ("content-type", "host", _DATE, *((_TOKEN,) if credentials.token else ()))
        self._names = ";".join(names)
        self._tail = f"{_TOKEN}:{credentials.token}\n" if credentials.token else ""

    def lines(self, method: str, path: str, query: str, body: bytes, *, now_s: float) -> bytes:
        """The header lines that sign a request: its date, the token, where there is one, and the signature.

        Arguments:
            path: as it is sent, escaped.
            query: as it is sent, its parameters in the order of their names.
            now_s: Unix seconds; AWS takes what is at most five minutes off.
        """
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        digest = hashlib.sha256(body).hexdigest()
        # What is sent is escaped once more: only S3 is signed as it is sent.
        canonical = (
            f"{method}\n{quote(path, safe='/~')}\n{query}\n"
            f"content-type:{self._content_type}\nhost:{self._host}\n{_DATE}:{moment}\n{self._tail}\n"
            f"{self._names}\n{digest}"
        )
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        signature = signature_of(self._key(moment[:8]), moment, scope, canonical)
        found = self._credentials
        token = f"{_TOKEN}: {found.token}\r\n" if found.token else ""
        return (
            f"{_DATE}: {moment}\r\n{token}authorization: {proof(found.key_id, scope, self._names, signature)}\r\n"
        ).encode("latin-1")

    def _key(self, day: str) -> bytes:
        if day != self._day:
            self._day_key = day_key(self._credentials.key, day, self._region, self._service)
            self._day = day
        return self._day_key


def day_key(key: str, day: str, region: str, service: str) -> bytes:
    """The key that signs on one day, for one service."""
    made = f"AWS4{key}".encode()
    for step in (day, region, service, "aws4_request"):
        made = hmac.digest(made, step.encode(), "sha256")
    return made


def signature_of(key: bytes, moment: str, scope: str, canonical: str) -> str:
    """The signature of a canonical request."""
    to_sign = f"{_ALGORITHM}\n{moment}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def proof(key_id: str, scope: str, names: str, signature: str) -> str:
    """The value of the `authorization` header."""
    return f"{_ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
