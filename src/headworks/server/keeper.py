"""The process that looks at provider keys, and at the public keys of token issuers: it asks secret managers and
identity providers, so that no worker ever waits for one.

What it finds of provider keys goes to the supervisor over a socket pair, and from there to the workers; never into a
file. Key sets are public, and go into files.
"""

import os
import select
import signal
import socket
import time
from typing import TYPE_CHECKING

from headworks.config import Project, parse
from headworks.errors import HeadworksError, SecretError
from headworks.secrets import (
    LOOK_S,
    Ask,
    HttpAsker,
    Keeper,
    Kept,
    Managers,
    SecretsStanding,
    Watch,
    pack,
    read_standing,
    references_of,
    references_of_providers,
    unpack,
    with_looks,
)
from headworks.server.messages import FrameReader, Word, frame
from headworks.telemetry import RUN_FOLDER, GaugeFamily, Metrics, MetricsShare, report

if TYPE_CHECKING:
    from headworks.access.fetching import KeySetFetcher, Wanted

NAME = "secrets"

_OK = 200

_NICENESS = 5
"""Callers cannot wait, and keys can."""


def run_keeper(project: Project, kept: Kept, control: socket.socket) -> int:
    """Look at the keys of a project until SIGTERM, or until the supervisor is gone; returns the exit code.

    Arguments:
        kept: what is known of them.
        control: to the supervisor.
    """
    os.nice(_NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _Keeping(project, kept, control).run()
    return 0


def key_sets_of(project: Project) -> tuple["Wanted", ...]:
    """Key sets of token issuers that are to be fetched."""
    admin = project.config.admin
    sign_in = admin.sign_in
    theirs = () if admin.port is None else (*admin.tokens, *((sign_in,) if sign_in is not None else ()))
    named = [one for one in (*project.config.access.tokens, *theirs) if one.jwks_file is None]
    if not named and (admin.port is None or sign_in is None or not sign_in.is_discovered):
        return ()
    from headworks.access.fetching import wanted_of  # only who has token issuers loads it

    found = [wanted_of(one.issuer, one.jwks_url) for one in named]
    if admin.port is not None and sign_in is not None and sign_in.is_discovered:
        found.append(wanted_of(sign_in.issuer, None))
    return tuple(dict.fromkeys(found))


def _fetcher(project: Project) -> "KeySetFetcher":
    from headworks.access.fetching import KeySetFetcher  # only who has token issuers loads it

    ask = HttpAsker(project.config.secrets.timeout_s)

    def fetch(url: str) -> bytes:
        try:
            heard = ask(Ask("GET", url, (("accept", "application/json"),)))
        except SecretError as error:
            raise OSError(str(error)) from None
        if heard.status != _OK:
            raise OSError(f"it answers with {heard.status}")
        return heard.body

    return KeySetFetcher(key_sets_of(project), project.storage, fetch, time.monotonic, report)


class _Keeping:
    """State: the project in force, what is known of its keys, and of those of the next one."""

    def __init__(self, project: Project, kept: Kept, control: socket.socket) -> None:
        self._control = control
        self._known = kept
        self._frames = FrameReader()
        self._folder = project.storage / RUN_FOLDER
        self._metrics = Metrics()
        self._share = MetricsShare(self._metrics, self._folder, NAME)
        self._use(project, kept)

    def run(self) -> None:
        self._watch.leave()
        if self._key_sets is not None:
            self._key_sets.tick()
        self._publish()
        while True:
            readable, _, _ = select.select([self._control], [], [], LOOK_S)
            if readable and not self._hear():
                return
            self._watch.tick()
            if self._key_sets is not None:
                self._key_sets.tick()
            self._publish()

    def _use(self, project: Project, kept: Kept) -> None:
        self._project = project
        section = project.config.secrets
        self._key_sets = _fetcher(project) if key_sets_of(project) else None
        fetch = Managers.of(project, os.environ).fetch
        self._keeper = Keeper(
            references_of(project),
            fetch,
            section.overlap_s,
            time.time,
            with_looks(kept, self._left()),
            stale_for_s=section.stale_for_s,
            bounded=references_of_providers(project),
        )
        self._watch = Watch(
            self._keeper,
            self._folder,
            section.refresh_s,
            now=time.time,
            clock=time.monotonic,
            send=self._send,
            say=report,
        )

    def _left(self) -> SecretsStanding | None:
        """When what was looked at, as whoever kept them before this has left it."""
        try:
            return read_standing(self._folder)
        except OSError as error:
            report(f"{NAME}: how the secrets stood cannot be read: {error.strerror}")
            return None

    def _hear(self) -> bool:
        """Take what the supervisor says; False when it is gone."""
        data = self._control.recv(65536)
        for word, content in self._frames.feed(data):
            if word is Word.SECRETS:
                self._known = unpack(content)  # of the configuration that comes next
            elif word is Word.RELOAD:
                self._reload(content.decode())
        return bool(data)

    def _reload(self, text: str) -> None:
        try:
            project = parse(text, file=str(self._project.file), base=self._project.folder)
        except (HeadworksError, ValueError) as error:  # the supervisor has taken it, so this does not happen
            report(f"{NAME}: the old configuration stays: {error}")
            return
        self._use(project, self._known)
        self._watch.look()

    def _send(self, kept: Kept) -> None:
        self._control.sendall(frame(Word.SECRETS, pack(kept)))

    def _publish(self) -> None:
        held = self._keeper.kept.values()
        expired = sum(one.is_expired for one in held)
        stale = sum(bool(one.problem) for one in held) - expired
        age_s = max((time.time() - one.looked_s for one in held), default=0.0)
        self._metrics.families = {
            "secrets": GaugeFamily(
                "Provider keys that are looked at; of those that are stale the last known value is used, and of "
                "those that are expired none.",
                ("state",),
                {("good",): len(held) - stale - expired, ("stale",): stale, ("expired",): expired},
            ),
            "secrets_age_seconds": GaugeFamily("Since a provider key was looked at.", ("of",), {("oldest",): age_s}),
        }
        try:
            self._share.publish()
        except OSError as error:
            report(f"{NAME}: metrics cannot be written: {error.strerror}")
