"""Leases on several machines: Valkey (or Redis) keeps the books, and one script does all arithmetic in it.

    authority = ValkeyAuthority("valkeys://headworks:...@valkey.internal:6379/0")
    leases = await authority.renew("machine-1/worker-3", asks)      # one round trip, whatever the number of quotas

A script runs alone, so no two workers are granted the same units. Time is the server's. All keys bear one hash tag,
so that they lie on one node of a cluster, where one script may see them all; when the node changes, the cluster says
so and we follow.

**What if the books are lost?** An empty Valkey does not know what it granted before. It opens new books: for the life
of a lease it grants nothing, so that everything that may be outstanding is spent or expired; then each quota begins
empty and refills. So never is more spent than the quota's own token bucket allows, at the price of some waiting.
The same holds for a Valkey that starts again with a snapshot, which is older than what it granted last. With the
append-only file on it loses nothing that it answered when it is killed, and its books are believed; when its whole
machine fails, or a replica takes over, they lack what was written in the last moment (a second with
`appendfsync everysec`, else the lag of replication), and so much may be granted again.

A Valkey that throws keys away when memory is short (`maxmemory-policy` other than `noeviction`) may lose single
quotas. There, each quota that it does not know begins empty.
"""

import asyncio
import hashlib
import math
import time
from collections.abc import Callable, Sequence
from importlib.resources import files

import msgspec

from headworks.errors import LimitsUnavailable
from headworks.limits.leases import Ask, Lease
from headworks.limits.ledger import (
    _CLOCK_MARGIN,
    _LARGE,
    _PATIENCE_S,
    _RAISE_MARGIN,
    _RAISE_MOST_S,
    _RAISE_SHARE,
    _REMEMBERED_S,
    LEASE_S,
)
from headworks.limits.link import Link, LinkError, Streams
from headworks.limits.resp import Address, ErrorReply, Reply, command, connect

SCRIPT = files(__package__).joinpath("renew.lua").read_text("utf-8")

_STEP_S = 1.0
"""A server's clock that is further ahead than this, compared with ours since its last answer, was set. Renewals come
every tenth of a second, and NTP slews by at most 500 parts in a million."""

_HOPS = 3
_PASSING = {
    "LOADING": "is starting: it still loads its data",
    "BUSY": "is busy with a long script of somebody else",
    "READONLY": "is a replica now and cannot be written",
    "MASTERDOWN": "is a replica without its primary",
    "CLUSTERDOWN": "is a cluster that is down",
    "TRYAGAIN": "is a cluster that moves these keys",
    "OOM": "is out of memory; give it more, or another for limits alone",
    "MISCONF": "cannot write its data to disk, so it takes no changes; see its log",
    "NOPERM": "does not let this user do it; allow `+evalsha +eval +script|load +time +info +hset +hget +hmget "
    "+hgetall +hdel +del +pexpire` on the keys of the prefix",
    "NOAUTH": "wants a password; write it into the URL, valkey://user:password@host",
}


class _Answer(msgspec.Struct, frozen=True):
    """What the script says: a word, the server's time in seconds, and what belongs to the word."""

    word: str
    server_s: float
    rest: tuple[float, ...]


class _Seen(msgspec.Struct, frozen=True):
    """The server's time in an answer, and when by our clock that answer was here: it is not earlier by now."""

    server_s: float
    at_s: float


class ValkeyAuthority:
    """The authority that keeps its books in Valkey or Redis (7.0 or newer). Implements `Authority`.

    Nothing is done until the first renewal, and nothing between two.

    Arguments:
        url: `valkey://[[user]:password@]host[:port][/database]`; `redis` means the same, `valkeys` and `rediss` with
            TLS. It appears in no message.
        timeout_s: most that a renewal takes, seconds; connecting included.
        prefix: what all keys begin with; different for installations that share a server but no quotas.
        fresh: share of each quota, 0 to 1, that is free at once where the books were lost or never were. That much
            may be spent a second time, each time they are lost; without, a quota by the day begins very slowly.
        ca_file: a PEM file that replaces the system's authorities.
        now: seconds, monotonic.
        script: another in the place of ours, for tests.

    Raises:
        LimitsUnavailable: the URL is not one.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = 0.5,
        prefix: str = "headworks",
        fresh: float = 0.0,
        lease_s: float = LEASE_S,
        ca_file: str | None = None,
        now: Callable[[], float] = time.monotonic,
        script: str = SCRIPT,
    ) -> None:
        self._home = self._address = Address.from_url(url, ca_file=ca_file)
        self._name = f"Valkey at {self._home}"
        self._tag = f"{{{prefix}}}:limits"
        self._fresh = fresh
        self._constants = tuple(
            f"{value:.17g}"
            for value in (
                lease_s, _CLOCK_MARGIN, _PATIENCE_S, _REMEMBERED_S, _RAISE_SHARE, _RAISE_MARGIN, _RAISE_MOST_S, _LARGE,
            )
        )  # fmt: skip
        self._script = script
        self._sha = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
        self._now = now
        self._serial = 0
        self._seen: _Seen | None = None
        self._step_s = 0.0
        self._link = Link(self._name, self._dial, timeout_s=timeout_s)

    async def renew(self, holder: str, asks: Sequence[Ask]) -> Sequence[Lease]:
        """One lease for each ask, in their order.

        Raises:
            LimitsUnavailable: not reachable, no answer in time, or it grants nothing just now; with its reason.
        """

        async def talk(streams: Streams, due_s: float) -> _Answer:
            # Rises for as long as this machine runs, whoever asks: also after a reload of the same worker.
            self._serial = max(self._serial + 1, int(self._now() * 1e6))
            left_s = due_s - asyncio.get_running_loop().time()
            return await self._run(streams, holder, asks, left_s)

        answer = await self._link.exchange(talk)
        if answer.word == "settling":
            raise LimitsUnavailable(
                f"{self._name} came without the books of limits and waits until leases of before have expired, "
                f"{answer.rest[0]:.1f} s more; nothing need be done"
            )
        if answer.word == "late":
            raise LimitsUnavailable(f"the renewal came too late to {self._name}, or its clock was set; it goes on")
        return [
            Lease(int(amount), expires_s, wait_s)
            for amount, expires_s, wait_s in zip(answer.rest[::3], answer.rest[1::3], answer.rest[2::3], strict=True)
        ]

    async def reach(self) -> float:
        """Find out whether the server can be used, without asking it for anything; returns the seconds to its answer.

        Raises:
            LimitsUnavailable: not reachable, no answer in time, or it refuses us; with its reason.
        """

        async def talk(streams: Streams, due_s: float) -> float:  # noqa: ARG001 - as all that is talked about a link
            began_s = self._now()
            self._refuse(await command(streams, "PING"))
            return self._now() - began_s

        return await self._link.exchange(talk)

    async def close(self) -> None:
        """Let go of the connection. Harmless to call twice."""
        await self._link.close()

    async def _dial(self) -> Streams:
        """A connection to the node that has our keys, with the script loaded."""
        for _ in range(_HOPS):
            try:
                return await self._settle_in(await connect(self._address))
            except _MovedError as moved:
                self._address = moved.address
            except BaseException:
                self._address = self._home  # where the cluster sent us is gone, perhaps without a word
                raise
        self._address = self._home
        raise LinkError("is a cluster whose nodes send us from one to another")

    async def _settle_in(self, streams: Streams) -> Streams:
        try:
            self._refuse(await command(streams, "HGET", self._era_key, "era"))
            self._refuse(await command(streams, "SCRIPT", "LOAD", self._script))
        except BaseException:
            streams.writer.transport.abort()
            raise
        return streams

    @property
    def _era_key(self) -> str:
        return f"{self._tag}:era"

    async def _run(self, streams: Streams, holder: str, asks: Sequence[Ask], left_s: float) -> _Answer:
        parts = [str(len(asks) + 1), self._era_key, *(f"{self._tag}:of:{ask.quota.name}" for ask in asks)]
        parts += (holder, str(self._serial), self._due(left_s), f"{self._step_s:.6f}", f"{self._fresh:.17g}")
        parts += self._constants
        for ask in asks:
            quota = ask.quota
            remaining = -1 if ask.remaining is None else ask.remaining
            parts += (str(quota.amount), f"{quota.window_s:.17g}", str(ask.spent), str(ask.wanted), str(remaining))
        reply = await command(streams, "EVALSHA", self._sha, *parts)
        if isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT":  # SCRIPT FLUSH: it was not run
            reply = await command(streams, "EVAL", self._script, *parts)
        self._refuse(reply)
        answer = _read(reply, len(asks))
        self._look_at_clock(answer)
        return answer

    def _due(self, left_s: float) -> str:
        """By the server's clock, when this renewal is given up here: what lies in a buffer for longer (the server was
        stopped, say) must not be granted, for nobody hears of it. 0 where its clock is not known yet."""
        seen = self._seen
        if seen is None:
            return "0"
        # Its time was taken before it was here, so this is early by the way back: never late.
        return f"{seen.server_s + self._now() - seen.at_s + left_s:.6f}"

    def _look_at_clock(self, answer: _Answer) -> None:
        """Find out whether the server's clock was set forward since its last answer. Then all quotas would seem to
        have refilled meanwhile; but the renewal came too late by that clock, and the next one tells the script by how
        much it is ahead."""
        here_s = self._now()
        seen, self._seen = self._seen, _Seen(answer.server_s, here_s)
        if answer.word != "late":
            self._step_s = 0.0
        elif seen is not None:
            ahead_s = (answer.server_s - seen.server_s) - (here_s - seen.at_s)
            self._step_s = ahead_s if ahead_s > _STEP_S else 0.0

    def _refuse(self, reply: Reply) -> None:
        """Raise what an error says."""
        if not isinstance(reply, ErrorReply):
            return
        if reply.code == "MOVED":
            raise _MovedError(self._place(reply.detail))
        raise LinkError(_PASSING.get(reply.code, f"answers with an error: {reply.code} {reply.detail[:200]}"))

    def _place(self, detail: str) -> Address:
        """Out of `3999 127.0.0.1:6381`: the slot, and the node that has it; without a host, on the same host."""
        host, _, port = detail.rpartition(" ")[2].rpartition(":")
        if not port.isdecimal():
            raise LinkError("is a cluster that does not say where our keys are")
        return msgspec.structs.replace(self._home, host=host.strip("[]") or self._address.host, port=int(port))


class _MovedError(LinkError):
    """The node does not have our keys; another has."""

    def __init__(self, address: Address) -> None:
        super().__init__(f"says that the books of limits are at {address} now, which is asked next")
        self.address = address


def _read(reply: Reply, asks: int) -> _Answer:
    words = reply.split() if isinstance(reply, bytes) else []
    try:
        answer = _Answer(words[0].decode(), float(words[1]), tuple(float(word) for word in words[2:]))
    except (IndexError, ValueError) as error:
        raise LinkError("answered something that the script does not say") from error
    counts = {"ok": 3 * asks, "late": 0, "settling": 1}
    if counts.get(answer.word) != len(answer.rest) or not all(math.isfinite(number) for number in answer.rest):
        raise LinkError("answered something that the script does not say")
    return answer
