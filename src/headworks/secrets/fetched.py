"""What a manager gives, and the part of it that was asked for."""

import msgspec

from headworks.config import Reference, Secret, one_line
from headworks.errors import SecretError
from headworks.secrets.asking import Fields


class Fetched(msgspec.Struct, frozen=True):
    """A secret and what its manager calls this version of it; "" where it has no name for it."""

    secret: Secret
    version: str = ""


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
