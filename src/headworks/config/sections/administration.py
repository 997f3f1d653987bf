"""The section `admin`, and who administrates: organisations, users and roles of the section `access`."""

from typing import Annotated, Literal

from msgspec import Meta

from headworks.config.managers import LocalSecretReference
from headworks.config.sections.base import Cidr, FilePath, Seconds, Section
from headworks.config.sections.server import Tls

RoleName = Literal["admin", "operator", "analyst", "auditor", "caller"]

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Url = Annotated[str, Meta(max_length=2048, extra={"form": "base-url"})]

_KEY_SET = (
    "Where its public keys are, as `https://`. Left out, as is `jwks_file`: what `jwks_uri` says in its discovery "
    "document, below `issuer`."
)
_KEY_FILE = "A file with its public keys; a change is noticed."
_FOUND = "Left out: what its discovery document says."
_ORGANISATION = "Where: an organisation. Left out: everywhere."


class Organisation(Section, frozen=True):
    """Teams that belong together, apart from all others."""

    teams: Annotated[
        tuple[Name, ...],
        Meta(description="Its teams, by the names that keys are created with. A team is in one organisation."),
    ] = ()


class User(Section, frozen=True, kw_only=True):
    """A person who signs in, by who they are at an identity provider."""

    issuer: Annotated[
        Text | None, Meta(description="Whose user it is (`iss`). Left out: of any that `admin` names.")
    ] = None
    subject: Annotated[
        Annotated[str, Meta(min_length=1, max_length=255)] | None,
        Meta(description="What `sub` says: it is the user's for good."),
    ] = None
    email: Annotated[
        Annotated[str, Meta(min_length=3, max_length=320)] | None,
        Meta(description="What `email` says; good only where the token says `email_verified`."),
    ] = None
    roles: Annotated[tuple[RoleName, ...], Meta(description="What the user may do.", min_length=1)]
    organisation: Annotated[Name | None, Meta(description=_ORGANISATION)] = None


class RoleRule(Section, frozen=True, kw_only=True):
    """From what a token says to a role. All rules that hold count."""

    issuer: Annotated[Text | None, Meta(description="Whose tokens (`iss`). Left out: of any that `admin` names.")] = (
        None
    )
    claim: Annotated[
        str,
        Meta(
            description="The claim: a text, or a list of texts. A name that begins with a slash leads into other "
            "claims: `/realm_access/roles`.",
            min_length=1,
            max_length=256,
        ),
    ] = "groups"
    value: Annotated[Text, Meta(description="What the claim must be, or have.")]
    role: Annotated[RoleName, Meta(description="The role.")]
    organisation: Annotated[Name | None, Meta(description=_ORGANISATION)] = None


class AdminTokens(Section, frozen=True):
    """An identity provider whose bearer tokens open the admin API, for programs. Beside keys with a role."""

    issuer: Annotated[Text, Meta(description="What `iss` says, exactly.")]
    audience: Annotated[
        tuple[Text, ...],
        Meta(
            description="`aud` must be, or have, one of these. Register the admin API as an application of its own.",
            min_length=1,
        ),
    ]
    jwks_url: Annotated[Url | None, Meta(description=_KEY_SET)] = None
    jwks_file: Annotated[FilePath | None, Meta(description=_KEY_FILE)] = None
    leeway_s: Annotated[
        float, Meta(description="Seconds by which its clock and this machine's may differ.", ge=0, le=300)
    ] = 30.0


class SignIn(Section, frozen=True, kw_only=True):
    """Sign-in of people in a browser: OpenID Connect, with the authorization code flow and PKCE."""

    url: Annotated[
        Url,
        Meta(
            description="How browsers reach the admin API: `https://` with host and port, and no path. Register "
            "`URL/callback` as redirect URL at the identity provider."
        ),
    ]
    issuer: Annotated[Text, Meta(description="What `iss` says, exactly.")]
    client_id: Annotated[Text, Meta(description="What the identity provider calls this client.")]
    client_secret: Annotated[
        LocalSecretReference | None,
        Meta(description="The client's secret. Left out: a public client, which PKCE alone protects."),
    ] = None
    authorization_url: Annotated[Url | None, Meta(description=f"Where people sign in. {_FOUND}")] = None
    token_url: Annotated[Url | None, Meta(description=f"Where codes are exchanged. {_FOUND}")] = None
    jwks_url: Annotated[Url | None, Meta(description=_KEY_SET)] = None
    jwks_file: Annotated[FilePath | None, Meta(description=_KEY_FILE)] = None
    scopes: Annotated[
        tuple[Annotated[str, Meta(pattern="^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$")], ...],
        Meta(description="What is asked for; `openid` must be among it.", min_length=1),
    ] = ("openid", "email", "profile")
    name_claim: Annotated[
        str, Meta(description="What a user is called in answers and in the audit log.", min_length=1, max_length=256)
    ] = "email"
    session_s: Annotated[Seconds, Meta(description="Seconds until a user has to sign in again.")] = 28_800.0
    renew_s: Annotated[
        Seconds,
        Meta(
            description="Seconds until the identity provider is asked again who a user is and in which groups, with "
            "the refresh token that it has given. Where it gives none, the user signs in again."
        ),
    ] = 600.0
    leeway_s: Annotated[
        float, Meta(description="Seconds by which its clock and this machine's may differ.", ge=0, le=300)
    ] = 30.0

    @property
    def is_discovered(self) -> bool:
        """Whether the identity provider is asked where it is to be reached."""
        return self.authorization_url is None or self.token_url is None


class Admin(Section, frozen=True):
    """The admin API, on a port of its own, served by a process of its own."""

    port: Annotated[
        Annotated[int, Meta(ge=0, le=65_535)] | None,
        Meta(description="TCP port to listen on; 0 takes a free one. Left out: there is no admin API."),
    ] = None
    host: Annotated[
        str,
        Meta(
            description="Address or name to listen on. One that other machines reach needs `tls`.",
            extra={"form": "host"},
        ),
    ] = "127.0.0.1"
    tls: Annotated[Tls | None, Meta(description="Serve HTTPS instead of HTTP.")] = None
    hosts: Annotated[
        tuple[Annotated[str, Meta(extra={"form": "host"})], ...],
        Meta(
            description="Names by which it may be reached, beside addresses, `localhost` and those of `host` and "
            "`sign_in.url`. None: with `tls` any name that its certificate has, else none."
        ),
    ] = ()
    networks: Annotated[
        tuple[Cidr, ...], Meta(description="Networks that it is open to. None: all that reach it.")
    ] = ()
    tokens: Annotated[
        tuple[AdminTokens, ...],
        Meta(description="Identity providers whose bearer tokens are taken beside keys with a role.", max_length=16),
    ] = ()
    sign_in: Annotated[SignIn | None, Meta(description="Sign-in of people in a browser.")] = None
    requests_per_minute: Annotated[
        int, Meta(description="Requests of one key, user or address in a minute.", ge=10, le=100_000)
    ] = 600


Organisations = Annotated[
    dict[Name, Organisation],
    Meta(description="Organisations, by name. What belongs to one is not shown to who has a role in another only."),
]
Users = Annotated[tuple[User, ...], Meta(description="People and their roles at the admin API.", max_length=10_000)]
RoleRules = Annotated[
    tuple[RoleRule, ...],
    Meta(description="Which claims of a token bring a role at the admin API along.", max_length=1_000),
]
