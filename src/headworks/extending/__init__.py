"""Extending: what other packages may add by entry points, and the suite by which a provider is measured.

Nothing is looked for unless configuration names it: `load_extension` is called when configuration is read, and a call
never gets here. The suite is data and judgements on answers; `doctoring` has it asked. `CASES` ask what callers ask, in
OpenAI's words; `recorded` are exchanges in each provider's own API, compared by their shape (`shapes`, `flows`). Of
hooks, what they are told and may answer stands here (`hooks`); `hooking` asks them.

May import `calls`, `errors`.
"""

from headworks.extending.cases import CASES, Case, Outcome, Told
from headworks.extending.flows import faults
from headworks.extending.hooks import (
    PARAMETERS,
    AfterHook,
    BeforeHook,
    CallEnd,
    CallFacts,
    CallRefused,
    Changes,
    HookFactory,
    JsonValue,
    Manner,
    Notes,
)
from headworks.extending.points import (
    GROUPS,
    HOOKS,
    PROVIDERS,
    RECOGNISERS,
    SCORERS,
    SINKS,
    ExtensionError,
    Group,
    Offer,
    find_extension,
    installed,
    load_extension,
    offers,
)
from headworks.extending.recording import RECORDED, Recorded, read_recorded, recorded
from headworks.extending.shapes import differences, sample

__all__ = [
    "CASES",
    "GROUPS",
    "HOOKS",
    "PARAMETERS",
    "PROVIDERS",
    "RECOGNISERS",
    "RECORDED",
    "SCORERS",
    "SINKS",
    "AfterHook",
    "BeforeHook",
    "CallEnd",
    "CallFacts",
    "CallRefused",
    "Case",
    "Changes",
    "ExtensionError",
    "Group",
    "HookFactory",
    "JsonValue",
    "Manner",
    "Notes",
    "Offer",
    "Outcome",
    "Recorded",
    "Told",
    "differences",
    "faults",
    "find_extension",
    "installed",
    "load_extension",
    "offers",
    "read_recorded",
    "recorded",
    "sample",
]
