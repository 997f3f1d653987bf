"""Bodies of calls that belong to no contract that keeps content, as `records.bodies` has them kept: sealed, too."""

from collections.abc import Callable

from headworks.records.content import ContentVault
from headworks.settlement import OpenCall, Work

_DAY_US = 86_400_000_000

FOR_EVER_US = 1 << 62
"""When what is kept for ever expires: the last moment that every store can hold."""


class BodySealer:
    """Seals a call's bodies before it is settled, so that neither a journal nor a store has them in the clear.

    Arguments:
        vault: seals them, under the server secret, as a workload's content is.
        days: for which records are kept; None: for ever. Bodies do not outlive their record.
        now: Unix seconds.
    """

    def __init__(self, vault: ContentVault, days: int | None, now: Callable[[], float]) -> None:
        self._vault = vault
        self._days = days
        self._now = now

    def __call__(self, call: OpenCall) -> None:
        """Seal what there is; what a contract has kept is sealed already."""
        work = call.work
        if not (call.request_body or call.response_body) or (work is not None and work.content_expires_us):
            return
        work = call.work = work or Work()
        call.request_body = self._vault.seal(call.call_id, work.workload, "request", call.request_body)
        call.response_body = self._vault.seal(call.call_id, work.workload, "response", call.response_body)
        lives_us = None if self._days is None else self._days * _DAY_US
        work.content_expires_us = FOR_EVER_US if lives_us is None else int(self._now() * 1e6) + lives_us
