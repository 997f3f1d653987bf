"""What the control plane goes by, as values: it is a program of its own, which is handed these and reads no
configuration, so that no secret is in its memory but those that it uses.
"""

import os
from pathlib import Path
from typing import Any

import msgspec

from headworks.auditing import AuditTerms
from headworks.config import Secret
from headworks.console.alert_channels import AlertTerms
from headworks.console.sink_terms import SinkTerms


class ControlTerms(msgspec.Struct, frozen=True):
    """What `control_plane` is asked for.

    Attributes:
        storage: the state folder.
        store_url: of the database that has the records, with its password if there is one; "" for the file in the
            folder.
        keep_days: how long records are kept; None: for ever.
        serves_leases: whether this machine's workers ask here for their leases of shared quotas.
        alerts: who is told when a budget is reached.
        audit: what the audit log is sealed with; None: there is none.
        sinks: what records are given to beside the store.
    """

    storage: Path
    store_url: Secret
    keep_days: int | None
    serves_leases: bool
    alerts: AlertTerms = AlertTerms()
    audit: AuditTerms | None = None
    sinks: tuple[SinkTerms, ...] = ()


def pack_terms(terms: ControlTerms) -> bytes:
    """All of it in clear text, for the socket pair of two processes of ours and for nothing else."""
    return msgspec.msgpack.encode(terms, enc_hook=_plain)


def unpack_terms(content: bytes) -> ControlTerms:
    """What `pack_terms` has packed."""
    return msgspec.msgpack.decode(content, type=ControlTerms, dec_hook=_made)


def _plain(value: object) -> str | bytes:
    match value:
        case Secret():
            return value.reveal()
        case Path():
            return os.fsencode(value)  # a name of a folder need not be text
        case _:
            raise NotImplementedError(type(value).__name__)


def _made(kind: type, plain: Any) -> Secret | Path:
    if kind is Secret:
        return Secret(plain)
    assert kind is Path
    return Path(os.fsdecode(plain))
