"""From where keys are used, and from where callers are refused: told to the audit log once an hour for each address.

The record of a call says whose key it was; here is the other half, which costs a call nothing: a head is looked at once
a connection, and only what is new becomes an event.
"""

from collections.abc import Callable
from secrets import token_hex
from time import time_ns

import msgspec

from headworks.calls import AuditEvent
from headworks.errors import StorageError

AGAIN_S = 3600.0
"""After that long the same is told again, in seconds."""

MOST = 10_000
"""Pairs that are remembered; addresses are of the callers' choosing, so there must be a bound."""


class Sightings:
    """What one worker has seen. State: when each pair of who and address was last told.

    Arguments:
        append: makes an event durable; raises `StorageError`.
        has_room: whether the journal takes anything.
        clock: monotonic seconds.
    """

    def __init__(
        self, append: Callable[[AuditEvent], None], has_room: Callable[[], bool], clock: Callable[[], float]
    ) -> None:
        self._append = append
        self._has_room = has_room
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}

    def used(self, key_id: str, peer: str) -> None:
        """A key is used from an address."""
        self._tell("key.used", key_id, peer, target=key_id, outcome="done", code="")

    def refused(self, code: str, peer: str, path: str, key_id: str = "") -> None:
        """A request from an address is refused before it is admitted; the key is known where it is a good one."""
        self._tell("access.refused", key_id, peer, target=path, outcome="refused", code=code)

    def _tell(self, action: str, key_id: str, peer: str, *, target: str, outcome: str, code: str) -> None:
        which = (f"{code} {key_id}", peer)
        now_s = self._clock()
        if now_s - self._told.get(which, -AGAIN_S) < AGAIN_S or not self._has_room():
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[which] = now_s
        detail = msgspec.json.encode({"code": code}).decode() if code else ""
        seen = AuditEvent(f"event_{token_hex(12)}", time_ns() // 1000, action, key_id, peer, target, outcome, detail)
        try:
            self._append(seen)
        except StorageError:
            self._told.pop(which)  # the call's own record says what is wrong; this is told with a later one
