"""What a manager gives, and the part of it that was asked for."""

import msgspec

from headworks.config import Reference, Secret, one_line
from headworks.errors import SecretError
from headworks.secrets.asking import Fields, text_of


class Fetched(msgspec.Struct, frozen=True):
    """A secret and what its manager calls this version of it; "" where it has no name for it."""

    secret: Secret
    version: str = ""


class Token(msgspec.Struct, frozen=True):
    """An access token, and when the next one is to be asked for, by the clock of whoever asked."""

    secret: Secret
    due_s: float


_LIFE_S = 3600.0
_RENEW_AT = 0.8
_LEAST_LEFT_S = 120.0
"""So long before its end a token is renewed at the latest: twice the time from one look to the next."""


def token_of(who: str, fields: Fields, now_s: float) -> Token:
    """The token of an answer of OAuth 2.0 (RFC 6749 §5.1).

    Raises:
        SecretError: there is none.
    """
    token = text_of(fields, "access_token")
    if not token:
        raise SecretError(f"{who} is answered without a token")
    life_s = _life_s(fields.get("expires_in"))
    return Token(one_line(who, token), now_s + max(0.0, min(life_s * _RENEW_AT, life_s - _LEAST_LEFT_S)))


def _life_s(found: object) -> float:
    """Seconds, as a number or, from a managed identity of Azure's, as text."""
    try:
        return float(found) if isinstance(found, int | str) else _LIFE_S
    except ValueError:
        return _LIFE_S


_decode = msgspec.json.Decoder(Fields).decode


def part_of(reference: Reference, text: str, version: str = "") -> Fetched:
    """What the reference means of a secret that is a text: all of it, or a field of the JSON object that it is.

    Raises:
        SecretError: it has no such field, or what is there is not one line of visible ASCII.
    """
    if not reference.field:
        return Fetched(one_line(reference.text, text), version)
    try:
        fields = _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise SecretError(f"{reference.text}: the secret is no JSON object, so that it has no fields") from None
    return field_of(reference, fields, version)


def field_of(reference: Reference, fields: Fields, version: str = "") -> Fetched:
    """The same of a secret that is an object."""
    value = fields.get(reference.field)
    if not isinstance(value, str):
        raise SecretError(f"{reference.text}: the secret has no text in this field")
    return Fetched(one_line(reference.text, value), version)
