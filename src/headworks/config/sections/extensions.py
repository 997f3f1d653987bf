"""The sections `hooks` and `records.sinks`: what other packages do before and after calls, and with their records."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headworks.config.sections.base import Section

ExtensionName = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""What an installed package calls what it offers: the name of its entry point."""

LOCAL_NAME = "^[a-z][a-z0-9-]{0,47}$"
"""What a configuration calls it: in records, metrics and the audit log."""

Settings = Annotated[
    dict[
        Annotated[str, Meta(pattern="^[a-z][a-z0-9_]{0,63}$")],
        Annotated[str, Meta(max_length=4096)],
    ],
    Meta(
        description="Handed to it when it is made, as text. A value may be a secret reference of this machine "
        "(`env:`, `file:`): it is handed what that leads to."
    ),
]


class Hook(Section, frozen=True, kw_only=True):
    """A package's code that is asked before a call is made, or told after it has ended."""

    use: Annotated[ExtensionName, Meta(description="Its name among the entry points `headworks.hooks`.")]
    on_failure: Annotated[
        Literal["closed", "open"],
        Meta(
            description="When it fails or takes too long before a call: `closed` refuses the call, `open` makes it as "
            "it came. Either way it is audited."
        ),
    ] = "closed"
    timeout_s: Annotated[
        Annotated[float, Meta(gt=0, le=30)], Meta(description="Seconds that it may take for one call, each time.")
    ] = 0.5
    models: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(description="Models and workloads as callers name them; `*` is any text. Left out: all calls."),
    ] = ()
    teams: Annotated[
        tuple[Annotated[str, Meta(max_length=256)], ...], Meta(description="Teams whose calls it is asked about.")
    ] = ()
    targets: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=256)], ...],
        Meta(
            description="Models of `models` that it may send a plain call to instead. Of a workload it may choose "
            "among the models of the contract, whatever stands here."
        ),
    ] = ()
    settings: Settings = field(default_factory=dict)


class Sink(Section, frozen=True, kw_only=True):
    """A package's code that every record is given to, some time after the call."""

    use: Annotated[ExtensionName, Meta(description="Its name among the entry points `headworks.record_sinks`.")]
    since: Annotated[
        Literal["now", "start"],
        Meta(description="What it begins with when it is new: the calls from now on, or all that are recorded."),
    ] = "now"
    batch: Annotated[
        Annotated[int, Meta(ge=1, le=10_000)], Meta(description="Most records that it is given at once.")
    ] = 500
    settings: Settings = field(default_factory=dict)
