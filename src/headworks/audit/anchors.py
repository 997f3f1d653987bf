"""Checkpoints kept outside of the archive: appended to a file, or sent to a URL that the configuration names.

Whoever can write the archive can cut off its end and nobody who looks at it alone will know. A checkpoint that lies
where they cannot write says what must be there.
"""

import http.client
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request

import msgspec

from headworks.database import storage_errors
from headworks.errors import StorageError
from headworks.fetching import fetch

_POST_S = 5.0


class AnchorPlace(msgspec.Struct, frozen=True):
    """A place with its secrets read: a file, or a URL with the token that is sent there ("" for none)."""

    file: Path | None = None
    url: str = ""
    token: str = ""

    @property
    def name(self) -> str:
        """What it is called in messages."""
        return str(self.file) if self.file is not None else self.url


class Anchoring:
    """Keeps checkpoints outside, now and then. State: when it did last, what each place has, what was complained of.

    Arguments:
        places: where.
        every_s: least seconds between two rounds.
        report: told in a sentence what an operator must know.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        places: Sequence[AnchorPlace],
        *,
        every_s: float,
        report: Callable[[str], None],
        clock: Callable[[], float],
        post: Callable[[AnchorPlace, bytes], None] | None = None,
    ) -> None:
        self._places = places
        self._every_s = every_s
        self._report = report
        self._clock = clock
        self._post = post or send
        self._due_s = clock()
        self._kept: dict[int, bytes] = {}
        self._troubles: dict[int, str] = {}

    def keep(self, line: bytes, *, is_last: bool = False) -> None:
        """Have the checkpoint everywhere, if it is time or there is no later one; what fails is told, and tried again.

        Arguments:
            line: of the last checkpoint; empty if there is none.
        """
        if not line or not self._places or (self._clock() < self._due_s and not is_last):
            return
        self._due_s = self._clock() + self._every_s
        for number, place in enumerate(self._places):
            if self._kept.get(number) == line:
                continue
            try:
                self._keep_at(place, line)
            except StorageError as error:
                if self._troubles.get(number) != str(error):
                    self._troubles[number] = str(error)
                    self._report(f"a checkpoint of the audit log cannot be anchored for now: {error}")
                continue
            self._kept[number] = line
            self._troubles.pop(number, None)

    def _keep_at(self, place: AnchorPlace, line: bytes) -> None:
        if place.file is None:
            self._post(place, line)
            return
        path = place.file
        with storage_errors(path):
            if path.exists() and path.read_bytes().rstrip(b"\n").endswith(line):
                return  # we were killed, or have started anew
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, line + b"\n")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def send(place: AnchorPlace, line: bytes) -> None:
    """Send a checkpoint with POST. No redirect is followed.

    Raises:
        StorageError: it was not taken.
    """
    headers = {"content-type": "application/json"}
    if place.token:
        headers["authorization"] = f"Bearer {place.token}"
    request = Request(place.url, line, headers, method="POST")  # noqa: S310 - the configuration's own, http or https
    try:
        with fetch(request, timeout_s=_POST_S) as answer:
            answer.read(1)
    except HTTPError as error:
        error.close()
        raise StorageError(f"{place.url} did not take it: {error.code}") from None
    except (URLError, OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or type(error).__name__
        raise StorageError(f"{place.url} did not take it: {why}") from None


def read_anchors(path: Path) -> list[bytes]:
    """The checkpoints of an anchors' file, one a line.

    Raises:
        StorageError: it cannot be read.
    """
    with storage_errors(path):
        return [line for line in path.read_bytes().split(b"\n") if line]
