"""How a worker reaches the books of budgets: on the socket of its control plane."""

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from headworks.errors import LimitsUnavailable
from headworks.limits.budgets.accounts import Allowance, Claim
from headworks.limits.budgets.wire import frame_claims, frame_settling, read_allowed
from headworks.limits.link import Link, LinkError, Streams
from headworks.limits.local import dial, socket_path
from headworks.limits.wire import HEAD_BYTES, Declined, FrameError, body_bytes

_TIMEOUT_S = 2.0
"""Most that a claim takes, seconds: each is flushed to a disk, or to a database elsewhere."""


class SocketBooks:
    """The books behind the lease socket of a state folder. Implements `AllowanceSource`.

    Arguments:
        storage: the state folder.
        now: the clock that all processes of this machine share, seconds.
    """

    def __init__(
        self, storage: Path, *, timeout_s: float = _TIMEOUT_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        path = socket_path(storage)
        self._now = now
        self._number = 0
        self._link = Link(f"the control plane at {path}", lambda: dial(path), timeout_s=timeout_s)

    async def claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        """See `AllowanceSource`."""
        return await self._exchange(lambda number, due_s: frame_claims(number, due_s, holder, claims), len(claims))

    async def settle(self, batch: str, spent: int) -> None:
        """See `AllowanceSource`."""
        await self._exchange(lambda number, due_s: frame_settling(number, due_s, batch, spent), 0)

    async def close(self) -> None:
        """Let go of the connection. Harmless to call twice."""
        await self._link.close()

    async def _exchange(self, frame: Callable[[int, float], bytes], count: int) -> Sequence[Allowance]:
        async def talk(streams: Streams, due_s: float) -> Sequence[Allowance]:
            self._number = max(self._number + 1, int(self._now() * 1e6))
            left_s = due_s - asyncio.get_running_loop().time()
            return await _ask(streams, frame(self._number, self._now() + left_s), count)

        return await self._link.exchange(talk)


async def _ask(streams: Streams, frame: bytes, count: int) -> Sequence[Allowance]:
    try:
        streams.writer.write(frame)
        await streams.writer.drain()
        answer = read_allowed(
            await streams.reader.readexactly(body_bytes(await streams.reader.readexactly(HEAD_BYTES)))
        )
    except FrameError as error:
        raise LinkError(f"does not fit: {error}; are all processes of this gateway of one release?") from error
    if isinstance(answer, Declined):
        raise LimitsUnavailable(f"the control plane allows no spending: {answer.reason}")
    allowances = answer.values()
    if len(allowances) != count:
        raise LinkError(f"answered {count} claims with {len(allowances)} allowances")
    return allowances
