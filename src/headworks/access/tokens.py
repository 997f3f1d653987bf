"""Bearer tokens of an identity provider (JWT, RFC 7519): from a token to who calls. Pure; the clock is passed in.

Whatever is wrong with a token, the caller hears the same, so that nobody learns which part of a forgery was good.
"""

import base64
import hashlib
from collections.abc import Sequence
from math import isfinite

import msgspec

from headworks.access.grant import Grant
from headworks.access.key_sets import KeySet, decode_base64url
from headworks.access.roles import ROLE_NAMES, Role, endpoints_of
from headworks.calls import NO_LIMITS, NO_TEAM, Caller, Endpoint, Limits, Team

MOST_BYTES = 8192
"""Of a token: those with many groups have some 4 KiB."""

_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""What a token for calling is called, if it is called anything (RFC 9068 §2.1). Those for other ends (of a logout, of a
security event) are signed with the same keys, and open nothing (RFC 8725 §3.11)."""

_NAME_CHARACTERS = 128
_SUBJECT_CHARACTERS = 255  # OpenID Connect Core §2
_MOST_MODELS = 100


class ClaimNames(msgspec.Struct, frozen=True):
    """Which claims say what; "" where none does. One that begins with a slash is a way into other claims (JSON Pointer,
    RFC 6901): `/realm_access/roles`."""

    owner: str = "sub"
    team: str = ""
    models: str = ""
    role: str = ""


class Issuer(msgspec.Struct, frozen=True):
    """Who issues tokens, what they must say, and what they open.

    `audience`: a token must be meant for one of these. `team` and `models` hold where no claim says them. `limits` are
    of each subject. `leeway_s` is by how much clocks may differ.
    """

    issuer: str
    audience: tuple[str, ...]
    claims: ClaimNames = ClaimNames()
    team: str = ""
    models: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    networks: tuple[str, ...] = ()
    leeway_s: float = 30.0


class Identity(msgspec.Struct, frozen=True):
    """What a good token says. `ends_s` is when it is no longer good, in Unix seconds."""

    caller: Caller
    endpoints: tuple[Endpoint, ...]
    models: tuple[str, ...]
    ends_s: float

    def grant(self, issuer: Issuer, team: Team = NO_TEAM) -> Grant:
        """What it opens."""
        return Grant(
            self.caller,
            models=self.models,
            endpoints=self.endpoints,
            expires_at=self.ends_s,
            limits=NO_LIMITS if issuer.limits == NO_LIMITS else issuer.limits,
            priority=team.priority_of(None),
            weight=team.weight,
            networks=issuer.networks,
        )


class UnknownKey(Exception):
    """The token names a key that the issuer's set does not have: it may have a new one."""


class _Header(msgspec.Struct):
    alg: str
    kid: str | None = None
    typ: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Issued(msgspec.Struct):
    iss: str


_decode_header = msgspec.json.Decoder(_Header).decode
_decode_issued = msgspec.json.Decoder(_Issued).decode
_decode_claims = msgspec.json.Decoder(dict[str, object]).decode

_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def issuer_in(token: bytes) -> str | None:
    """Who a token says has issued it, which is not known to be true yet; None if it is no token."""
    if len(token) > MOST_BYTES or token.count(b".") != 2:
        return None
    try:
        return _decode_issued(decode_base64url(token.split(b".")[1])).iss
    except _UNREADABLE:
        return None


def verify(token: bytes, issuer: Issuer, keys: KeySet, now_s: float) -> Identity | None:
    """Who calls; None if the token is not good for any reason.

    Raises:
        UnknownKey: the issuer's keys may have changed. A token that would not be good anyway does not raise it.
    """
    if len(token) > MOST_BYTES:
        return None
    signed, _, last = token.rpartition(b".")
    first, _, middle = signed.partition(b".")
    try:
        header = _decode_header(decode_base64url(first))
        claims = _decode_claims(decode_base64url(middle))
        signature = decode_base64url(last)
    except _UNREADABLE:
        return None
    if header.crit is not msgspec.UNSET or (header.typ is not None and header.typ.lower() not in _TYPES):
        return None  # RFC 7515 §4.1.11: what is critical and not understood makes it invalid
    found = _identity(claims, issuer, now_s)
    if found is None:
        return None
    key = keys.find(header.alg, header.kid)
    if key is None:
        if header.alg in ("RS256", "ES256", "EdDSA") and header.kid is not None:
            raise UnknownKey
        return None
    return found if key.is_signed(signature, signed) else None


def _identity(claims: dict[str, object], issuer: Issuer, now_s: float) -> Identity | None:
    """What the claims say, if they hold now and are meant for us. Cheap, so it comes before the signature."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer.issuer or not any(one in issuer.audience for one in named if isinstance(one, str)):
        return None
    ends_s = _moment(claims.get("exp"))
    if ends_s is None or now_s >= ends_s + issuer.leeway_s:
        return None
    for name in ("nbf", "iat"):
        if name in claims and ((begins_s := _moment(claims[name])) is None or begins_s > now_s + issuer.leeway_s):
            return None
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARACTERS:
        return None
    names = issuer.claims
    owner = _name(_claim(claims, names.owner))
    team = _name(_claim(claims, names.team)) if names.team else issuer.team
    models = _patterns(_claim(claims, names.models)) if names.models else issuer.models
    role = _role(_claim(claims, names.role)) if names.role else Role.CALLER
    if owner is None or team is None or models is None or role is None:
        return None
    endpoints = endpoints_of(role)
    if endpoints is None:
        return None
    caller = Caller(_key_id(issuer.issuer, subject), owner, team)
    return Identity(caller, endpoints, models, ends_s + issuer.leeway_s)


def _claim(claims: dict[str, object], name: str) -> object:
    if not name.startswith("/"):
        return claims.get(name)
    found: object = claims
    for step in name[1:].split("/"):
        if not isinstance(found, dict):
            return None
        found = found.get(step.replace("~1", "/").replace("~0", "~"))
    return found


def _key_id(issuer: str, subject: str) -> str:
    """The name of a subject, the same for all its tokens: for records, limits, and whose a stored response is."""
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")).digest()
    return f"token_{base64.b32encode(digest[:15]).decode().lower()}"


def _moment(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        moment = float(value)
    except OverflowError:
        return None
    return moment if isfinite(moment) else None


def _name(value: object) -> str | None:
    """A claim that is a name; one that is missing is none."""
    is_name = isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS and value.isprintable()
    return str(value) if is_name else None


def _texts(value: object) -> Sequence[str] | None:
    """A claim of several texts: a list, or one text with spaces between them, as scopes are (RFC 8693 §4.2)."""
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return None


def _patterns(value: object) -> tuple[str, ...] | None:
    """None where it names no model: no pattern would mean every model."""
    patterns = _texts(value)
    if not patterns or len(patterns) > _MOST_MODELS or not all(patterns):
        return None
    return tuple(patterns)


def _role(value: object) -> Role | None:
    """The one role that a claim names, among other things that are no roles; None for none, or several."""
    named = {one for one in _texts(value) or () if one in ROLE_NAMES}
    return Role(named.pop()) if len(named) == 1 else None
