"""Extending: what other packages may add by entry points, and the suite by which a provider is measured.

Nothing is looked for unless configuration names it: `load_extension` is called when configuration is read, and a call
never gets here. The suite (`CASES`) is data and judgements on answers; `doctoring` has it asked.

May import `calls`, `errors`.
"""

from headworks.extending.cases import CASES, Case, Outcome, Told
from headworks.extending.points import PROVIDERS, ExtensionError, find_extension, installed, load_extension

__all__ = [
    "CASES",
    "PROVIDERS",
    "Case",
    "ExtensionError",
    "Outcome",
    "Told",
    "find_extension",
    "installed",
    "load_extension",
]
