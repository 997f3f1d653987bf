"""Who calls: virtual keys, how they are made and kept, and the ring that a worker finds them in.

`KeyStore` is the administrator's side: create, list, rotate, revoke. `KeyRing` is the hot path's: from a header to a
`Grant` (who, which models, which endpoints). `Door` asks from where the caller comes, and counts bad keys.
`Role` is what somebody may do, `Principal` who administrates. Tokens of identity providers are `issuers`' and
`fetching`'s, which only who has some loads.
`server_secret` reads the secret that both hash keys under.

May import `calls`, `errors`, `config` and `database`.
"""

from headworks.access.door import Door, WrongNetwork
from headworks.access.grant import Grant
from headworks.access.hosts import Hosts
from headworks.access.key_records import Change, KeyRecord
from headworks.access.keys import is_well_formed, secret_id, without_credentials
from headworks.access.networks import parse_network
from headworks.access.principals import AT_THE_SHELL, Organisations, Principal, RoleGrant
from headworks.access.ring import KeyRing, OpenRing
from headworks.access.roles import ROLES, Right, Role
from headworks.access.secret import server_secret
from headworks.access.store import KeyStore

KEYS_FILE = "keys.db"
"""The key store's file, below the storage folder."""

__all__ = [
    "AT_THE_SHELL",
    "KEYS_FILE",
    "ROLES",
    "Change",
    "Door",
    "Grant",
    "Hosts",
    "KeyRecord",
    "KeyRing",
    "KeyStore",
    "OpenRing",
    "Organisations",
    "Principal",
    "Right",
    "Role",
    "RoleGrant",
    "WrongNetwork",
    "is_well_formed",
    "parse_network",
    "secret_id",
    "server_secret",
    "without_credentials",
]
