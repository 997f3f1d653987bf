"""The sections `storage`, `quotas`, `records` and `audit`: what is kept, where, and by whom."""

from typing import Annotated, Literal

from msgspec import Meta, field

from headworks.config.managers import LocalSecretReference, SecretReference
from headworks.config.sections.base import FilePath, Seconds, Section
from headworks.config.sections.extensions import LOCAL_NAME, Sink


class Storage(Section, frozen=True):
    """Where keys, journals and records are kept."""

    path: Annotated[FilePath, Meta(description="Folder for all state; created when missing.")] = ".headworks"
    journal_bytes: Annotated[
        int,
        Meta(
            description="Bound on all journals together: when nothing drains them, calls are refused beyond it.",
            ge=1_048_576,
            le=1_099_511_627_776,
        ),
    ] = 1_073_741_824
    segment_bytes: Annotated[
        int,
        Meta(
            description="Size at which a worker begins a new journal file; at most half of `journal_bytes`.",
            ge=65_536,
            le=1_073_741_824,
        ),
    ] = 16_777_216


class Quotas(Section, frozen=True):
    """Who keeps the books of limits that several workers or machines share."""

    valkey: Annotated[
        SecretReference | None,
        Meta(
            description="The URL of a Valkey or Redis server that all machines share, `valkey://host:6379` or, with "
            "TLS, `valkeys://...`. Left out: this machine's control plane keeps them."
        ),
    ] = None
    machines: Annotated[
        int,
        Meta(
            description="Machines that share the limits: while the books cannot be reached, each spends its part.", ge=1
        ),
    ] = 1
    away: Annotated[
        Literal["share", "refuse"],
        Meta(
            description="What a worker does while the books cannot be reached and its lease is spent: goes on with its "
            "fair share of each limit, or refuses."
        ),
    ] = "share"


class Records(Section, frozen=True):
    """What is kept of each call."""

    bodies: Annotated[
        bool,
        Meta(
            description="Also store request and response bodies; they hold what people wrote, and are sealed under "
            "the server secret."
        ),
    ] = False
    days: Annotated[
        Annotated[int, Meta(ge=1, le=36_500)] | None,
        Meta(
            description="How many days records are kept; in PostgreSQL, whole months. What is counted by the hour "
            "stays. Left out: records are kept for ever.",
        ),
    ] = None
    store: Annotated[
        str | None,
        Meta(
            description="The PostgreSQL database that has the records, `postgresql://user@host:5432/name`, which "
            "machines may share; without the password. Left out: a SQLite file in the storage folder.",
            extra={"form": "store-url"},
            examples=["postgresql://headworks@db.internal:5432/headworks?sslmode=verify-full"],
        ),
    ] = None
    store_password: Annotated[
        SecretReference | None,
        Meta(
            description="The password of `store`, as a reference. Left out: the server asks for none, or libpq knows."
        ),
    ] = None
    sinks: Annotated[
        dict[
            Annotated[
                str,
                Meta(
                    pattern=LOCAL_NAME,
                    extra={"expected": "a name of lower-case letters, digits and `-`, beginning with a letter"},
                ),
            ],
            Sink,
        ],
        Meta(description="Where records go beside the store, by a name of yours: what other packages do with them."),
    ] = field(default_factory=dict)


class Anchor(Section, frozen=True):
    """A place outside of the archive that checkpoints of the audit log are sent to: a file, or a URL."""

    file: Annotated[
        FilePath | None,
        Meta(description="A file that checkpoints are appended to; on another disk, or one that is copied elsewhere."),
    ] = None
    url: Annotated[
        str | None,
        Meta(description="Where checkpoints are sent with POST, as JSON.", extra={"form": "base-url"}),
    ] = None
    token: Annotated[
        LocalSecretReference | None, Meta(description="Sent to `url` as a bearer token, as a reference.")
    ] = None


AuditDays = Annotated[int, Meta(ge=1, le=36_500)]


class Audit(Section, frozen=True):
    """The audit log: who did what, when, from where, with what outcome, in an archive in which changes are found."""

    enabled: Annotated[bool, Meta(description="Whether there is one.")] = True
    key: Annotated[
        SecretReference | None,
        Meta(
            description="The secret that data keys are wrapped with and checkpoints signed with, at least 32 "
            "characters. Left out: one is derived from `access.secret`."
        ),
    ] = None
    previous_keys: Annotated[
        tuple[SecretReference, ...],
        Meta(description="Secrets that were `key` before: what they wrapped and signed can still be read."),
    ] = ()
    days: Annotated[
        AuditDays | None,
        Meta(
            description="How many days entries can be read; then their keys are destroyed. Left out: for ever.",
        ),
    ] = None
    workload_days: Annotated[
        dict[str, AuditDays], Meta(description="The same for workloads that keep theirs for another time, by name.")
    ] = field(default_factory=dict)
    anchors: Annotated[
        tuple[Anchor, ...],
        Meta(description="Where checkpoints are kept outside of the archive, so that a cut-off end is found."),
    ] = ()
    anchor_every_s: Annotated[
        Seconds, Meta(description="Seconds from one anchored checkpoint to the next, while there are new entries.")
    ] = 60.0
