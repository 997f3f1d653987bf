"""The token issuers of a gateway, with the keys that they have at the moment. It reads files and asks nobody.

A key set that is fetched lies in a file, written by the process that fetches (`wishing` is how it learns that there is
a key it does not know). What is in these files is public; nobody else may write them.

State: the key sets, as of the files' last change.
"""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

import msgspec

from headworks.access.discovery import discovery_url
from headworks.access.grant import Grant
from headworks.access.key_sets import MOST_BYTES, KeySet, read_key_set
from headworks.access.tokens import Claims, Issuer, UnknownKey, issuer_in, verified_claims, verify
from headworks.calls import NO_TEAM, Team
from headworks.errors import Refusal

Found = TypeVar("Found")

KEY_SETS_FOLDER = "key-sets"
"""Below the storage folder: key sets that were fetched."""

STALE_AFTER_S = 86_400.0
"""How long a fetched key set is used when no fetch succeeds any more, in seconds: an issuer that is away for a night
keeps nobody out, and a key that it has withdrawn is not good for ever."""

_WISH_AGAIN_S = 5.0
_WISH = ".wanted"


class Source(msgspec.Struct, frozen=True):
    """An issuer and the file with its keys. `is_fetched`: another process keeps the file up to date."""

    issuer: Issuer
    file: Path
    is_fetched: bool


class _Kept(msgspec.Struct):
    """What is known of a source's file. `changed` is equal while the file is the same."""

    source: Source
    keys: KeySet | None = None
    data: bytes = b""
    changed: tuple[int, ...] = ()
    written_s: float = 0.0
    wished_s: float = -1e9
    trouble: str = ""


class Issuers:
    """From a bearer token to a grant.

    Arguments:
        sources: the issuers, each with its keys.
        now: Unix seconds.
        teams: what holds for each team, by its name.
        clock: monotonic seconds.
        say: writes a line to the operator's log.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        now: Callable[[], float],
        *,
        teams: Mapping[str, Team] = MappingProxyType({}),
        clock: Callable[[], float] = time.monotonic,
        say: Callable[[str], None] = lambda line: None,  # noqa: ARG005
    ) -> None:
        self._now = now
        self._teams = teams
        self._clock = clock
        self._say = say
        self._kept = [_Kept(source) for source in sources]
        self.refresh()

    def identify(self, token: bytes) -> Grant | None:
        """The grant of a token; None if it is not good.

        Raises:
            Refusal: 503, its issuer's keys are not known at the moment.
        """
        found = self._first(token, verify)
        if found is None:
            return None
        issuer, identity = found
        return identity.grant(issuer, self._teams.get(identity.caller.team, NO_TEAM))

    def claims(self, token: bytes) -> tuple[Issuer, Claims] | None:
        """What a token says, and the issuer that has signed it for us; None if it is not good.

        Raises:
            Refusal: as `identify`.
        """
        return self._first(token, verified_claims)

    def lacks_key(self, token: bytes) -> bool:
        """Whether a token that is not good may be so shortly: all that is missing is a key, which is being fetched."""
        said = issuer_in(token)
        for kept in self._kept:
            issuer = kept.source.issuer
            if issuer.issuer == said and kept.source.is_fetched and kept.keys is not None:
                try:
                    verified_claims(token, issuer, kept.keys, self._now())
                except UnknownKey:
                    return True
        return False

    def _first(
        self, token: bytes, read: Callable[[bytes, Issuer, KeySet, float], Found | None]
    ) -> tuple[Issuer, Found] | None:
        said = issuer_in(token)
        away = False
        for kept in self._kept:
            issuer = kept.source.issuer
            if issuer.issuer != said:
                continue
            if kept.keys is None or self._is_stale(kept):
                away = True
                continue
            try:
                found = read(token, issuer, kept.keys, self._now())
            except UnknownKey:
                self._wish(kept)
                continue
            if found is not None:
                return issuer, found
        if away:
            raise Refusal(
                503,
                "token_keys_unavailable",
                "Tokens of this issuer cannot be checked for now: its keys are not known. Try again shortly.",
                kind="server_error",
                headers=(("retry-after", "2"),),
            )
        return None

    def refresh(self) -> bool:
        """Take over key sets that have changed; whether any has. Microseconds when none has."""
        changed = [self._look(kept) for kept in self._kept]  # each of them, so no `any` of a generator
        return any(changed)

    def _look(self, kept: _Kept) -> bool:
        try:
            status = kept.source.file.stat()
            changed = (status.st_ino, status.st_mtime_ns, status.st_size)
            if changed == kept.changed:
                return False
            with kept.source.file.open("rb") as file:
                data = file.read(MOST_BYTES + 1)
            kept.changed = changed
            is_new = data != kept.data
            if is_new:
                kept.keys, kept.data = read_key_set(data), data
            kept.written_s, kept.trouble = status.st_mtime, ""
        except FileNotFoundError:
            if not kept.source.is_fetched:
                self._tell(kept, "there is no such file")
        except OSError as error:
            self._tell(kept, error.strerror or type(error).__name__)
        except ValueError as error:
            self._tell(kept, str(error))
        else:
            return is_new
        return False

    def _tell(self, kept: _Kept, trouble: str) -> None:
        """What was known goes on; why it is not renewed is said once."""
        if trouble != kept.trouble:
            kept.trouble = trouble
            self._say(f"the keys of token issuer {kept.source.issuer.issuer} stay as they were: {trouble}")

    def _is_stale(self, kept: _Kept) -> bool:
        return kept.source.is_fetched and self._now() - kept.written_s > STALE_AFTER_S

    def _wish(self, kept: _Kept) -> None:
        """Have the keys fetched, for there may be a new one. Seldom, for anybody can name a key that does not exist."""
        if not kept.source.is_fetched or self._clock() - kept.wished_s < _WISH_AGAIN_S:
            return
        kept.wished_s = self._clock()
        try:
            wish_file(kept.source.file).touch(mode=0o600)
        except OSError as error:
            self._tell(kept, error.strerror or type(error).__name__)


def wish_file(file: Path) -> Path:
    """What is touched when a key set is wanted anew."""
    return file.with_suffix(_WISH)


def key_set_file(storage: Path, issuer: str, url: str | None) -> Path:
    """Where the key set of an issuer is kept; without its URL, that which its discovery document has led to."""
    return fetched_file(storage, discovery_url(issuer) if url is None else url)


def fetched_file(storage: Path, url: str) -> Path:
    """Where the key set of a URL is kept."""
    return storage / KEY_SETS_FOLDER / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.json"
