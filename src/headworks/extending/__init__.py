"""Extending: what other packages may add by entry points, and the suite by which a provider is measured.

Nothing is looked for unless configuration names it: `load_extension` is called when configuration is read, and a call
never gets here. The suite (`CASES`) is data and judgements on answers; `doctoring` has it asked. Of hooks, what they
are told and may answer stands here (`hooks`); `hooking` asks them.

May import `calls`, `errors`.
"""

from headworks.extending.cases import CASES, Case, Outcome, Told
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

__all__ = [
    "CASES",
    "GROUPS",
    "HOOKS",
    "PARAMETERS",
    "PROVIDERS",
    "RECOGNISERS",
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
    "Told",
    "find_extension",
    "installed",
    "load_extension",
    "offers",
]
