"""Bearer tokens of an identity provider (JWT, RFC 7519): from a token to who calls. Pure; the clock is passed in.

Whatever is wrong with a token, the caller hears the same, so that nobody learns which part of a forgery was good.
"""

import base64
import hashlib
from collections.abc import Callable, Sequence
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


Claims = dict[str, object]
"""What a token says, as it says it."""


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
_decode_claims = msgspec.json.Decoder(Claims).decode

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
    # What it says is read before the signature is looked at, for that is what costs.
    claims = verified_claims(token, issuer, keys, now_s, lambda claims: _identity(claims, issuer) is not None)
    return None if claims is None else _identity(claims, issuer)


def verified_claims(
    token: bytes,
    issuer: Issuer,
    keys: KeySet,
    now_s: float,
    is_wanted: Callable[[Claims], bool] = lambda claims: True,  # noqa: ARG005
) -> Claims | None:
    """What a token says, which its issuer has signed, and which holds now and is meant for us; None if it is not so.

    Arguments:
        is_wanted: whether the claims are any good; asked before the signature is looked at.

    Raises:
        UnknownKey: as for `verify`.
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
    if not _holds(claims, issuer, now_s) or not is_wanted(claims):
        return None
    key = keys.find(header.alg, header.kid)
    if key is None:
        if header.alg in ("RS256", "ES256", "EdDSA") and header.kid is not None:
            raise UnknownKey
        return None
    return claims if key.is_signed(signature, signed) else None


def _holds(claims: Claims, issuer: Issuer, now_s: float) -> bool:
    """Whether the claims hold now, are about somebody, and are meant for us."""
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != issuer.issuer or not any(one in issuer.audience for one in named if isinstance(one, str)):
        return False
    ends_s = moment_of(claims.get("exp"))
    if ends_s is None or now_s >= ends_s + issuer.leeway_s:
        return False
    for name in ("nbf", "iat"):
        if name in claims and ((begins_s := moment_of(claims[name])) is None or begins_s > now_s + issuer.leeway_s):
            return False
    subject = claims.get("sub")
    return isinstance(subject, str) and 0 < len(subject) <= _SUBJECT_CHARACTERS


def _identity(claims: Claims, issuer: Issuer) -> Identity | None:
    """Who the claims say calls, if they hold; None where something is missing."""
    names = issuer.claims
    owner = name_of(claim_of(claims, names.owner))
    team = name_of(claim_of(claims, names.team)) if names.team else issuer.team
    models = _patterns(claim_of(claims, names.models)) if names.models else issuer.models
    role = _role(claim_of(claims, names.role)) if names.role else Role.CALLER
    ends_s = moment_of(claims["exp"])
    if owner is None or team is None or models is None or role is None or ends_s is None:
        return None
    endpoints = endpoints_of(role)
    if endpoints is None:
        return None
    caller = Caller(subject_id(issuer.issuer, str(claims["sub"])), owner, team)
    return Identity(caller, endpoints, models, ends_s + issuer.leeway_s)


def claim_of(claims: Claims, name: str) -> object:
    """A claim by its name, or by the way to it if that begins with a slash; None where there is none."""
    if not name.startswith("/"):
        return claims.get(name)
    found: object = claims
    for step in name[1:].split("/"):
        if not isinstance(found, dict):
            return None
        found = found.get(step.replace("~1", "/").replace("~0", "~"))
    return found


def subject_id(issuer: str, subject: str) -> str:
    """The name of a subject, the same for all its tokens: for records, limits, and whose a stored response is."""
    digest = hashlib.sha256(f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")).digest()
    return f"token_{base64.b32encode(digest[:15]).decode().lower()}"


def moment_of(value: object) -> float | None:
    """A claim that is a time, in Unix seconds; None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        moment = float(value)
    except OverflowError:
        return None
    return moment if isfinite(moment) else None


def name_of(value: object) -> str | None:
    """A claim that is a name; one that is missing is none."""
    is_name = isinstance(value, str) and 0 < len(value) <= _NAME_CHARACTERS and value.isprintable()
    return str(value) if is_name else None


def texts_of(value: object) -> Sequence[str] | None:
    """A claim of several texts: a list, or one text with spaces between them, as scopes are (RFC 8693 §4.2)."""
    if isinstance(value, str):
        return value.split()
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    return None


def _patterns(value: object) -> tuple[str, ...] | None:
    """None where it names no model: no pattern would mean every model."""
    patterns = texts_of(value)
    if not patterns or len(patterns) > _MOST_MODELS or not all(patterns):
        return None
    return tuple(patterns)


def _role(value: object) -> Role | None:
    """The one role that a claim names, among other things that are no roles; None for none, or several."""
    named = {one for one in texts_of(value) or () if one in ROLE_NAMES}
    return Role(named.pop()) if len(named) == 1 else None
