"""Whose a stored response is: it belongs to the key that made it, and to its team where it has one."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from headworks.calls import Caller

_REMEMBERED = 4096
"""Responses whose owner is known without asking the store: a conversation goes on soon or not at all."""


class ResponseOwner(msgspec.Struct, frozen=True):
    """Who made a stored response, and where it lies."""

    key_id: str
    team: str
    provider: str

    def may_be_seen_by(self, caller: Caller) -> bool:
        """Whether this caller is the owner, or of the owner's team."""
        return caller.key_id == self.key_id or (caller.team != "" and caller.team == self.team)


class ResponseOwners:
    """The owners of responses. State: those made here of late.

    Arguments:
        look_up: asks the store.
    """

    def __init__(self, look_up: Callable[[str], Awaitable[ResponseOwner | None]]) -> None:
        self._look_up = look_up
        self._recent: OrderedDict[str, ResponseOwner] = OrderedDict()

    def note(self, response_id: str, owner: ResponseOwner) -> None:
        """A response was made here."""
        self._recent[response_id] = owner
        if len(self._recent) > _REMEMBERED:
            self._recent.popitem(last=False)

    async def find(self, response_id: str) -> ResponseOwner | None:
        """Who made it; None when it was not made through this gateway, as far as the records go."""
        return self._recent.get(response_id) or await self._look_up(response_id)
