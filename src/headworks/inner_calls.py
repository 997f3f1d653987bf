"""Calls that the gateway makes itself on behalf of another: admitted, bounded, recorded and paid for like any other.

They run in the same process and by the same pipeline, so that quotas, budgets, time limits and records are not built a
second time. The record of such a call has the id of the one that it is made for as its caller's key.
"""

from collections.abc import Callable

from headworks.access import Grant
from headworks.admission import Admission, KnownTimes
from headworks.endpoints import find_route
from headworks.exchange import Application, Request
from headworks.flow import Signal

_PATH = "/v1/chat/completions"


class InnerCalls:
    """Makes them.

    Arguments:
        application: gives the gateway; it may be made after this.
    """

    def __init__(self, application: Callable[[], Application]) -> None:
        self._application = application
        self._route = find_route("POST", _PATH)

    async def chat(self, grant: Grant, body: bytes, *, for_call: str, within_s: float) -> tuple[int, bytes]:
        """The status and the body of the answer to a Chat request.

        Arguments:
            grant: who pays. Which models it may ask for does not matter: the contract has chosen.
            for_call: the id of the call that this one is made for.
            within_s: seconds that it may take; the gateway answers with an error then.
        """
        admission = Admission(
            self._route,
            Grant(
                grant.caller,
                limits=grant.limits,
                budget=grant.budget,
                priority=grant.priority,
                weight=grant.weight,
            ),
            None,
            is_json=True,
            forwarded=b"",
            caller_key=for_call,
            deadline_s=within_s,
            times=KnownTimes(),
            may_fall_back=False,  # what a name falls back to may be where the data must not go
        )
        reply = _Collected()
        running = self._application().handle(Request("POST", _PATH, body=body, admission=admission), reply)
        try:
            return await reply.whole
        finally:
            if not reply.whole.is_set and running is not None:
                running.cancel()


class _Collected:
    """Implements `exchange.Reply`: one whole answer."""

    def __init__(self) -> None:
        self.whole: Signal[tuple[int, bytes]] = Signal()
        self._status = 0
        self._pieces: list[bytes] = []

    def respond(self, status: int, headers: bytes, body: bytes) -> None:  # noqa: ARG002
        if not self.whole.is_set:
            self.whole.set((status, body))

    def begin(self, status: int, headers: bytes, first: bytes = b"", length: int | None = None) -> None:  # noqa: ARG002
        self._status = status
        self._pieces.append(first)

    def write(self, data: bytes) -> None:
        self._pieces.append(data)

    def end(self, data: bytes = b"") -> None:
        self.respond(self._status, b"", b"".join((*self._pieces, data)))

    def abort(self) -> None:
        self.respond(0, b"", b"")

    def set_flow(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """It reads as fast as it is written to."""
