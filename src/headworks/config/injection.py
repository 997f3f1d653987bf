"""What a contract may say under `screening.injection`: which layers look at what goes up and comes down, and what each
may do.

As in `contract`, the descriptions are the reference documentation and the JSON Schema.
"""

from typing import Annotated, Literal

from msgspec import Meta

from headworks.config.sections.base import Section

InputMode = Literal["off", "monitor", "sanitise", "block"]
SignalMode = Literal["off", "monitor", "block"]

HOST = r"^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
"""A host, or `*.` and the domain that all hosts below it are meant of; lower case, as DNS has it (`xn--…`)."""

_MODES = "`off`: not looked for. `monitor`: noted, and nothing else."


class ModelCheck(Section, frozen=True):
    """Another model is asked whether there are instructions in data, before a call goes up. It costs that model's price
    and time, and can be talked to like any other: what it says is a signal, too."""

    model: Annotated[
        str,
        Meta(
            description="A tier's role or a public model name, at a provider that may see the workload's data.",
            min_length=1,
            max_length=256,
            extra={"form": "model-name"},
        ),
    ]
    mode: Annotated[
        Literal["monitor", "block"],
        Meta(description=f"What becomes of a call in whose data it sees instructions. {_MODES} `block`: refused."),
    ] = "monitor"
    sources: Annotated[
        tuple[Literal["tool", "variable", "user"], ...],
        Meta(description="Whose words it is asked about; only those that are `untrusted`, or what a `user` writes."),
    ] = ("tool", "variable")
    timeout_s: Annotated[
        float, Meta(description="Seconds that it may take, of those that the call may.", gt=0, le=120)
    ] = 5.0
    most_characters: Annotated[
        int,
        Meta(
            description="Characters that it is asked about in one call. A call with more of them counts as one that "
            "could not be checked.",
            ge=100,
            le=1_000_000,
        ),
    ] = 20_000
    most_tokens: Annotated[
        int, Meta(description="Output tokens that it may spend on its answer, reasoning included.", ge=16, le=16_384)
    ] = 256
    on_failure: Annotated[
        Literal["open", "closed"],
        Meta(
            description="When it gives no answer that can be read: `open` lets the call through, and notes that it was "
            "not checked; `closed` refuses it."
        ),
    ] = "open"


class Injection(Section, frozen=True):
    """Layers against instructions that stand in data. None of them, nor all together, stops every such attempt: what
    enforces is that side effects wait, and that answers load nothing from hosts that are not listed."""

    untrusted: Annotated[
        tuple[Literal["tool", "variable", "user"], ...],
        Meta(
            description="Whose words are data and no instructions: results of `tool` calls, values of the prompt's "
            "`variable`s that are not `trusted`, and what the `user` writes."
        ),
    ] = ("tool", "variable")
    trusted_tools: Annotated[
        tuple[Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,64}$")], ...],
        Meta(description="Tools whose results nobody from outside can write into: they are trusted."),
    ] = ()
    size: Annotated[
        SignalMode, Meta(description=f"A text that is longer than `most_characters`. {_MODES} `block`: refused.")
    ] = "monitor"
    most_characters: Annotated[int, Meta(description="Characters that one text may have.", ge=100)] = 200_000
    characters: Annotated[
        InputMode,
        Meta(
            description="Characters that people do not see and models read: tags, bidirectional controls, zero width, "
            f"variation selectors, letters of other scripts within a word. {_MODES} `sanitise`: taken out, or replaced "
            "by what is seen. `block`: refused."
        ),
    ] = "monitor"
    patterns: Annotated[
        SignalMode,
        Meta(
            description="Wordings of known attacks, also encoded, in what users write, in tools' results and in "
            f"variables. {_MODES} `block`: refused. It finds a part of attacks only, and is no gate by itself."
        ),
    ] = "monitor"
    classifier: Annotated[
        Literal["off", "monitor"],
        Meta(
            description="A small local model that tells what is like known attacks, in the same texts; needs the extra "
            f"`semantic`. {_MODES} It never refuses: too much escapes it, and new kinds of text it may mistake."
        ),
    ] = "off"
    check: Annotated[ModelCheck | None, Meta(description="Another model that is asked, too. Left out: none is.")] = None
    fence: Annotated[
        Literal["off", "fence", "datamark"],
        Meta(
            description="How untrusted results of tools go up. `fence`: between two markers that are random for each "
            "call, with a note to the model. `datamark`: with a random sign for every space within them, too."
        ),
    ] = "fence"
    canary: Annotated[
        SignalMode,
        Meta(
            description="A random word in the instructions of each call: an answer or a tool call that has it, plain "
            f"or encoded, gives the instructions away. {_MODES} `block`: the answer is not passed on."
        ),
    ] = "off"
    images: Annotated[
        InputMode,
        Meta(
            description="Images and other things in an answer that a browser loads by itself, from hosts that `hosts` "
            f"does not list. {_MODES} `sanitise`: the address is taken out. `block`: the answer is not passed on."
        ),
    ] = "sanitise"
    links: Annotated[
        InputMode,
        Meta(description=f"Links in an answer to hosts that `hosts` does not list; as for `images`. {_MODES}"),
    ] = "monitor"
    hosts: Annotated[
        tuple[Annotated[str, Meta(pattern=HOST, max_length=253)], ...],
        Meta(
            description="Hosts that answers may link to; `*.example.com` for all below it. A host that sends on to "
            "any address it is given should not be listed."
        ),
    ] = ()
    unexpected_tools: Annotated[
        SignalMode,
        Meta(description=f"A call of a tool that was not offered. {_MODES} `block`: the answer is not passed on."),
    ] = "block"
    taint: Annotated[
        Literal["off", "monitor", "hold", "deny"],
        Meta(
            description="What becomes of calls of tools with side effects (`actions`) that untrusted text may have "
            f"brought about, even where their policy is `allow`. {_MODES} `hold`: they wait for a person. `deny`: they "
            "are not passed on."
        ),
    ] = "hold"
    taint_by: Annotated[
        Literal["context", "arguments"],
        Meta(
            description="When it may have. `context`: as soon as there is any in the call. `arguments`: when an "
            "argument's value stands in it and in nothing that is trusted; what the model puts in other words passes."
        ),
    ] = "context"
