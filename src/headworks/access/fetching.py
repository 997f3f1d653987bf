"""Key sets of token issuers, fetched and put where workers read them. Blocking: for a process that serves nobody.

Where only the issuer is known, it is asked first where its keys are (`discovery`).
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from headworks.access.discovery import discovery_url, document_file, read_document
from headworks.access.issuers import fetched_file, wish_file
from headworks.access.key_sets import read_key_set

REFRESH_S = 300.0
"""From one fetch to the next, in seconds. Issuers publish a key before they sign with it, most of them for hours; a key
that is unknown is fetched at once."""

LEAST_S = 10.0
"""Between two fetches of one set, whoever wishes for one: anybody can name a key that does not exist."""

FIRST_RETRY_S = 2.0
"""After a fetch that failed; doubled each time up to `REFRESH_S`."""


class Wanted(msgspec.Struct, frozen=True):
    """A key set to be fetched: what is at `url`; with `issuer`, what the document there leads to."""

    url: str
    issuer: str = ""


def wanted_of(issuer: str, url: str | None) -> Wanted:
    """The key set of an issuer, of which perhaps nothing but its name is known."""
    return Wanted(discovery_url(issuer), issuer) if url is None else Wanted(url)


class KeySetFetcher:
    """Keeps the files up to date. State: per URL when the next fetch is due, and what is wrong.

    Arguments:
        wanted: the key sets.
        storage: the storage folder.
        fetch: a URL to what it answers with; raises OSError with words for the operator.
        clock: monotonic seconds.
        say: writes a line to the operator's log.
    """

    def __init__(
        self,
        wanted: Iterable[Wanted],
        storage: Path,
        fetch: Callable[[str], bytes],
        clock: Callable[[], float],
        say: Callable[[str], None],
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._say = say
        self._sets = [_Fetched(one, fetched_file(storage, one.url)) for one in dict.fromkeys(wanted)]

    def tick(self) -> None:
        """Fetch what is due, or wished for. To be called once or twice a second."""
        for one in self._sets:
            now_s = self._clock()
            is_wished = wish_file(one.file).exists() and now_s - one.fetched_s >= LEAST_S
            if now_s >= one.due_s or is_wished:
                self._renew(one, now_s)

    def _renew(self, one: "_Fetched", now_s: float) -> None:
        one.fetched_s = now_s
        try:
            wish_file(one.file).unlink(missing_ok=True)  # a wish from now on is one for the next fetch
            data = found = self._fetch(one.url)
            if one.issuer:
                data = self._fetch(read_document(found, one.issuer).jwks_uri)
            read_key_set(data)  # what is there now is better than something that verifies nothing
            _write(one.file, data)
            if one.issuer:
                _write(document_file(one.file), found)
        except (OSError, ValueError) as error:
            one.retry_s = min(REFRESH_S, one.retry_s * 2)
            one.due_s = now_s + one.retry_s
            words = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            if words != one.trouble:
                one.trouble = words
                self._say(f"the keys at {one.url} stay as they were: {words}")
            return
        if one.trouble:
            one.trouble = ""
            self._say(f"the keys at {one.url} are fetched again")
        one.retry_s, one.due_s = FIRST_RETRY_S / 2, now_s + REFRESH_S


class _Fetched:
    def __init__(self, wanted: Wanted, file: Path) -> None:
        self.url, self.issuer = wanted.url, wanted.issuer
        self.file = file
        self.due_s = self.fetched_s = float("-inf")
        self.retry_s = FIRST_RETRY_S / 2
        self.trouble = ""


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all: a worker may be reading it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    fresh.replace(file)
