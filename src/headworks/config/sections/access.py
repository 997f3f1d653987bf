"""The section `access`: who may call, with which keys and tokens, and the teams that they belong to."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headworks import calls
from headworks.config.managers import SecretReference
from headworks.config.sections.administration import Organisations, RoleRules, Users
from headworks.config.sections.base import Cidr, FilePath, Priority, Seconds, Section
from headworks.config.sections.limits import Limits, Spending


class Team(calls.Team, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The keys of one team."""

    limits: Annotated[Limits, Meta(description="What they may ask for together.")] = Limits()
    budget: Annotated[Spending, Meta(description="What they may spend together.")] = Spending()
    weight: Annotated[
        int,
        Meta(
            description="Where calls wait for room in a limit that teams share: its share, against the weights of the "
            "others. A key without a team has weight 1.",
            ge=1,
            le=1000,
        ),
    ] = 1
    priority: Annotated[
        Priority | None,
        Meta(
            description="Class of its calls, from 0 to 3: a lower one is served first where calls wait, and refused "
            "last where the gateway has too much to do. A key's own, if it has one, comes before it. Left out: "
            f"{calls.USUAL_PRIORITY}."
        ),
    ] = None


class BadKeys(Section, frozen=True):
    """When an address that sends bad keys is answered 429 instead of 401. Good keys are taken from there all the same,
    for many callers may have one address. Each worker counts for itself."""

    tries: Annotated[
        int,
        Meta(description="Bad keys in `window_s` after which an address is locked out; 0: never.", ge=0, le=100_000),
    ] = 20
    window_s: Annotated[Seconds, Meta(description="Seconds in which they count together.")] = 60.0
    lockout_s: Annotated[Seconds, Meta(description="Seconds for which an address is locked out.")] = 60.0


Claim = Annotated[str, Meta(min_length=1, max_length=256)]


class TokenClaims(Section, frozen=True):
    """Which claims of a token say who calls and what may be called. A name that begins with a slash leads into other
    claims: `/realm_access/roles`."""

    owner: Annotated[Claim, Meta(description="Who answers for the call: stands on its record.")] = "sub"
    team: Annotated[Claim | None, Meta(description="The team. A token without it is refused.")] = None
    models: Annotated[
        Claim | None,
        Meta(
            description="Models that may be asked for, as a list or in one text with spaces; `*` stands for anything. "
            "A token without it is refused."
        ),
    ] = None
    role: Annotated[
        Claim | None,
        Meta(
            description="The role, among `admin`, `operator`, `analyst`, `auditor` and `caller`. A token that names "
            "none, or several, is refused. Left out: whoever has a token is a caller."
        ),
    ] = None


class TokenIssuer(Section, frozen=True):
    """An identity provider whose tokens (JWT; RS256, ES256 or EdDSA) are taken as callers' keys."""

    issuer: Annotated[str, Meta(description="What `iss` says, exactly.", min_length=1, max_length=1024)]
    audience: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=1024)], ...],
        Meta(
            description="`aud` must be, or have, one of these: what the identity provider calls this gateway.",
            min_length=1,
        ),
    ]
    jwks_url: Annotated[
        str | None,
        Meta(
            description="Where its public keys are, as `https://`. Left out, as is `jwks_file`: what `jwks_uri` says "
            "in its discovery document, below `issuer`. Fetched every five minutes by a process of its own, and at "
            "once when a token names a key that is not known.",
            extra={"form": "base-url"},
        ),
    ] = None
    jwks_file: Annotated[FilePath | None, Meta(description="A file with its public keys; a change is noticed.")] = None
    claims: Annotated[TokenClaims, Meta(description="Which claims say what.")] = TokenClaims()
    team: Annotated[
        Annotated[str, Meta(min_length=1, max_length=128)] | None, Meta(description="The team of all its callers.")
    ] = None
    models: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(description="Models that its callers may ask for; `*` stands for anything. None: all."),
    ] = ()
    limits: Annotated[Limits, Meta(description="How much each subject may ask for.")] = Limits()
    networks: Annotated[
        tuple[Cidr, ...], Meta(description="Networks that its tokens are good in. None: anywhere.")
    ] = ()
    leeway_s: Annotated[
        float, Meta(description="Seconds by which its clock and this machine's may differ.", ge=0, le=300)
    ] = 30.0


class Access(Section, frozen=True):
    """Who may call."""

    mode: Annotated[
        Literal["keys", "open"],
        Meta(description="`keys`: a virtual key is needed. `open`: anyone who reaches the port; for local trial only."),
    ] = "keys"
    secret: Annotated[
        SecretReference,
        Meta(
            description="The server secret under which keys are hashed. A `file:` that does not exist is created with "
            "a random secret on first use; losing it makes every key invalid."
        ),
    ] = "file:.headworks/secret"  # noqa: S105  (a reference)
    teams: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=128)], Team],
        Meta(description="Limits, shares and priorities of teams, by the name that keys are created with."),
    ] = field(default_factory=dict)
    tokens: Annotated[
        tuple[TokenIssuer, ...],
        Meta(description="Identity providers whose bearer tokens are taken beside virtual keys.", max_length=16),
    ] = ()
    bad_keys: Annotated[BadKeys, Meta(description="What is done about who sends bad keys.")] = BadKeys()
    organisations: Organisations = field(default_factory=dict)
    users: Users = ()
    roles: RoleRules = ()
