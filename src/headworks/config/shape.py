"""What `headworks.yaml` may say: one struct a section, every field with its meaning, bounds and default.

These descriptions are the reference documentation and the JSON Schema. A field's `extra` names what the reader of
configuration must know beyond the type: `form` is a check of the text (`headworks.config.forms`), `expected` the
words for an error message.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from headworks import exchange

PROVIDER_NAME = "^[a-z][a-z0-9-]{0,62}$"
"""A provider's name: it stands in model names before the slash, in records and in metric labels."""

PUBLIC_MODEL_NAME = "^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}$"
"""A model's public name: what callers send as `model`."""

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Where the OpenAI API is (API reference, 2026-11)."""

ANTHROPIC_BASE_URL = "https://api.anthropic.com/v1"
"""Where Anthropic's API is (API reference, 2026-11)."""

Speech = Literal["responses", "chat", "messages", "embeddings", "moderations", "images", "audio", "models"]
"""A part of the OpenAI API that an upstream serves, or Anthropic's Messages; `dialects` bridges between `responses`,
`chat` and `messages`."""

EVERYTHING: tuple[Speech, ...] = ("responses", "chat", "embeddings", "moderations", "images", "audio", "models")
"""All of the OpenAI API."""

SecretReference = Annotated[
    str,
    Meta(
        pattern="^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$",
        extra={"form": "secret-reference"},
        examples=["env:OPENAI_API_KEY", "file:/run/secrets/openai"],
    ),
]
"""Where a secret is: `env:NAME` (an environment variable) or `file:PATH` (a file's only line). Never the secret."""

Seconds = Annotated[float, Meta(gt=0, le=86_400)]
FilePath = Annotated[str, Meta(min_length=1, max_length=4096, extra={"form": "path"})]
UpstreamModelName = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]


class Section(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A mapping of the file: fields are known, unknown ones are errors."""


class Tls(Section, frozen=True):
    """TLS for the listener."""

    certificate: Annotated[FilePath, Meta(description="PEM file with the certificate and its chain.")]
    key: Annotated[FilePath, Meta(description="PEM file with the unencrypted private key.")]


class Server(Section, frozen=True):
    """Where the gateway listens, and the bounds on what a client may send and how long it may take."""

    host: Annotated[str, Meta(description="Address or name to listen on.", extra={"form": "host"})] = "127.0.0.1"
    port: Annotated[int, Meta(description="TCP port to listen on; 0 takes a free one.", ge=0, le=65_535)] = 4000
    workers: Annotated[int, Meta(description="Processes that serve calls; one a core is enough.", ge=1, le=256)] = 1
    tls: Annotated[Tls | None, Meta(description="Serve HTTPS instead of HTTP.")] = None
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
    grace_s: Annotated[
        float, Meta(description="Seconds that calls under way may take to finish after a stop.", ge=0, le=86_400)
    ] = 30.0
    connections: Annotated[int, Meta(description="Most client connections of a worker.", ge=1, le=1_000_000)] = 10_000


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


class Records(Section, frozen=True):
    """What is kept of each call."""

    bodies: Annotated[
        bool, Meta(description="Also store request and response bodies; they hold what people wrote.")
    ] = False


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


_BASE_URLS = {"openai": OPENAI_BASE_URL, "anthropic": ANTHROPIC_BASE_URL}
_SPEAKS: dict[str, tuple[Speech, ...]] = {"openai-compatible": ("chat", "embeddings"), "anthropic": ("messages",)}


class Defaults(Section, frozen=True):
    """What providers inherit where they say nothing."""

    timeouts: Annotated[Timeouts, Meta(description="Time limits of one attempt.")] = Timeouts()


class Provider(Section, frozen=True):
    """One upstream. Its name is what stands before the slash in `provider/model`."""

    kind: Annotated[
        Literal["openai", "openai-compatible", "anthropic", "simulator"],
        Meta(
            description="`openai`; any server that speaks the OpenAI API; `anthropic`; or the built-in simulator, "
            "which needs no network and no key."
        ),
    ]
    base_url: Annotated[
        str,
        Meta(
            description="Where the API is, up to and without the endpoint's own path. Default for `openai`: "
            f"{OPENAI_BASE_URL}; for `anthropic`: {ANTHROPIC_BASE_URL}; needed for `openai-compatible`; not for "
            "`simulator`.",
            extra={"form": "base-url"},
        ),
    ] = ""
    insecure: Annotated[
        bool,
        Meta(description="Allow `http://` to a host that is neither loopback nor private: keys travel in clear text."),
    ] = False
    api_key: Annotated[
        SecretReference | None,
        Meta(description="The provider's key, as a reference; needed for `openai` and `anthropic`."),
    ] = None
    organization: Annotated[
        str | None, Meta(description="Sent as `OpenAI-Organization`.", extra={"form": "header-value"})
    ] = None
    project: Annotated[str | None, Meta(description="Sent as `OpenAI-Project`.", extra={"form": "header-value"})] = None
    speaks: Annotated[
        tuple[Speech, ...],
        Meta(
            description="Parts of the API that this upstream serves. Calls to `responses`, `chat` and `messages` are "
            "translated where it serves another of the three; calls to any other part are refused. Default: "
            "`[chat, embeddings]` for `openai-compatible`, `[messages]` for `anthropic`, all of the OpenAI API for the "
            "others."
        ),
    ] = ()
    models: Annotated[
        Annotated[tuple[UpstreamModelName, ...], Meta(min_length=1)] | None,
        Meta(description="The upstream's model names that may be used. Left out: any name is passed on."),
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
        if not self.speaks:
            force_setattr(self, "speaks", _SPEAKS.get(self.kind, EVERYTHING))


class Model(Section, frozen=True):
    """What a public model name stands for; `provider/model` is the short form."""

    provider: Annotated[str, Meta(description="Name of the provider.")]
    model: Annotated[UpstreamModelName, Meta(description="The model's name at that provider.")]

    @classmethod
    def from_text(cls, text: str) -> "Model":
        """The short form. Upstream names may hold slashes: only the first one divides.

        Raises:
            ValueError: without a name on both sides of a slash.
        """
        provider, slash, model = text.partition("/")
        if not (provider and slash and model):
            raise ValueError("expected `provider/model`")
        return cls(provider=provider, model=model)


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


class Config(Section, frozen=True, kw_only=True):
    """The whole of `headworks.yaml`."""

    version: Annotated[Literal[1], Meta(description="The version of this file's format.")] = 1
    server: Annotated[Server, Meta(description="The listener.")] = Server()
    access: Annotated[Access, Meta(description="Who may call.")] = Access()
    storage: Annotated[Storage, Meta(description="Where state is kept.")] = Storage()
    records: Annotated[Records, Meta(description="What is kept of each call.")] = Records()
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
    workloads: Annotated[
        FilePath, Meta(description="Folder of the workloads, one folder each. It need not be there.")
    ] = "workloads"
    defaults: Annotated[Defaults, Meta(description="What providers inherit.")] = Defaults()
