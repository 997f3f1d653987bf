"""The key ring of a worker: from an `Authorization` header to a grant, without touching a disk.

State: the grants by digest of key, as of one revision of the key store. `refresh` brings them up to date.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from types import MappingProxyType
from typing import Protocol

from headworks.access.grant import Grant
from headworks.access.hosts import Hosts
from headworks.access.key_records import KeyRecord, Version
from headworks.access.keys import PREFIX, is_well_formed, key_digest, secret_id
from headworks.access.roles import Role
from headworks.access.store import KeyStore
from headworks.calls import NO_BUDGET, NO_LIMITS, NO_TEAM, Caller, Team
from headworks.errors import Refusal, StorageError

STALE_AFTER_S = 5.0
"""How long the key store may be unreadable before `refresh` says so, in seconds. A moment is no news: SQLite locks
the file for one while it tidies up."""

_LOOK_AGAIN_S = 0.05
"""How often a key that is not known makes the ring look whether it has just been created, in seconds."""

_REMEMBERED_SPARE = 1024
_REMEMBERED_TOKENS = 16_384
"""Headers that are remembered beside one for each key, about 10 MB with tokens: what was found good for one of them is
then known without checking a signature."""

_CHALLENGE = (("www-authenticate", 'Bearer realm="headworks"'),)  # RFC 9110 §11.6.1: a 401 names the scheme


class TokenIssuers(Protocol):
    """Knows bearer tokens: `issuers` implements it, which only who has some loads."""

    def identify(self, token: bytes) -> Grant | None: ...
    def refresh(self) -> bool: ...


class KeyRing:
    """The keys that are good at the moment.

    Arguments:
        store: where the keys are; it stays the caller's to close.
        secret: the server secret. Keys that were hashed under another are not good.
        now: Unix seconds, for keys that expire.
        teams: what holds for the keys of each team, by its name.
        issuers: who knows bearer tokens; None where there are none.
        clock: monotonic seconds, for how long ago something was: that must not hang on a clock that may be set.

    Attributes:
        edition: another object whenever a grant may have changed: what was learnt under one holds while it is the same.
        hosts: any name: whoever shows a key means to.

    Raises:
        StorageError: the keys cannot be read.
    """

    hosts: Hosts | None = None

    def __init__(
        self,
        store: KeyStore,
        secret: bytes,
        now: Callable[[], float],
        *,
        teams: Mapping[str, Team] = MappingProxyType({}),
        issuers: TokenIssuers | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._issuers = issuers
        self._spare = _REMEMBERED_SPARE if issuers is None else _REMEMBERED_TOKENS
        self._teams = teams
        self._secret = secret
        self._secret_id = secret_id(secret)
        self._now = now
        self._clock = clock
        self._grants: dict[bytes, Grant] = {}
        self._digests: dict[str, bytes] = {}
        self._others: dict[
            bytes, KeyRecord
        ] = {}  # keys of other roles, which call no model: to say so to their holders
        # By the SHA-256 of a whole header that was found good: a quarter of the cost of its HMAC, and no key is kept.
        self._seen: dict[bytes, Grant] = {}
        self.edition = object()
        self._revision = 0
        self._version = store.version()
        self._fresh_s = clock()
        self._looked_s = -math.inf
        self._read(self._version)

    def identify(self, header: bytes | None) -> Grant:
        """The grant of the key in an `Authorization` header.

        Raises:
            Refusal: 401. Unknown, malformed, revoked and expired keys get the same answer, and so do bad tokens; only
                no key at all gets one that says how to send it. 403: a good key of the admin API, which calls no
                models; only who has it learns that. 503: a token's issuer has no keys at the moment.
        """
        if not header:
            raise _missing()
        fingerprint = sha256(header).digest()
        grant = self._seen.get(fingerprint)
        if grant is None:
            grant = self._look_up(header)
            if len(self._seen) > len(self._grants) + self._spare:
                self._seen.clear()  # a good key in ever new spellings of the header
            self._seen[fingerprint] = grant
        if self._now() >= grant.expires_at:
            raise _incorrect()
        return grant

    def refresh(self) -> bool:
        """Take over what has changed in the store; whether anything had. Microseconds when not. Call it often.

        Raises:
            StorageError: the store has been unreadable for `STALE_AFTER_S`; known keys stay good meanwhile.
        """
        has_new_issuer_keys = self._issuers is not None and self._issuers.refresh()
        if has_new_issuer_keys:  # what a key that is gone has signed is not good any more
            self._seen.clear()
            self.edition = object()
        return self._refresh_keys() or has_new_issuer_keys

    def _refresh_keys(self) -> bool:
        try:
            version = self._store.version()
            if version != self._version:
                self._read(version)
        except StorageError:
            if self._clock() - self._fresh_s > STALE_AFTER_S:
                raise
            return False
        self._fresh_s = self._clock()
        if version == self._version:
            return False
        self._version = version  # read before the rows: what came in between is seen at the next refresh
        return True

    def _read(self, version: Version) -> None:
        is_new = version.file != self._version.file or self._store.revision() < self._revision
        changes = self._store.changes_since(0 if is_new else self._revision)
        if is_new:
            self._grants, self._others, self._digests, self._revision = {}, {}, {}, 0
        for record in changes:
            before = self._digests.pop(record.key_id, b"")
            self._grants.pop(before, None)
            self._others.pop(before, None)
            if record.revoked_at is None and record.secret_id == self._secret_id:
                self._digests[record.key_id] = record.digest
                if record.role is Role.CALLER:
                    self._grants[record.digest] = _grant(record, self._teams.get(record.team, NO_TEAM))
                else:
                    self._others[record.digest] = record
            self._revision = max(self._revision, record.revision)
        self._seen.clear()
        self.edition = object()

    def _look_up(self, header: bytes) -> Grant:
        scheme, _, rest = header.strip(b" \t").partition(b" ")
        key = rest.strip(b" \t")
        if scheme.lower() != b"bearer":
            raise _incorrect()
        if self._issuers is not None and not key.startswith(PREFIX.encode()):
            granted = self._issuers.identify(key)
            if granted is None:
                raise _incorrect()
            return granted
        if not is_well_formed(key.decode("latin-1")):
            raise _incorrect()
        digest = key_digest(key, self._secret)
        grant = self._grants.get(digest)
        if grant is None and self._clock() - self._looked_s >= _LOOK_AGAIN_S:
            self._looked_s = self._clock()
            with suppress(StorageError):  # whoever refreshes regularly is told of it
                self.refresh()
            grant = self._grants.get(digest)
        if grant is None:
            other = self._others.get(digest)
            raise _incorrect() if other is None or not other.is_good(self._now()) else _of_the_admin_api()
        return grant


class OpenRing:
    """Lets everyone in, without a name. For a trial on one's own machine; it must be asked for in configuration.

    Arguments:
        hosts: names by which it may be reached; None where nobody but this process does.
    """

    def __init__(self, hosts: Hosts | None = None) -> None:
        self._grant = Grant(Caller())
        self.edition = object()
        self.hosts = hosts

    def identify(self, header: bytes | None) -> Grant:  # noqa: ARG002
        """The grant that everyone has; the header is not looked at."""
        return self._grant

    def refresh(self) -> bool:
        """Nothing ever changes."""
        return False


def _grant(record: KeyRecord, team: Team) -> Grant:
    return Grant(
        Caller(record.key_id, record.owner, record.team),
        models=record.models,
        endpoints=record.endpoints,
        expires_at=float("inf") if record.expires_at is None else record.expires_at,
        limits=NO_LIMITS if record.limits == NO_LIMITS else record.limits,  # to be told by identity
        budget=NO_BUDGET if record.budget == NO_BUDGET else record.budget,
        priority=team.priority_of(record.priority),
        weight=team.weight,
        networks=record.networks,
    )


def _incorrect() -> Refusal:
    return Refusal(
        401,
        "invalid_api_key",
        "Incorrect API key provided. Virtual keys begin with `hw-`; whoever runs this gateway can create one with "
        "`headworks keys create`.",
        headers=_CHALLENGE,
    )


def _of_the_admin_api() -> Refusal:
    return Refusal(
        403,
        "key_calls_no_models",
        "This key is good, but it has a role at the admin API and calls no models. Use a key without a role: whoever "
        "runs this gateway can create one with `headworks keys create`.",
        kind="permission_error",
    )


def _missing() -> Refusal:
    return Refusal(
        401,
        "invalid_api_key",
        "You did not provide an API key. Send a virtual key in the header `Authorization: Bearer hw-...`, or give it "
        "to the OpenAI SDK as `api_key`.",
        headers=_CHALLENGE,
    )
