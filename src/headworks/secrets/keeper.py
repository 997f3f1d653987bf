"""What is known of each secret, and what a look at its manager changes of that. No clock, no socket: passed in.

The newest version of a secret is what calls are made with. The one before it is kept for a while, for a provider may
know a new key later than we do. A manager that does not answer changes nothing at first: what was
known goes on, and is said to be stale. A key that was withdrawn meanwhile would go on with it, so there is a bound:
after that it is *expired*, and not to be used until its manager gives it again.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NoReturn

import msgspec

from headworks.config import Secret, is_token
from headworks.errors import SecretError
from headworks.secrets.fetched import Fetched

MOST_VERSIONS = 3
"""Of one secret, the newest included: more are rotations in quicker succession than any provider's keys need."""


class Version(msgspec.Struct, frozen=True):
    """One value of a secret.

    Attributes:
        name: what its manager calls it; "" where it has no name.
        since_s: when it was first seen, in Unix seconds.
        replaced_s: when a newer one was; 0 where it is the newest.
    """

    secret: Secret
    name: str
    since_s: float
    replaced_s: float = 0.0


class Held(msgspec.Struct, frozen=True):
    """What is known of one secret.

    Attributes:
        versions: the newest first.
        looked_s: when its manager last gave it, in Unix seconds.
        problem: why the last look failed; "" where it did not.
        is_expired: its manager has not given it for so long that it is not to be used any more.
    """

    versions: tuple[Version, ...]
    looked_s: float
    problem: str = ""
    is_expired: bool = False


Kept = Mapping[str, Held]
"""By reference."""


class Keeper:
    """Keeps them. State: `kept`. `tokens` are those references that lead to access tokens.

    Arguments:
        references: all that is to be kept, of any kind.
        fetch: asks whoever has it. Raises SecretError.
        overlap_s: for which a version is kept after the next one.
        now: Unix seconds.
        kept: what is known already.
        stale_for_s: for which a secret goes on that cannot be looked at.
        bounded: the references that this is the bound of; it is for what is used again and again, not for what is read
            once, at a start.
    """

    def __init__(
        self,
        references: Iterable[str],
        fetch: Callable[[str], Fetched],
        overlap_s: float,
        now: Callable[[], float],
        kept: Kept | None = None,
        *,
        stale_for_s: float = math.inf,
        bounded: Iterable[str] = (),
    ) -> None:
        self._references = tuple(dict.fromkeys(references))
        self.tokens = tuple(name for name in self._references if is_token(name))
        self._fetch = fetch
        self._overlap_s = overlap_s
        self._now = now
        self._stale_for_s = stale_for_s
        self._bounded = frozenset(bounded)
        self._problems: dict[str, str] = {}
        before = kept or {}
        self.kept: dict[str, Held] = {name: before[name] for name in self._references if name in before}

    def begin(self) -> None:
        """Look at those that are not known yet, and at files, which cost nothing."""
        self._look([name for name in self._references if name not in self.kept or name.startswith("file:")])

    def look(self, names: tuple[str, ...] = ()) -> bool:
        """Look at each, or at these. Returns whether any value that calls are made with, or fall back to, is another
        now."""
        before = {name: _usable(held) for name, held in self.kept.items()}
        self._look(names or self._references)
        return {name: _usable(held) for name, held in self.kept.items()} != before

    def _look(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._problems = {name: problem for name, problem in self._problems.items() if name not in names}
        for name in names:
            now_s = self._now()
            held = self.kept.get(name)
            try:
                fetched = self._fetch(name)
            except SecretError as error:
                self._problems[name] = str(error)
                if held is not None:
                    failed = msgspec.structs.replace(self._pruned(held, now_s), problem=str(error))
                    self.kept[name] = self._aged(name, failed, now_s)
            else:
                self.kept[name] = self._pruned(_with(held, fetched, now_s), now_s)

    @property
    def problems(self) -> dict[str, str]:
        """What was wrong at the last look at each, by reference."""
        return dict(self._problems)

    @property
    def expired(self) -> tuple[str, ...]:
        """Those that are not to be used now."""
        return tuple(name for name, held in self.kept.items() if held.is_expired)

    def drain(self) -> bool:
        """Let go of versions whose overlap is over, and of what has not been given for too long; returns whether there
        were any."""
        now_s = self._now()
        drained = {name: self._aged(name, self._pruned(held, now_s), now_s) for name, held in self.kept.items()}
        is_news = any(_usable(drained[name]) != _usable(held) for name, held in self.kept.items())
        self.kept = drained
        return is_news

    def _aged(self, name: str, held: Held, now_s: float) -> Held:
        is_over = bool(held.problem) and name in self._bounded and now_s - held.looked_s >= self._stale_for_s
        return msgspec.structs.replace(held, is_expired=True) if is_over and not held.is_expired else held

    def _pruned(self, held: Held, now_s: float) -> Held:
        newest, *older = held.versions
        left = [one for one in older if now_s - one.replaced_s < self._overlap_s][: MOST_VERSIONS - 1]
        return held if len(left) == len(older) else msgspec.structs.replace(held, versions=(newest, *left))


def _with(held: Held | None, fetched: Fetched, now_s: float) -> Held:
    """What is known after a good look."""
    fresh = Version(fetched.secret, fetched.version, now_s)
    if held is None:
        return Held((fresh,), now_s)
    newest, *older = held.versions
    if newest.secret == fetched.secret:
        newest = msgspec.structs.replace(newest, name=fetched.version)
        return Held((newest, *older), now_s)
    # One that was put back is the newest again, and no longer an older one.
    others = [one for one in older if one.secret != fetched.secret]
    return Held((fresh, msgspec.structs.replace(newest, replaced_s=now_s), *others), now_s)


def _usable(held: Held) -> tuple[bool, list[Secret]]:
    return held.is_expired, [one.secret for one in held.versions]


# -- between processes ------------------------------------------------------------------------------------------------


class _SentVersion(msgspec.Struct, frozen=True, array_like=True):
    value: str
    name: str
    since_s: float
    replaced_s: float

    def __repr__(self) -> str:
        return "_SentVersion(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled or copied")


class _Sent(msgspec.Struct, frozen=True, array_like=True):
    versions: tuple[_SentVersion, ...]
    looked_s: float
    problem: str
    is_expired: bool


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, _Sent]).decode


def pack(kept: Kept) -> bytes:
    """All of it in clear text, for the socket pair of two processes of ours and for nothing else."""
    return _encode(
        {
            name: _Sent(
                tuple(
                    _SentVersion(one.secret.reveal(), one.name, one.since_s, one.replaced_s) for one in held.versions
                ),
                held.looked_s,
                held.problem,
                held.is_expired,
            )
            for name, held in kept.items()
        }
    )


def unpack(content: bytes) -> Kept:
    """What `pack` has packed."""
    return {
        name: Held(
            tuple(Version(Secret(one.value), one.name, one.since_s, one.replaced_s) for one in sent.versions),
            sent.looked_s,
            sent.problem,
            sent.is_expired,
        )
        for name, sent in _decode(content).items()
    }
