"""The section `providers`: the upstreams, by name."""

from typing import Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import force_setattr

from headworks.config.managers import SecretReference
from headworks.config.quirks import QUIRKS, QuirksName, Structured
from headworks.config.sections.base import Agreement, FilePath, Region, Section, Sensitivity, UpstreamModelName
from headworks.config.sections.kinds import (
    ANTHROPIC_BASE_URL,
    BASE_URLS,
    EVERYTHING,
    GEMINI_BASE_URL,
    OPENAI_BASE_URL,
    SPEAKS,
    Speech,
    bedrock_url,
    vertex_url,
)
from headworks.config.sections.limits import Limits
from headworks.config.sections.upstreams import Connections, Probe, ProviderPool, Timeouts, UsageTier

PROVIDER_NAME = "^[a-z][a-z0-9-]{0,62}$"
"""A provider's name: it stands in model names before the slash, in records and in metric labels."""


class Provider(Section, frozen=True):
    """One upstream. Its name is what stands before the slash in `provider/model`."""

    kind: Annotated[
        Literal["openai", "openai-compatible", "azure", "anthropic", "gemini", "vertex", "bedrock", "simulator"],
        Meta(
            description="`openai`; any server that speaks the OpenAI API; `azure`, Azure OpenAI; `anthropic`; "
            "`gemini`, as Google's AI Studio serves it; `vertex`, the same as Vertex AI serves it; `bedrock`, AWS "
            "Bedrock; or the built-in simulator, which needs no network and no key."
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
            "for `vertex`: made of `project` and `location`, for `bedrock`: of `region`; needed for `azure` "
            "(`https://NAME.openai.azure.com`) and for `openai-compatible`, unless its `quirks` have one; not for "
            "`simulator`.",
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
    region: Annotated[
        Annotated[str, Meta(pattern="^[a-z]{2,10}(-[a-z]{2,12}){1,3}-[0-9]{1,2}$")] | None,
        Meta(description="`bedrock` only: the region of AWS that is asked, such as `eu-central-1`."),
    ] = None
    access_key_id: Annotated[
        SecretReference | None,
        Meta(
            description="`bedrock` only: an access key of AWS's, in the place of `api_key`; requests are signed with "
            "it. Left out, as is `api_key`: whoever this machine is at AWS (`aws-credentials:default`)."
        ),
    ] = None
    secret_access_key: Annotated[
        SecretReference | None, Meta(description="`bedrock` only: the secret of `access_key_id`.")
    ] = None
    session_token: Annotated[
        SecretReference | None,
        Meta(description="`bedrock` only: what belongs to an `access_key_id` that is good for some hours only."),
    ] = None
    guardrail: Annotated[
        Annotated[str, Meta(pattern="^[a-z0-9:/-]+:([1-9][0-9]{0,7}|DRAFT)$", max_length=2100)] | None,
        Meta(description="`bedrock` only: the guardrail that every call goes through, as `ID:VERSION`."),
    ] = None
    latency: Annotated[
        Literal["standard", "optimized"] | None,
        Meta(description="`bedrock` only: `optimized` asks for the faster version of a model that has one."),
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
            "`gcp-token:cloud-platform`, which is its default; for `bedrock`, a Bedrock API key, or credentials that "
            "requests are signed with: `aws-credentials:PROFILE`, whose default is `aws-credentials:default`."
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
            "translated where it serves another of the three, `generate_content` or `converse`, calls to `embeddings` "
            "where it serves `embed_content` or `invoke_model`; calls to any other part are refused. Default: `[chat, "
            "embeddings]` for `openai-compatible`, `[messages]` for `anthropic`, `[generate_content, embed_content, "
            "cached_contents]` for `gemini` and `vertex`, `[converse, "
            "invoke_model]` for `bedrock`, `[responses, chat, completions, embeddings, realtime]` for `azure`, all of "
            "the OpenAI API for the others."
        ),
    ] = ()
    models: Annotated[
        Annotated[tuple[UpstreamModelName, ...], Meta(min_length=1)] | None,
        Meta(description="The upstream's model names that may be used. Left out: any name is passed on."),
    ] = None
    deployments: Annotated[
        dict[UpstreamModelName, UpstreamModelName],
        Meta(
            description="Which model stands behind a name that does not say so, such as that of a deployment on Azure "
            "or of an inference profile: `my-deployment: gpt-6-luna`. Prices, limits of the context and dates of "
            "retirement are those of this model in the catalogue, and what it can be asked is what this model can: "
            "reasoning efforts, tools one at a time, marks for its prompt cache."
        ),
    ] = field(default_factory=dict)
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
            "JSON mode, with the schema in the instructions. `bedrock` has the first and `tool`. Whichever it is, "
            "answers are validated. Left out: as `quirks` have it, or `json_schema`."
        ),
    ] = None
    headers: Annotated[
        dict[
            Annotated[str, Meta(extra={"form": "header-name"})],
            Annotated[str, Meta(extra={"form": "header-value"})],
        ],
        Meta(description="Further headers of every request upstream; a value may be a secret reference."),
    ] = field(default_factory=dict)
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
    ] = field(default_factory=dict)
    usage_tier: Annotated[
        UsageTier | None,
        Meta(
            description="The usage tier of the account, as `headworks models show MODEL` lists them (OpenAI: `3`; "
            "Anthropic: `build`; Azure: `global-3`). `headworks check` and `headworks doctor` then compare `limits` "
            "with what the provider documents for it. It limits nothing by itself."
        ),
    ] = None
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
    ] = field(default_factory=dict)
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
        if not self.base_url and self.kind in BASE_URLS:
            force_setattr(self, "base_url", BASE_URLS[self.kind])
        if not self.base_url and self.quirks is not None:
            force_setattr(self, "base_url", QUIRKS[self.quirks].base_url)
        if self.kind == "vertex":
            if not self.base_url and self.project and self.location:
                force_setattr(self, "base_url", vertex_url(self.project, self.location))
            if self.api_key is None:
                force_setattr(self, "api_key", "gcp-token:cloud-platform")
        if self.kind == "bedrock":
            if not self.base_url and self.region:
                force_setattr(self, "base_url", bedrock_url(self.region))
            has_keys = bool(self.pools) and all(pool.api_key is not None for pool in self.pools.values())
            if self.api_key is None and self.access_key_id is None and not has_keys:
                force_setattr(self, "api_key", "aws-credentials:default")
        if not self.speaks:
            force_setattr(self, "speaks", SPEAKS.get(self.kind, EVERYTHING))
