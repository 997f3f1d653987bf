"""Provider keys by reference: asked of secret managers, kept, looked at again, and passed on without a restart.

One process of a gateway asks (`watching`), and no worker ever does: what it finds goes to the workers over their
socket pairs. `Managers` asks whoever has a secret; `Keeper` knows the versions of each; `standing` says how they stand,
without a value. A manager that is away changes nothing but that, for a while
(`secrets.stale_for_s`).

All of it blocks, and none of it belongs on an event loop. May import `config` and `errors`.
"""

from headworks.secrets.asking import Ask, Asker, Heard, HttpAsker
from headworks.secrets.fetched import Fetched
from headworks.secrets.keeper import Held, Keeper, Kept, Version, pack, unpack
from headworks.secrets.known import KnownKeys, look_at_keys, with_known
from headworks.secrets.managers import Managers
from headworks.secrets.references import (
    in_the_environment,
    references_of,
    references_of_managers,
    references_of_provider,
    references_of_providers,
)
from headworks.secrets.standing import (
    SecretsStanding,
    SecretStanding,
    ask_for_look,
    asked_s,
    forget,
    read_standing,
    standing_of,
    with_looks,
    write_standing,
)
from headworks.secrets.watching import LOOK_S, TOKENS_S, Watch

__all__ = [
    "LOOK_S",
    "TOKENS_S",
    "Ask",
    "Asker",
    "Fetched",
    "Heard",
    "Held",
    "HttpAsker",
    "Keeper",
    "Kept",
    "KnownKeys",
    "Managers",
    "SecretStanding",
    "SecretsStanding",
    "Version",
    "Watch",
    "ask_for_look",
    "asked_s",
    "forget",
    "in_the_environment",
    "look_at_keys",
    "pack",
    "read_standing",
    "references_of",
    "references_of_managers",
    "references_of_provider",
    "references_of_providers",
    "standing_of",
    "unpack",
    "with_known",
    "with_looks",
    "write_standing",
]
