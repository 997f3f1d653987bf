"""Codes and refresh tokens exchanged for ID tokens: codes each once, and so few exchanges at one time that an identity
provider which does not answer keeps nobody else waiting. Anybody can begin a sign-in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from headworks.admin.memory import Memory
from headworks.admin.sessions import SigningIn
from headworks.admin.signing_in import SignInFlow, Tokens, unknown_sign_in
from headworks.config import Secret
from headworks.errors import Refusal

_MOST_AT_ONE_TIME = 2
"""Of the threads that there are for everything."""

_MOST_WAITING = 50
"""Those and the ones that wait for their turn: each has a connection, of which there must be some for others."""


Result = TypeVar("Result")


class InThread(Protocol):
    """Does work in a thread."""

    def __call__(self, work: Callable[[], Result], /) -> Awaitable[Result]: ...


class Exchanges:
    """The exchanges of one admin API. State: how many are under way or wait.

    Arguments:
        memory: knows which sign-ins have come back.
        now: Unix seconds.
    """

    def __init__(self, memory: Memory, in_thread: InThread, now: Callable[[], float]) -> None:
        self._memory = memory
        self._in_thread = in_thread
        self._now = now
        self._waiting = 0
        self._turn = asyncio.Semaphore(_MOST_AT_ONE_TIME)

    async def tokens(self, flow: SignInFlow, begun: SigningIn, code: str) -> Tokens:
        """What the code of a sign-in stands for.

        Raises:
            Refusal: 400, the sign-in has come back before; 502, the identity provider does not give it; 503, too many
                wait for it.
            StorageError: it cannot be noted that it has come back.
        """
        return await self._in_turn(lambda: self._exchange(flow, begun, code))

    async def renewed(self, flow: SignInFlow, token: Secret) -> Tokens | None:
        """What a refresh token stands for now; None where the identity provider does not vouch any more.

        Raises:
            Refusal: 503, the identity provider says nothing of it, or too many wait for it.
        """
        return await self._in_turn(lambda: flow.renew(token))

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= _MOST_WAITING:
            raise Refusal(
                503,
                "too_many_sign_ins",
                "The identity provider is slow, and many are signing in. Begin again at /login in a minute.",
                kind="server_error",
                headers=(("retry-after", "60"),),
            )
        self._waiting += 1
        try:
            async with self._turn:
                return await self._in_thread(work)
        finally:
            self._waiting -= 1

    def _exchange(self, flow: SignInFlow, begun: SigningIn, code: str) -> Tokens:
        """Once for each sign-in, whatever comes of it: what a browser came back with may lie in histories and logs."""
        if not self._memory.spend(begun.state, begun.ends_s, self._now()):
            raise unknown_sign_in()
        return flow.exchange(begun, code)
