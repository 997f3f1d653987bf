"""How a secret is named: where it is, which version, which field of it. Pure; nothing is read here.

    SCHEME:PLACE[?version=VERSION][#FIELD]

`env:NAME` and `file:PATH` are the whole name: a path may hold any character. The others name what a manager keeps, or
(`azure-token:AUDIENCE`, `gcp-token:SCOPE`, `aws-credentials:PROFILE`) what it makes out for whoever we are.
"""

import re
from typing import Literal

import msgspec

Scheme = Literal[
    "env", "file", "vault", "aws-sm", "aws-ssm", "aws-credentials", "gcp-sm", "gcp-token", "azure-kv", "azure-token",
    "keyring",
]  # fmt: skip

FORM = "`env:NAME`, `file:PATH` or a secret manager's, such as `vault:MOUNT/PATH#FIELD`"
"""For messages: what a reference may look like."""

LOCAL_FORM = "`env:NAME` or `file:PATH`"
"""The same where no manager can be asked."""

PATTERN = (
    "^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|vault:[^/?#]+/[^?#]+([?]version=[^#]+)?#.+"
    "|aws-(sm|ssm):[^?#]+([?]version=[^#]+)?(#.+)?|gcp-sm:[^/?#]+/[^/?#]+([?]version=[^#]+)?(#.+)?"
    "|azure-kv:[^/?#]+/[^/?#]+([?]version=[^#]+)?(#.+)?|keyring:[^/?#]+/[^?#]+"
    "|azure-token:[A-Za-z0-9.-]+|gcp-token:cloud-platform|aws-credentials:[A-Za-z0-9_.@-]+)$"
)
"""The same for a JSON Schema."""

TOKENS = ("azure-token", "gcp-token", "aws-credentials")
"""Schemes of what lasts for minutes: it is looked at more often than what is kept."""

SIGNING = "aws-credentials:"
"""How references begin to what requests are signed with."""

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_PATH = r"[A-Za-z0-9._+=@,%~ -]+"
_PLACES: dict[str, str] = {
    "vault": rf"{_WORD}(/{_PATH})+",
    "aws-sm": r"[A-Za-z0-9/_+=.@:!-]{1,2048}",  # a name or an ARN (Secrets Manager API reference, 2026-11)
    "aws-ssm": r"[A-Za-z0-9/_.:-]{1,2048}",  # Systems Manager API reference, GetParameter (2026-11)
    "gcp-sm": rf"{_WORD}/[A-Za-z0-9_-]{{1,255}}",
    "gcp-token": "cloud-platform",  # the one scope that Vertex AI takes
    "aws-credentials": r"[A-Za-z0-9_.@-]{1,128}",  # a profile's name
    "azure-token": r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",  # the host of an audience
    "azure-kv": r"[A-Za-z][A-Za-z0-9-]{2,23}/[A-Za-z0-9-]{1,127}",
    "keyring": r"[^/?#]+/[^?#]+",
}
_VERSION = r"[A-Za-z0-9_.:-]{1,256}"
_FIELD = r"[^\x00-\x1f\x7f]{1,256}"
_ENVIRONMENT = r"env:[A-Za-z_][A-Za-z0-9_]*"


class Reference(msgspec.Struct, frozen=True):
    """A reference taken apart.

    Attributes:
        text: the whole of it, for messages.
        place: where the scheme's manager has it, without version and field.
        version: of the secret, as its manager calls it; "" for the present one.
        field: of the JSON object that the secret is; "" for all of it.
    """

    text: str
    scheme: str
    place: str
    version: str = ""
    field: str = ""

    @property
    def first(self) -> str:
        """The part of the place before the first slash: a mount, a project, a vault, a service."""
        return self.place.partition("/")[0]

    @property
    def rest(self) -> str:
        """The part behind it."""
        return self.place.partition("/")[2]


def parse_reference(text: str) -> Reference | None:
    """The reference that the text is; None where it is none. It may still lead nowhere."""
    scheme, _, place = text.partition(":")
    if scheme == "env":
        return Reference(text, scheme, place) if re.fullmatch(_ENVIRONMENT, text) else None
    if scheme == "file":
        return Reference(text, scheme, place) if place else None
    if scheme not in _PLACES:
        return None
    place, _, field = place.partition("#")
    place, asks, query = place.partition("?")
    name, _, version = query.partition("=")
    is_good = (
        re.fullmatch(_PLACES[scheme], place) is not None
        and ".." not in place.split("/")
        and bool(field) == ("#" in text)
        and (not field or re.fullmatch(_FIELD, field) is not None)
        and (not asks or (name == "version" and re.fullmatch(_VERSION, version) is not None))
        and (scheme != "vault" or bool(field))  # a secret there is always an object
        and (scheme not in ("keyring", *TOKENS) or not (asks or field))
    )
    return Reference(text, scheme, place, version, field) if is_good else None


def is_reference(text: str) -> bool:
    """Whether the text is a secret reference in form; it may still lead nowhere."""
    return parse_reference(text) is not None


def is_local_reference(text: str) -> bool:
    """Whether it is one that is read without asking anybody: `env:NAME` or `file:PATH`."""
    found = parse_reference(text)
    return found is not None and found.scheme in ("env", "file")


def is_token(text: str) -> bool:
    """Whether it is a reference to an access token."""
    return text.partition(":")[0] in TOKENS
