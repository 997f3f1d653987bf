"""What `headworks.yaml` may say: one struct a section, every field with its meaning, bounds and default.

These descriptions are the reference documentation and the JSON Schema. A field's `extra` names what the reader of
configuration must know beyond the type: `form` is a check of the text (`headworks.config.forms`), `expected` the
words for an error message.
"""

from decimal import Decimal
from typing import Annotated, Literal
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from headworks import calls, exchange
from headworks.config.managers import LocalSecretReference, SecretReference, Secrets
from headworks.config.privacy import PlainScreening
from headworks.config.quirks import QUIRKS, QuirksName, Structured

PROVIDER_NAME = "^[a-z][a-z0-9-]{0,62}$"
"""A provider's name: it stands in model names before the slash, in records and in metric labels."""

PUBLIC_MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
"""A model's public name: what callers send as `model`."""

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Where the OpenAI API is (API reference, 2026-11)."""

ANTHROPIC_BASE_URL = "https://api.anthropic.com/v1"
"""Where Anthropic's API is (API reference, 2026-11)."""

GEMINI_BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
"""Where the Gemini API of Google's AI Studio is (API reference, 2026-11)."""

Speech = Literal[
    "responses",
    "chat",
    "completions",
    "messages",
    "generate_content",
    "embeddings",
    "moderations",
    "images",
    "audio",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
    "evals",
]
"""A part of the OpenAI API that an upstream serves, Anthropic's Messages, or Google's generateContent; `dialects`
bridges from `responses`, `chat` and `messages` to any of these and to `generate_content`."""

EVERYTHING: tuple[Speech, ...] = (
    "responses",
    "chat",
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio",
    "models",
    "files",
    "batches",
    "conversations",
    "vector_stores",
    "fine_tuning",
    "evals",
)
"""All of the OpenAI API."""

MOST_WORKERS = 256
"""Most processes of one gateway; `--workers` has the same bound."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096, extra={"form": "path"})]
UpstreamModelName = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]


Region = Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{1,15}$")]
Agreement = Literal["zero-retention", "business-associate", "no-training"]
Sensitivity = Literal["public", "internal", "confidential", "restricted"]
"""How harmful data is when it leaks, the least first."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of the file: fields are known, unknown ones are errors."""


class Tls(Section, frozen=True):
    """TLS for the listener."""

    certificate: Annotated[FilePath, Meta(description="PEM file with the certificate and its chain.")]
    key: Annotated[FilePath, Meta(description="PEM file with the unencrypted private key.")]


Cidr = Annotated[str, Meta(max_length=64, extra={"form": "network"})]
"""A network as `10.0.0.0/8` or `2001:db8::/32`, or one address."""


class Server(Section, frozen=True):
    """Where the gateway listens, and the bounds on what a client may send and how long it may take."""

    host: Annotated[str, Meta(description="Address or name to listen on.", extra={"form": "host"})] = "127.0.0.1"
    port: Annotated[int, Meta(description="TCP port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 4000
    workers: Annotated[
        int, Meta(description="Processes that serve calls; one a core is enough.", ge=1, le=MOST_WORKERS)
    ] = 1
    tls: Annotated[Tls | None, Meta(description="Serve HTTPS instead of HTTP.")] = None
    trusted_proxies: Annotated[
        tuple[Cidr, ...],
        Meta(
            description="Networks of the proxies in front of the gateway. Only what comes from there is believed when "
            "it says, in `X-Forwarded-For`, whom it speaks for."
        ),
    ] = ()
    header_bytes: Annotated[
        int, Meta(description="Most bytes of a request line and its headers together.", ge=1024, le=1_048_576)
    ] = 32_768
    header_count: Annotated[int, Meta(description="Most headers of a request.", ge=8, le=10_000)] = 100
    target_bytes: Annotated[
        int, Meta(description="Most bytes of a request target (path and query).", ge=256, le=65_536)
    ] = 8_192
    body_bytes: Annotated[int, Meta(description="Most bytes of a request body.", ge=1024, le=2_147_483_648)] = (
        33_554_432
    )
    upload_bytes: Annotated[
        int,
        Meta(
            description="Most bytes of a file that is uploaded; it goes through piece by piece and is not held.",
            ge=1024,
            le=2_147_483_648,
        ),
    ] = 545_259_520
    buffered_bytes: Annotated[
        int,
        Meta(
            description="Most bytes of all request bodies that a worker holds at one time; not below `body_bytes`.",
            ge=1024,
            le=68_719_476_736,
        ),
    ] = 268_435_456
    header_timeout_s: Annotated[
        Seconds, Meta(description="Seconds from a request's first byte to its last header.")
    ] = 10.0
    body_timeout_s: Annotated[Seconds, Meta(description="Seconds without any byte of the body.")] = 60.0
    idle_timeout_s: Annotated[Seconds, Meta(description="Seconds that a connection may wait for its next request.")] = (
        75.0
    )
    write_timeout_s: Annotated[
        Seconds, Meta(description="Seconds without the client taking any byte of an answer.")
    ] = 60.0
    heartbeat_s: Annotated[
        Seconds,
        Meta(
            description="Seconds of silence after which something goes into a stream, so that no proxy takes its "
            "connection for dead: the head of the answer, where nothing has come yet, and then comments. Keep it below "
            "the shortest idle time of the proxies on the way."
        ),
    ] = 15.0
    grace_s: Annotated[
        float, Meta(description="Seconds that calls under way may take to finish after a stop.", ge=0, le=86_400)
    ] = 30.0
    connections: Annotated[int, Meta(description="Most client connections of a worker.", ge=1, le=1_000_000)] = 10_000


Count = Annotated[int, Meta(ge=1, le=1_000_000_000_000)]


class Limits(calls.Limits, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much may be asked for. What is left out is not limited here."""

    requests_per_minute: Annotated[Count | None, Meta(description="Requests in a minute.")] = None
    tokens_per_minute: Annotated[Count | None, Meta(description="Tokens in a minute, input and output together.")] = (
        None
    )
    requests_per_day: Annotated[Count | None, Meta(description="Requests in 24 hours.")] = None
    tokens_per_day: Annotated[Count | None, Meta(description="Tokens in 24 hours, input and output together.")] = None


Usd = Annotated[Decimal, Meta(extra={"form": "amount"}, extra_json_schema={"type": "number", "minimum": 0})]
"""Dollars, read exactly as they are written: never through a float."""


class Spending(Section, frozen=True):
    """How much money may be spent: what calls cost by the price table. A day and a month are those of the calendar, in
    UTC."""

    per_day: Annotated[Usd | None, Meta(description="Dollars in a day. Left out: no bound.")] = None
    per_month: Annotated[Usd | None, Meta(description="Dollars in a month. Left out: no bound.")] = None
    on_reach: Annotated[
        Literal["refuse", "tell"],
        Meta(
            description="`refuse`: a call that could exceed it is not made, so it never is exceeded. `tell`: calls go "
            "on, with a header that says so."
        ),
    ] = "refuse"
    alert_at: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=1000)], ...],
        Meta(description="Percents of it at which `alerts` are sent.", max_length=10),
    ] = (80, 100)


Priority = Annotated[int, Meta(ge=0, le=calls.PRIORITIES - 1)]


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
            description="Where its public keys are, as `https://` (`jwks_uri` of its discovery document). Fetched "
            "every five minutes by a process of its own, and at once when a token names a key that is not known.",
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
        LocalSecretReference,
        Meta(
            description="The server secret under which keys are hashed. A `file:` that does not exist is created with "
            "a random secret on first use; losing it makes every key invalid."
        ),
    ] = "file:.headworks/secret"  # noqa: S105  (a reference)
    teams: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=128)], Team],
        Meta(description="Limits, shares and priorities of teams, by the name that keys are created with."),
    ] = {}
    tokens: Annotated[
        tuple[TokenIssuer, ...],
        Meta(description="Identity providers whose bearer tokens are taken beside virtual keys.", max_length=16),
    ] = ()
    bad_keys: Annotated[BadKeys, Meta(description="What is done about who sends bad keys.")] = BadKeys()


class Storage(Section, frozen=True):
    """Where keys, journals and records are kept."""

    path: Annotated[FilePath, Meta(description="Folder for all state; created when missing.")] = ".headworks"
    journal_bytes: Annotated[
        int,
        Meta(
            description="Bound on all journals together: when nothing drains them, calls are refused beyond it.",
            ge=1_048_576,
            le=1_099_511_627_776,
        ),
    ] = 1_073_741_824
    segment_bytes: Annotated[
        int,
        Meta(
            description="Size at which a worker begins a new journal file; at most half of `journal_bytes`.",
            ge=65_536,
            le=1_073_741_824,
        ),
    ] = 16_777_216


class Quotas(Section, frozen=True):
    """Who keeps the books of limits that several workers or machines share."""

    valkey: Annotated[
        LocalSecretReference | None,
        Meta(
            description="The URL of a Valkey or Redis server that all machines share, `valkey://host:6379` or, with "
            "TLS, `valkeys://...`. Left out: this machine's control plane keeps them."
        ),
    ] = None
    machines: Annotated[
        int,
        Meta(
            description="Machines that share the limits: while the books cannot be reached, each spends its part.", ge=1
        ),
    ] = 1
    away: Annotated[
        Literal["share", "refuse"],
        Meta(
            description="What a worker does while the books cannot be reached and its lease is spent: goes on with its "
            "fair share of each limit, or refuses."
        ),
    ] = "share"


class Records(Section, frozen=True):
    """What is kept of each call."""

    bodies: Annotated[
        bool, Meta(description="Also store request and response bodies; they hold what people wrote.")
    ] = False
    days: Annotated[
        Annotated[int, Meta(ge=1, le=36_500)] | None,
        Meta(
            description="How many days records are kept; in PostgreSQL, whole months. What is counted by the hour "
            "stays. Left out: records are kept for ever.",
        ),
    ] = None
    store: Annotated[
        str | None,
        Meta(
            description="The PostgreSQL database that has the records, `postgresql://user@host:5432/name`, which "
            "machines may share; without the password. Left out: a SQLite file in the storage folder.",
            extra={"form": "store-url"},
            examples=["postgresql://headworks@db.internal:5432/headworks?sslmode=verify-full"],
        ),
    ] = None
    store_password: Annotated[
        LocalSecretReference | None,
        Meta(
            description="The password of `store`, as a reference. Left out: the server asks for none, or libpq knows."
        ),
    ] = None


class Anchor(Section, frozen=True):
    """A place outside of the archive that checkpoints of the audit log are sent to: a file, or a URL."""

    file: Annotated[
        FilePath | None,
        Meta(description="A file that checkpoints are appended to; on another disk, or one that is copied elsewhere."),
    ] = None
    url: Annotated[
        str | None,
        Meta(description="Where checkpoints are sent with POST, as JSON.", extra={"form": "base-url"}),
    ] = None
    token: Annotated[
        LocalSecretReference | None, Meta(description="Sent to `url` as a bearer token, as a reference.")
    ] = None


AuditDays = Annotated[int, Meta(ge=1, le=36_500)]


class Audit(Section, frozen=True):
    """The audit log: who did what, when, from where, with what outcome, in an archive in which changes are found."""

    enabled: Annotated[bool, Meta(description="Whether there is one.")] = True
    key: Annotated[
        LocalSecretReference | None,
        Meta(
            description="The secret that data keys are wrapped with and checkpoints signed with, at least 32 "
            "characters. Left out: one is derived from `access.secret`."
        ),
    ] = None
    previous_keys: Annotated[
        tuple[LocalSecretReference, ...],
        Meta(description="Secrets that were `key` before: what they wrapped and signed can still be read."),
    ] = ()
    days: Annotated[
        AuditDays | None,
        Meta(
            description="How many days entries can be read; then their keys are destroyed. Left out: for ever.",
        ),
    ] = None
    workload_days: Annotated[
        dict[str, AuditDays], Meta(description="The same for workloads that keep theirs for another time, by name.")
    ] = {}
    anchors: Annotated[
        tuple[Anchor, ...],
        Meta(description="Where checkpoints are kept outside of the archive, so that a cut-off end is found."),
    ] = ()
    anchor_every_s: Annotated[
        Seconds, Meta(description="Seconds from one anchored checkpoint to the next, while there are new entries.")
    ] = 60.0


class Connections(Section, frozen=True):
    """The pool of connections to one upstream, in each worker."""

    limit: Annotated[int, Meta(description="Most connections.", ge=1, le=100_000)] = 256
    idle_s: Annotated[Seconds, Meta(description="Seconds after which an idle connection is closed.")] = 30.0
    max_age_s: Annotated[
        Seconds, Meta(description="Seconds after which a connection is replaced, so that DNS changes are followed.")
    ] = 300.0
    waiting: Annotated[
        int, Meta(description="Most calls that wait for a connection; further ones fail at once.", ge=0, le=1_000_000)
    ] = 1024


class Timeouts(exchange.Timeouts, frozen=True, forbid_unknown_fields=True):
    """The time limits of one attempt at an upstream. A provider inherits those that it leaves out."""

    connect_s: Annotated[Seconds, Meta(description="Seconds to connect, TLS and proxy included.")] = 5.0
    first_byte_s: Annotated[
        Seconds, Meta(description="Seconds from the request's last byte to the head of the answer.")
    ] = 120.0
    between_bytes_s: Annotated[Seconds, Meta(description="Seconds between two pieces of the answer.")] = 60.0
    total_s: Annotated[Seconds, Meta(description="Seconds for the whole attempt.")] = 600.0


Weight = Annotated[int, Meta(description="Share of the load, against the weights of the others.", ge=1, le=1000)]
MOST_TIER = 100


class ProviderPool(Section, frozen=True):
    """One of several projects or keys of a provider. What it leaves out is the provider's."""

    api_key: Annotated[SecretReference | None, Meta(description="The key of this project, as a reference.")] = None
    older_api_keys: Annotated[
        tuple[SecretReference, ...],
        Meta(description="Further keys of it, the newest first: used where `api_key` is refused."),
    ] = ()
    organization: Annotated[
        str | None, Meta(description="Sent as `OpenAI-Organization`.", extra={"form": "header-value"})
    ] = None
    project: Annotated[str | None, Meta(description="Sent as `OpenAI-Project`.", extra={"form": "header-value"})] = None
    base_url: Annotated[
        str,
        Meta(
            description="Where this server is, where it is another than the provider's: several servers of one's own "
            "are pools, too. Left out: the provider's.",
            extra={"form": "base-url"},
        ),
    ] = ""
    weight: Weight = 1
    tier: Annotated[
        int,
        Meta(description="Pools of a higher tier are used only while none of a lower one can.", ge=0, le=MOST_TIER),
    ] = 0
    limits: Annotated[
        Limits | None, Meta(description="What this project may ask of each model. Left out: the provider's.")
    ] = None
    model_limits: Annotated[
        dict[UpstreamModelName, Limits], Meta(description="The same for models whose limits are others, by name.")
    ] = {}


class Probe(Section, frozen=True):
    """A small request that finds out whether a target whose circuit breaker is open is well again."""

    path: Annotated[
        str,
        Meta(
            description="Path below `base_url` that is asked for with GET, with the provider's key. An answer of 2xx "
            "says that it is well; one of 5xx, or none, that it is not; anything else says nothing.",
            pattern=r"^/[\x21-\x7e]*$",
            max_length=256,
            extra={"expected": "a path that begins with `/`, without white space"},
        ),
    ] = "/models"
    every_s: Annotated[
        float, Meta(description="Seconds from one probe to the next, all workers of a machine together.", ge=1, le=3600)
    ] = 10.0
    timeout_s: Annotated[float, Meta(description="Seconds that it may take in all.", ge=0.1, le=60)] = 5.0


_BASE_URLS = {"openai": OPENAI_BASE_URL, "anthropic": ANTHROPIC_BASE_URL, "gemini": GEMINI_BASE_URL}
_SPEAKS: dict[str, tuple[Speech, ...]] = {
    "openai-compatible": ("chat", "embeddings"),
    "anthropic": ("messages",),
    "azure": ("responses", "chat", "completions", "embeddings"),
    "gemini": ("generate_content",),
    "vertex": ("generate_content",),
}


def _vertex_url(project: str, location: str) -> str:
    """Where a project's models are (Vertex AI, "Locations", 2026-11); the first three have names of their own."""
    host = {
        "global": "aiplatform.googleapis.com",
        "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }.get(location, f"{location}-aiplatform.googleapis.com")
    return f"https://{host}/v1/projects/{quote(project, safe='')}/locations/{location}"


class Defaults(Section, frozen=True):
    """What providers inherit where they say nothing."""

    timeouts: Annotated[Timeouts, Meta(description="Time limits of one attempt.")] = Timeouts()
    deadline_s: Annotated[
        Seconds,
        Meta(
            description="Seconds for a whole call, all attempts included, where neither caller nor contract say less."
        ),
    ] = 600.0
    retries: Annotated[
        int, Meta(description="Further attempts at one target, where its failure is one that passes.", ge=0, le=10)
    ] = 2


class Provider(Section, frozen=True):
    """One upstream. Its name is what stands before the slash in `provider/model`."""

    kind: Annotated[
        Literal["openai", "openai-compatible", "azure", "anthropic", "gemini", "vertex", "simulator"],
        Meta(
            description="`openai`; any server that speaks the OpenAI API; `azure`, Azure OpenAI; `anthropic`; "
            "`gemini`, as Google's AI Studio serves it; `vertex`, the same as Vertex AI serves it; or the built-in "
            "simulator, which needs no network and no key."
        ),
    ]
    quirks: Annotated[
        QuirksName | None,
        Meta(
            description="`openai-compatible` only: which server it is. Where its API differs from OpenAI's, it is then "
            "asked in its own way, and what it has nothing for is refused by name; it also gives `base_url` and "
            "`structured_output`, where these are left out."
        ),
    ] = None
    base_url: Annotated[
        str,
        Meta(
            description="Where the API is, up to and without the endpoint's own path. Default for `openai`: "
            f"{OPENAI_BASE_URL}; for `anthropic`: {ANTHROPIC_BASE_URL}; for `gemini`: {GEMINI_BASE_URL}; "
            "for `vertex`: made of `project` and `location`; needed for `azure` (`https://NAME.openai.azure.com`) and "
            "for `openai-compatible`, unless its `quirks` have one; not for `simulator`.",
            extra={"form": "base-url"},
        ),
    ] = ""
    api_version: Annotated[
        Annotated[str, Meta(pattern="^([0-9]{4}-[0-9]{2}-[0-9]{2}(-preview)?|preview|latest)$")] | None,
        Meta(
            description="`azure` only. With a date, deployments are asked in the older way, whose paths have their "
            "names. Left out: Azure's v1 API."
        ),
    ] = None
    location: Annotated[
        Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{1,31}$")] | None,
        Meta(description="`vertex` only: the region that serves, or `global`."),
    ] = None
    insecure: Annotated[
        bool,
        Meta(description="Allow `http://` to a host that is neither loopback nor private: keys travel in clear text."),
    ] = False
    api_key: Annotated[
        SecretReference | None,
        Meta(
            description="The provider's key, as a reference; needed for all but `openai-compatible` and `simulator`. "
            "For `azure`, too, a token: `azure-token:cognitiveservices.azure.com`; for `vertex`, nothing else: "
            "`gcp-token:cloud-platform`, which is its default."
        ),
    ] = None
    older_api_keys: Annotated[
        tuple[SecretReference, ...],
        Meta(
            description="Further keys of the same project, the newest first: while `api_key` is refused, calls go "
            "out with the first of these that is not."
        ),
    ] = ()
    organization: Annotated[
        str | None, Meta(description="Sent as `OpenAI-Organization`.", extra={"form": "header-value"})
    ] = None
    project: Annotated[
        str | None,
        Meta(
            description="Sent as `OpenAI-Project`; for `vertex`, the id of the project at Google.",
            extra={"form": "header-value"},
        ),
    ] = None
    extension: Annotated[
        Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")] | None,
        Meta(
            description="`openai-compatible` only: the provider of another package that knows how this server wants to "
            "be asked, by its name in the entry points `headworks.providers`. Its code runs inside the gateway."
        ),
    ] = None
    speaks: Annotated[
        tuple[Speech, ...],
        Meta(
            description="Parts of the API that this upstream serves. Calls to `responses`, `chat` and `messages` are "
            "translated where it serves another of the three, or `generate_content`; calls to any other part are "
            "refused. Default: `[chat, embeddings]` for `openai-compatible`, `[messages]` for `anthropic`, "
            "`[generate_content]` for `gemini` and `vertex`, `[responses, chat, completions, embeddings]` for `azure`, "
            "all of the OpenAI API for the others."
        ),
    ] = ()
    models: Annotated[
        Annotated[tuple[UpstreamModelName, ...], Meta(min_length=1)] | None,
        Meta(description="The upstream's model names that may be used. Left out: any name is passed on."),
    ] = None
    regions: Annotated[
        tuple[Region, ...],
        Meta(
            description="Regions that it processes data in, all of them (`eu`, `us`, ...), as its contract says. "
            "A workload whose `data.residency` does not allow every one of them cannot have it in its chain. Left out: "
            "not known, so that a workload with a residency cannot, either."
        ),
    ] = ()
    agreements: Annotated[
        tuple[Agreement, ...],
        Meta(description="What is agreed with it. A workload that asks for more cannot have it in its chain."),
    ] = ()
    sensitivity: Annotated[
        Sensitivity,
        Meta(
            description="The most sensitive data that it may see: a workload whose `data.sensitivity` is higher cannot "
            "have it in its chain. So `restricted` data goes only where somebody has said that it may."
        ),
    ] = "confidential"
    structured_output: Annotated[
        Structured | None,
        Meta(
            description="How this upstream is asked for an answer that satisfies a workload's schema. `json_schema`: "
            "the API's own way. `grammar`: `response_format: {type: json_object, schema}`, as llama.cpp, Together and "
            "Fireworks have it. `tool`: the model has to call a tool whose parameters the schema is. `json_object`: "
            "JSON mode, with the schema in the instructions. Whichever it is, answers are validated. Left out: as "
            "`quirks` have it, or `json_schema`."
        ),
    ] = None
    headers: Annotated[
        dict[
            Annotated[str, Meta(extra={"form": "header-name"})],
            Annotated[str, Meta(extra={"form": "header-value"})],
        ],
        Meta(description="Further headers of every request upstream; a value may be a secret reference."),
    ] = {}
    proxy: Annotated[
        str | None,
        Meta(description="HTTP proxy to reach it through (CONNECT): `http://host:port`.", extra={"form": "proxy-url"}),
    ] = None
    ca_file: Annotated[
        FilePath | None, Meta(description="PEM file with the authorities to trust instead of the system's.")
    ] = None
    connections: Annotated[Connections, Meta(description="The pool of connections.")] = Connections()
    limits: Annotated[
        Limits, Meta(description="What may be asked of each model; its own limits with the provider, as a rule.")
    ] = Limits()
    model_limits: Annotated[
        dict[UpstreamModelName, Limits], Meta(description="The same for models whose limits are others, by name.")
    ] = {}
    pools: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=PROVIDER_NAME,
                    extra={"expected": "a name of lower-case letters, digits and `-`, beginning with a letter"},
                ),
            ],
            ProviderPool,
        ],
        Meta(
            description="Several projects or keys of this provider, by name: load is spread over them, and one that "
            "is over its limit, or whose key is refused, rests while the others go on. Left out: there is one, of the "
            "provider's own key."
        ),
    ] = {}
    probe: Annotated[
        Probe | None,
        Meta(
            description="Probe the provider while the circuit breaker of one of its targets is open, so that no "
            "caller's request is spent on finding out. `{}` takes the defaults. Left out: callers' requests find out."
        ),
    ] = None
    timeouts: Annotated[
        Timeouts | None,
        Meta(description="Time limits that differ from `defaults.timeouts`; those left out are inherited."),
    ] = None
    plan: Annotated[
        FilePath | None, Meta(description="`simulator` only: its plan file. Left out: the built-in plan.")
    ] = None
    seed: Annotated[int, Meta(description="`simulator` only: the seed of its answers and delays.", ge=0)] = 0
    pace: Annotated[float, Meta(description="`simulator` only: factor on its delays; 0 means none.", ge=0, le=1000)] = (
        1.0
    )

    def __post_init__(self) -> None:
        # What a kind implies is filled in here, so that it holds however the struct was made.
        if not self.base_url and self.kind in _BASE_URLS:
            force_setattr(self, "base_url", _BASE_URLS[self.kind])
        if not self.base_url and self.quirks is not None:
            force_setattr(self, "base_url", QUIRKS[self.quirks].base_url)
        if self.kind == "vertex":
            if not self.base_url and self.project and self.location:
                force_setattr(self, "base_url", _vertex_url(self.project, self.location))
            if self.api_key is None:
                force_setattr(self, "api_key", "gcp-token:cloud-platform")
        if not self.speaks:
            force_setattr(self, "speaks", _SPEAKS.get(self.kind, EVERYTHING))


TargetName = Annotated[
    str,
    Meta(pattern="^[^/]+/.+$", max_length=320, extra={"form": "model-name", "expected": "`provider/model`"}),
]


class ModelTarget(Section, frozen=True):
    """One of several targets that serve a public name equally well; `provider/model` is the short form."""

    target: Annotated[TargetName, Meta(description="The target, as `provider/model`.")]
    weight: Weight = 1
    tier: Annotated[
        int,
        Meta(description="Targets of a higher tier are used only while none of a lower one can.", ge=0, le=MOST_TIER),
    ] = 0

    @classmethod
    def from_text(cls, text: str) -> "ModelTarget":
        """The short form.

        Raises:
            ValueError: without a name on both sides of a slash.
        """
        _halves_of(text)
        return cls(text)

    @property
    def provider(self) -> str:
        """The name of the provider."""
        return self.target.partition("/")[0]

    @property
    def model(self) -> str:
        """The model's name there."""
        return self.target.partition("/")[2]


class Model(Section, frozen=True):
    """What a public model name stands for; `provider/model` is the short form."""

    provider: Annotated[str, Meta(description="Name of the provider; needed where there are no `targets`.")] = ""
    model: Annotated[
        UpstreamModelName,
        Meta(description="The model's name at that provider; needed where there are no `targets`."),
    ] = ""
    targets: Annotated[
        Annotated[tuple[ModelTarget, ...], Meta(min_length=1)],
        Meta(
            description="In the place of `provider` and `model`: several targets that serve this name equally well, "
            "each `provider/model` or `{target: provider/model, weight, tier}`. Load is spread over them, and a call "
            "that fails at one goes on with another. What is worked out ahead (estimates, limits on the length of "
            "prompts) goes by the first."
        ),
    ] = ()
    fallback: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=320, extra={"form": "model-name"})], ...],
        Meta(description="Public names, or `provider/model`, of models to go on with when this one fails, in order."),
    ] = ()
    answer: Annotated[
        Annotated[str, Meta(min_length=1, max_length=20_000)] | None,
        Meta(
            description="The text that calls of this name are answered when it and its fallbacks have failed. Left "
            "out: they get the error. What asks for JSON always does."
        ),
    ] = None

    def __post_init__(self) -> None:
        if self.targets and not self.provider:
            force_setattr(self, "provider", self.targets[0].provider)
            force_setattr(self, "model", self.targets[0].model)

    @classmethod
    def from_text(cls, text: str) -> "Model":
        """The short form. Upstream names may hold slashes: only the first one divides.

        Raises:
            ValueError: without a name on both sides of a slash.
        """
        provider, model = _halves_of(text)
        return cls(provider=provider, model=model)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Provider and model of everything that the name stands for."""
        return tuple((one.provider, one.model) for one in self.targets) or ((self.provider, self.model),)


def _halves_of(text: str) -> tuple[str, str]:
    provider, slash, model = text.partition("/")
    if not (provider and slash and model):
        raise ValueError("expected `provider/model`")
    return provider, model


TIER_ROLES = ("nano", "mini", "flagship")
"""What a workload's contract calls models by, from cheapest to best: the fields of `Tiers`."""

TierModel = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]


class Tiers(Section, frozen=True):
    """Which model plays each role. Contracts name roles, so that a new generation of models is one change, here."""

    nano: Annotated[TierModel | None, Meta(description="The cheapest: a public model name, or `provider/model`.")] = (
        None
    )
    mini: Annotated[TierModel | None, Meta(description="The middle one, named in the same way.")] = None
    flagship: Annotated[TierModel | None, Meta(description="The best, named in the same way.")] = None


Factor = Annotated[Decimal, Meta(extra={"form": "amount"}, extra_json_schema={"type": "number", "minimum": 0})]
Speed = Annotated[
    Decimal, Meta(extra={"form": "positive-amount"}, extra_json_schema={"type": "number", "exclusiveMinimum": 0})
]


class SelfHosted(Section, frozen=True):
    """Machines of your own, whose hours are turned into prices of tokens."""

    gpu_hour: Annotated[Usd, Meta(description="Dollars for one GPU in one hour, everything included.")]
    output_tokens_per_s: Annotated[
        Speed, Meta(description="Tokens that the machine writes in a second, all requests together, under full load.")
    ]
    input_tokens_per_s: Annotated[
        Speed | None,
        Meta(
            description="Tokens that it reads in a second, under full load. Left out: output carries all of the cost."
        ),
    ] = None
    gpus: Annotated[int, Meta(description="How many GPUs the machine has.", ge=1, le=100_000)] = 1
    busy_percent: Annotated[
        Decimal,
        Meta(
            description="Share of the paid hours in which it works; the tokens pay for the rest, too.",
            extra={"form": "percent"},
            extra_json_schema={"type": "number", "exclusiveMinimum": 0, "maximum": 100},
        ),
    ] = Decimal(100)


class ProviderPrices(Section, frozen=True):
    """How the prices of one provider differ from the list prices."""

    catalogue: Annotated[
        str | None,
        Meta(
            description="The catalogue's provider whose list prices hold; `headworks models providers` lists them. "
            "Left out: the one whose API is at `base_url`, OpenAI's for the simulator."
        ),
    ] = None
    discount_percent: Annotated[
        Decimal,
        Meta(
            description="Comes off every list price. Negative: a surcharge, as for processing in a region.",
            extra={"form": "discount"},
            extra_json_schema={"type": "number", "minimum": -1000, "maximum": 100},
        ),
    ] = Decimal(0)
    self_hosted: Annotated[
        SelfHosted | None, Meta(description="Its models run on machines of your own: no list prices hold.")
    ] = None


class LongContext(Section, frozen=True):
    """Higher prices of the whole call when its input is long."""

    above: Annotated[int, Meta(description="Tokens of input that a call may have at the lower prices.", ge=1)]
    input_factor: Annotated[Factor, Meta(description="Factor on all prices of input.")] = Decimal(1)
    output_factor: Annotated[Factor, Meta(description="Factor on all prices of output.")] = Decimal(1)


class OwnPrices(Section, frozen=True):
    """A contract's prices of one model, in dollars per million tokens: complete, without list price or discount."""

    input: Annotated[Usd, Meta(description="Input.")]
    output: Annotated[Usd, Meta(description="Output, reasoning included.")]
    cached_input: Annotated[Usd | None, Meta(description="Input read from the prompt cache. Left out: as input.")] = (
        None
    )
    cache_write: Annotated[Usd | None, Meta(description="Input written to the prompt cache. Left out: as input.")] = (
        None
    )
    cache_write_long: Annotated[
        Usd | None,
        Meta(description="The same, with the longer time to live (1 hour, 12 hours). Left out: as `cache_write`."),
    ] = None
    reasoning: Annotated[Usd | None, Meta(description="Reasoning. Left out: as output.")] = None
    audio_input: Annotated[Usd | None, Meta(description="Audio in. Left out: as input.")] = None
    audio_output: Annotated[Usd | None, Meta(description="Audio out. Left out: as output.")] = None
    image_input: Annotated[Usd | None, Meta(description="Images in. Left out: as input.")] = None
    image_output: Annotated[Usd | None, Meta(description="Images out. Left out: as output.")] = None
    request: Annotated[Usd | None, Meta(description="Dollars for each request as such.")] = None
    batch_factor: Annotated[Factor | None, Meta(description="Factor on all prices for batch jobs. Left out: 1.")] = None
    flex_factor: Annotated[Factor | None, Meta(description="The same for the tier `flex`.")] = None
    priority_factor: Annotated[Factor | None, Meta(description="The same for the tier `priority`.")] = None
    long_context: Annotated[LongContext | None, Meta(description="Higher prices of long input.")] = None
    source: Annotated[str, Meta(description="Where the prices are from: a contract, an offer.", max_length=200)] = ""


PublicKey = Annotated[str, Meta(extra={"form": "public-key"})]


class Pricing(Section, frozen=True):
    """What calls cost here, where that differs from the catalogue's list prices, and who may renew the catalogue."""

    providers: Annotated[
        dict[str, ProviderPrices], Meta(description="By name of the provider: discounts, machines of your own.")
    ] = {}
    models: Annotated[
        dict[TargetName, OwnPrices], Meta(description="By `provider/model`: a contract's own prices.")
    ] = {}
    update_url: Annotated[
        str | None,
        Meta(
            description="Where `headworks models update` finds a newer catalogue; its signature is there with `.sig`.",
            extra={"form": "base-url"},
        ),
    ] = None
    update_keys: Annotated[
        tuple[PublicKey, ...],
        Meta(description="Who may sign a newer catalogue: Ed25519 public keys in base64."),
    ] = ()


class WebhookAlert(Section, frozen=True, kw_only=True):
    """An URL that is posted to."""

    url: Annotated[LocalSecretReference, Meta(description="Where its URL is: it is as good as a password.")]
    format: Annotated[
        Literal["json", "slack"],
        Meta(description="`slack`: a message with `text`, as Slack, Mattermost and others take it."),
    ] = "json"
    secret: Annotated[
        LocalSecretReference | None,
        Meta(description="Where the secret is that signs the body (HMAC-SHA-256 in `x-headworks-signature`)."),
    ] = None


MailAddress = Annotated[str, Meta(pattern="^[^@\\s,]+@[^@\\s,]+$", max_length=320)]


class MailAlert(Section, frozen=True, kw_only=True):
    """An e-mail."""

    server: Annotated[
        LocalSecretReference,
        Meta(description="Where the server's URL is: `smtp://user:password@host:587` (with STARTTLS), or `smtps://`."),
    ]
    sender: Annotated[MailAddress, Meta(description="Whom it is from.")]
    to: Annotated[tuple[MailAddress, ...], Meta(description="Whom it is for.", min_length=1)]


class Alerts(Section, frozen=True):
    """Who is told when a budget is reached. It stands in the log in any case."""

    webhooks: Annotated[tuple[WebhookAlert, ...], Meta(description="URLs that are posted to.")] = ()
    mail: Annotated[MailAlert | None, Meta(description="An e-mail.")] = None


class Config(Section, frozen=True, kw_only=True):
    """The whole of `headworks.yaml`."""

    version: Annotated[Literal[1], Meta(description="The version of this file's format.")] = 1
    server: Annotated[Server, Meta(description="The listener.")] = Server()
    access: Annotated[Access, Meta(description="Who may call.")] = Access()
    storage: Annotated[Storage, Meta(description="Where state is kept.")] = Storage()
    records: Annotated[Records, Meta(description="What is kept of each call.")] = Records()
    alerts: Annotated[Alerts, Meta(description="Who is told when a budget is reached.")] = Alerts()
    audit: Annotated[Audit, Meta(description="The log of who did what, in which changes are found.")] = Audit()
    quotas: Annotated[Quotas, Meta(description="Limits that workers and machines share.")] = Quotas()
    secrets: Annotated[Secrets, Meta(description="Where keys are that a secret manager keeps.")] = Secrets()
    providers: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=PROVIDER_NAME,
                    extra={"expected": "a name of lower-case letters, digits and `-`, beginning with a letter"},
                ),
            ],
            Provider,
        ],
        Meta(description="The upstreams, by name; at least one.", min_length=1),
    ]
    models: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=PUBLIC_MODEL_NAME,
                    extra={
                        "expected": "a name of letters, digits and `. _ : / @ + -`, beginning with a letter or digit"
                    },
                ),
            ],
            Model,
        ],
        Meta(description="Public model names and what they stand for."),
    ] = {}
    tiers: Annotated[Tiers, Meta(description="The models that contracts call by their role.")] = Tiers()
    prices: Annotated[Pricing, Meta(description="What calls cost here, beside the list prices.")] = Pricing()
    workloads: Annotated[
        FilePath, Meta(description="Folder of the workloads, one folder each. It need not be there.")
    ] = "workloads"
    screening: Annotated[
        PlainScreening, Meta(description="What is looked for in calls that belong to no workload.")
    ] = PlainScreening()
    defaults: Annotated[Defaults, Meta(description="What providers inherit.")] = Defaults()
