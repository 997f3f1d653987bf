"""What `workload.yaml` may say: the contract of one workload, every field with its meaning, bounds and default.

A workload is one job that an application gives to a model. Its folder's name is its name; a prompt, an output schema,
rules and a golden set lie beside the contract under the names given here. As in `shape`, the descriptions are the
reference documentation and the JSON Schema.
"""

from typing import Annotated, Literal

from msgspec import Meta, field

from headworks.config.injection import Injection
from headworks.config.privacy import Privacy
from headworks.config.sections.base import (
    Agreement,
    Droppable,
    FilePath,
    Priority,
    Region,
    Seconds,
    Section,
    Sensitivity,
)
from headworks.config.sections.limits import Spending

WORKLOAD_NAME = "^[a-z][a-z0-9-]{0,62}$"
"""A workload's name, which is its folder's: callers send it as `model`."""

PARAMETER_NAME = "^[a-z][a-z0-9_]{0,62}$"
TOOL_NAME = "^[A-Za-z0-9_-]{1,64}$"

Share = Annotated[float, Meta(ge=0, le=1)]
ModelName = Annotated[str, Meta(min_length=1, max_length=256, extra={"form": "model-name"})]
"""A tier's role (`nano`, `mini`, `flagship`), bound in headworks.yaml under `tiers`, or any public model name."""

Regulation = Literal["gdpr", "hipaa", "pci", "ccpa", "sox", "ferpa"]


class Volume(Section, frozen=True):
    """How much work is expected. Figures are what costs and plans are worked out from until traffic shows better."""

    calls_per_day: Annotated[int, Meta(description="Expected calls a day.", ge=0)] = 1000
    peak_per_minute: Annotated[int, Meta(description="Expected calls in the busiest minute; 0: not known.", ge=0)] = 0
    input_tokens: Annotated[
        int, Meta(description="Typical variable input tokens of a call, beyond the prompt's own.", ge=0)
    ] = 500
    output_tokens: Annotated[int, Meta(description="Typical output tokens of a call.", ge=0)] = 200


class Latency(Section, frozen=True):
    """What the user of the application will wait for."""

    total_s: Annotated[Seconds, Meta(description="Seconds from call to last byte, fallbacks included.")] = 60.0
    first_token_s: Annotated[
        Seconds | None, Meta(description="Seconds to the first visible piece of a streamed answer.")
    ] = None
    hedge: Annotated[
        bool,
        Meta(
            description="When a stream has not begun by the time within which 95 of 100 did, ask the next target as "
            "well, take whoever begins first, and give the other up. Both are paid for."
        ),
    ] = False


class Data(Section, frozen=True):
    """What the input may hold and where it may go."""

    sensitivity: Annotated[
        Sensitivity,
        Meta(
            description="How harmful it is when it leaks. Every provider of the ladder and the chain must be one that "
            "may see such data (`sensitivity` there); `restricted` data only goes where that is said."
        ),
    ] = "internal"
    regulations: Annotated[tuple[Regulation, ...], Meta(description="Regulations that apply to the data.")] = ()
    residency: Annotated[
        tuple[Region, ...],
        Meta(
            description="Regions that the data may be processed in (`eu`, `us`, ...); none means anywhere. Every "
            "provider of the ladder and the chain must say that it processes data in these only."
        ),
    ] = ()
    agreements: Annotated[
        tuple[Agreement, ...], Meta(description="What must be agreed with every provider that the data goes to.")
    ] = ()


class Quality(Section, frozen=True):
    """What is good enough."""

    bar: Annotated[Share, Meta(description="Share of the golden set that must be right.")] = 0.9
    measure: Annotated[str, Meta(description="What is counted as right.", min_length=1, max_length=64)] = "accuracy"


class OutputLimits(Section, frozen=True):
    """What the model may spend on its answer. Sent with every call; the caller cannot exceed them."""

    max_tokens: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Most output tokens, reasoning included.")
    ] = None
    stop: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(description="Sequences at which the model stops; at most 4 (OpenAI API reference, 2026-10)."),
    ] = ()
    verbosity: Annotated[
        Literal["low", "medium", "high"] | None, Meta(description="How much the model is asked to write.")
    ] = None
    reasoning_effort: Annotated[
        Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None,
        Meta(description="How much the model is asked to think."),
    ] = None
    temperature: Annotated[Annotated[float, Meta(ge=0, le=2)] | None, Meta(description="Sampling temperature.")] = None


class Validation(Section, frozen=True):
    """What happens to an answer that breaks the schema or a rule."""

    repairs: Annotated[
        int, Meta(description="Turns in which the model is told what is wrong and may mend it.", ge=0, le=3)
    ] = 1
    otherwise: Annotated[
        Literal["fail", "fallback", "mark"],
        Meta(
            description="What then: `fail` answers with an error, `fallback` goes on with the next target, `mark` "
            "passes the answer on and says so. An answer that breaks the schema is never passed on."
        ),
    ] = "fail"
    rules_timeout_s: Annotated[Seconds, Meta(description="Seconds that all rules together may take.")] = 1.0


class Window(Section, frozen=True, kw_only=True):
    """How much of a conversation goes up with each call."""

    turns: Annotated[
        int,
        Meta(
            description="Turns that go up at most, the last ones. A turn begins with the user's words, and has all "
            "that follows until the user speaks again.",
            ge=1,
            le=1000,
        ),
    ]
    step: Annotated[
        Annotated[int, Meta(ge=1, le=1000)] | None,
        Meta(
            description="Turns that are left out at a time: in between the beginning stays the same, and with it the "
            "prompt cache. Left out: half of `turns`."
        ),
    ] = None


class Streaming(Section, frozen=True):
    """What happens to a stream that breaks off."""

    on_break: Annotated[
        Literal["end", "continue"],
        Meta(
            description="When the provider breaks off after text has gone out: `end` ends the stream with an error, "
            "`continue` has the next target go on from the text so far. Not for answers that are held to a schema."
        ),
    ] = "end"


class Action(Section, frozen=True):
    """What may happen when the model calls a tool that has a side effect."""

    policy: Annotated[
        Literal["allow", "deny", "hold"],
        Meta(description="`hold` keeps the call until a person has approved it."),
    ] = "hold"
    expires_s: Annotated[Seconds, Meta(description="Seconds after which a held call is denied.")] = 3600.0


class Screening(Section, frozen=True):
    """What is looked for in what goes up and comes down, beyond the form and meaning of answers."""

    privacy: Annotated[
        Privacy | None,
        Meta(
            description="Personal data and secrets: found and replaced before a call goes up. Left out: not looked for."
        ),
    ] = None
    injection: Annotated[
        Injection | None,
        Meta(
            description="Instructions that stand in data: looked for, fenced off, and kept from having side effects. "
            "Left out: not looked for."
        ),
    ] = None


class Canary(Section, frozen=True):
    """A second prompt version that takes a share of the calls."""

    version: Annotated[str, Meta(description="The published version that is tried.", min_length=5, max_length=64)]
    share: Annotated[Share, Meta(description="Share of the calls.")] = 0.05
    key: Annotated[
        Literal["call", "user", "key"],
        Meta(description="Who stays with one version: nobody, each end user, or each virtual key."),
    ] = "user"


class Retention(Section, frozen=True):
    """What is kept of this workload's calls, and for how long."""

    content: Annotated[
        Literal["off", "redacted", "full"],
        Meta(description="What of requests and answers is kept (encrypted) for replay."),
    ] = "off"
    days: Annotated[int, Meta(description="Days that content is kept.", ge=1, le=3650)] = 30
    prefixes: Annotated[
        bool,
        Meta(
            description="Keep keyed hashes of each request's beginning for 30 days, for `headworks calls cache`. They "
            "tell which requests begin alike, and nothing else."
        ),
    ] = False


class SemanticCache(Section, frozen=True, kw_only=True):
    """Answers that are given to calls that are like an earlier one in one text, and the same in all else.

    Only with evidence in headworks.lock, which `headworks cache measure` writes: of golden cases that are so much
    alike, too few expect different answers. It holds for the golden set, prompt, threshold and model that it was
    found with; where one of them has changed, nothing is served until it is measured again.
    """

    at_least: Annotated[
        float,
        Meta(description="How like two texts must be: the cosine of their vectors.", ge=0.5, le=1.0),
    ] = 0.95
    over: Annotated[
        str,
        Meta(
            description="The prompt's variable whose text is compared. Left out: the caller's last message.",
            max_length=64,
        ),
    ] = ""
    most_false: Annotated[
        float,
        Meta(
            description="Share of such answers that may be wrong. The upper end of what was measured must be below it.",
            gt=0,
            le=0.2,
        ),
    ] = 0.05


class Cache(Section, frozen=True):
    """Answers that are given again to calls that are the same, so that no model is asked."""

    ttl_s: Annotated[
        float,
        Meta(description="Seconds for which an answer may be given again; at most a week.", gt=0, le=604_800),
    ] = 3600.0
    scope: Annotated[
        Literal["key", "team", "user"],
        Meta(
            description="Who shares answers: the calls of one virtual key; of all keys of a team; or of one key for "
            "one end user (`user`). Never anybody else."
        ),
    ] = "key"
    store: Annotated[
        Literal["memory", "sqlite", "valkey"],
        Meta(
            description="Where answers lie: in the memory of each worker; sealed in a file that the workers of one "
            "machine share; sealed in the server that `quotas.valkey` names, which machines share."
        ),
    ] = "memory"
    most_bytes: Annotated[
        int,
        Meta(
            description="Bytes that this workload's answers may take together: in the memory of each worker, or in the "
            "file. In Valkey its own settings hold.",
            ge=65_536,
        ),
    ] = 64 * 1024 * 1024
    replay: Annotated[
        Literal["at_once", "original"],
        Meta(description="How fast a stream is given again: all at once, or at the pace at which it came."),
    ] = "at_once"
    semantic: Annotated[
        SemanticCache | None,
        Meta(
            description="Give answers to calls that are like an earlier one, too. Needs the extra `semantic`, and "
            "evidence by `headworks cache measure`. Left out: only to calls that are the same."
        ),
    ] = None


class Contract(Section, frozen=True, kw_only=True):
    """The whole of `workload.yaml`."""

    version: Annotated[Literal[1], Meta(description="The version of this file's format.")] = 1
    owner: Annotated[str, Meta(description="The team that answers for it.", min_length=1, max_length=128)]
    description: Annotated[str, Meta(description="The job, in a sentence.", min_length=1, max_length=1000)]
    ladder: Annotated[
        Annotated[tuple[ModelName, ...], Meta(min_length=1)],
        Meta(description="Rungs from cheapest to best: tier roles or public model names."),
    ] = ("nano", "mini", "flagship")
    model: Annotated[
        ModelName | None,
        Meta(description="The rung in use. Left out: what headworks.lock has decided, else the first rung."),
    ] = None
    fallback: Annotated[
        tuple[ModelName, ...], Meta(description="Models to go on with when the one in use fails, in this order.")
    ] = ()
    first: Annotated[
        Literal["model", "deterministic"],
        Meta(
            description="`deterministic`: the function in `first.py` is asked before any model, and the model for what "
            "it leaves."
        ),
    ] = "model"
    prompt: Annotated[
        FilePath | None, Meta(description="The prompt's file. Left out: `prompt.md` if there is one.")
    ] = None
    schema: Annotated[
        FilePath | None,
        Meta(description="JSON Schema that the answer must satisfy. Left out: `schema.json` if there is one."),
    ] = None
    rules: Annotated[
        FilePath | None, Meta(description="Python rules over the output. Left out: `rules.py` if there is one.")
    ] = None
    tools: Annotated[
        FilePath | None,
        Meta(description="Tools that the model may call, as the Responses API has them. Default: `tools.json`."),
    ] = None
    golden: Annotated[
        FilePath | None, Meta(description="The golden set, JSON lines. Left out: `golden.jsonl` if there is one.")
    ] = None
    volume: Annotated[Volume, Meta(description="How much work is expected.")] = Volume()
    budget: Annotated[Spending, Meta(description="What its calls may cost together.")] = Spending()
    latency: Annotated[Latency, Meta(description="How long it may take.")] = Latency()
    data: Annotated[Data, Meta(description="What the input may hold and where it may go.")] = Data()
    failure_cost: Annotated[
        Literal["low", "medium", "high", "critical"], Meta(description="What a wrong or missing answer costs.")
    ] = "medium"
    urgency: Annotated[
        Literal["interactive", "deferred"],
        Meta(
            description="`interactive`: somebody waits. `deferred`: within a day is soon enough; the plan and the "
            "class of its calls go by it, and batches are made by the application."
        ),
    ] = "interactive"
    priority: Annotated[
        Priority | None,
        Meta(
            description="Class of its calls, from 0 to 3: a lower one is served first where calls wait, and refused "
            "last where the gateway has too much to do. Left out: 3 if `urgency` is `deferred`, else its caller's."
        ),
    ] = None
    quality: Annotated[Quality, Meta(description="What is good enough.")] = Quality()
    state: Annotated[
        Literal["stateless", "window", "summarised", "replay", "provider"],
        Meta(
            description="How a conversation is remembered from turn to turn. The plan goes by it; the gateway passes "
            "on what the application sends (`window` can cut that), and with `provider` also `previous_response_id` "
            "and `conversation`."
        ),
    ] = "stateless"
    window: Annotated[
        Window | None,
        Meta(description="With `state: window`: the turns that go up. Left out: all that the application sends."),
    ] = None
    output: Annotated[OutputLimits, Meta(description="What the model may spend on its answer.")] = OutputLimits()
    validation: Annotated[Validation, Meta(description="What happens to an answer that breaks schema or rules.")] = (
        Validation()
    )
    streaming: Annotated[Streaming, Meta(description="What happens to a stream that breaks off.")] = Streaming()
    refusals: Annotated[
        Literal["pass", "fallback"],
        Meta(
            description="When the model, or its provider's policy, declines for what the request is about: `pass` "
            "tells the caller, `fallback` asks the next of the chain (of a stream: what declines before it begins)."
        ),
    ] = "pass"
    actions: Annotated[
        dict[Annotated[str, Meta(pattern=TOOL_NAME)], Action],
        Meta(description="Tools with side effects, by name. A tool that is not named here only reads."),
    ] = field(default_factory=dict)
    screening: Annotated[Screening, Meta(description="What is looked for in what goes up and comes down.")] = (
        Screening()
    )
    caller_may_set: Annotated[
        tuple[Annotated[str, Meta(pattern=PARAMETER_NAME)], ...],
        Meta(
            description="Parameters that the contract fixes and a caller may change all the same. `fallback` and "
            "`retries` let callers do without them, by the headers `x-headworks-fallback` and `x-headworks-retries`."
        ),
    ] = ()
    droppable: Annotated[
        Droppable,
        Meta(
            description="Fields of requests that are left out for a target that has nothing for them, and then named "
            "in the header `x-headworks-dropped`. Of what is not listed here, the call is refused."
        ),
    ] = ()
    canary: Annotated[Canary | None, Meta(description="A second prompt version on trial.")] = None
    retention: Annotated[Retention, Meta(description="What is kept, and for how long.")] = Retention()
    cache: Annotated[
        Cache | None,
        Meta(description="Give answers again to calls that are the same. Left out: every call goes to a model."),
    ] = None
