"""The desk at which something is administrated: whose hand is at it, what they reach, and who is told.

    desk = Desk(project, AT_THE_SHELL, tell)
    record, key = make_key(desk, NewKey(name="billing"))

The command line and the admin API sit at the same desk and call the same functions. Each of them asks the desk whether
it may be done, does it, and tells the audit log. What somebody does not reach does not exist for them.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from headworks.access import KEYS_FILE, KeyRecord, KeyStore, Organisations, Principal, Right, server_secret
from headworks.config import Project, store_url
from headworks.errors import CommandError, UnknownName
from headworks.records import Store, catch_up, may_have_records, open_store


class Forbidden(CommandError):
    """Something that whoever asks may not do; says which right it takes."""

    def __init__(self, message: str, right: Right | None = None) -> None:
        super().__init__(message)
        self.right = right


class Tell(Protocol):
    """Has the audit log know what was done."""

    def __call__(self, action: str, target: str, detail: Mapping[str, str | int], outcome: str) -> None: ...


def organisations_of(project: Project) -> Organisations:
    """Which team is whose."""
    return Organisations({name: one.teams for name, one in project.config.access.organisations.items()})


class Desk:
    """One piece of administration. State: whether anything was told; the server secret, once it was read.

    Arguments:
        project: what is administrated.
        principal: by whom.
        tell: tells the audit log.
        report: told in a sentence what an operator should know.
        now: Unix seconds.
    """

    def __init__(
        self,
        project: Project,
        principal: Principal,
        tell: Tell,
        *,
        report: Callable[[str], None] = lambda text: None,  # noqa: ARG005
        now: Callable[[], float] = time.time,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.project = project
        self.principal = principal
        self.now = now
        self.report = report
        self.organisations = organisations_of(project)
        self.has_told = False
        self._tell = tell
        self._environment = environment
        self._secret = b""

    # -- who may ------------------------------------------------------------------------------------------------------

    def demand(self, right: Right, team: str) -> None:
        """Go on only if they may do it to what belongs to this team; "" for no team.

        Raises:
            Forbidden: they may not.
        """
        if not self.principal.may(right, self.organisations.of(team)):
            where = f"team {team!r}" if team else "what belongs to no team"
            raise Forbidden(
                f"this needs the right {right.value} for {where}: ask an admin for a role that has it", right
            )

    def demand_everywhere(self, right: Right) -> None:
        """Go on only if there is nothing that they may not do it to.

        Raises:
            Forbidden: there is.
        """
        if not self.principal.may_everywhere(right):
            raise Forbidden(
                f"this concerns the whole installation: it needs the right {right.value} everywhere, and not in one "
                "organisation only",
                right,
            )

    def reaches(self, right: Right, team: str) -> bool:
        """Whether they may do it to what belongs to this team."""
        return self.principal.may(right, self.organisations.of(team))

    def teams(self, right: Right) -> tuple[str, ...] | None:
        """The teams that they reach; None for everything, whether it belongs to a team or not.

        Raises:
            Forbidden: there is nothing that they reach.
        """
        if not self.principal.may_somewhere(right):
            raise Forbidden(f"this needs the right {right.value}: ask an admin for a role that has it", right)
        reach = self.principal.reach(right)
        return None if reach is None else self.organisations.teams(sorted(reach))

    # -- what there is ------------------------------------------------------------------------------------------------

    @contextmanager
    def keys(self) -> Iterator[KeyStore]:
        """The key store. Raises StorageError."""
        store = KeyStore.below(self.project.storage, KEYS_FILE)
        try:
            yield store
        finally:
            store.close()

    @contextmanager
    def records(self) -> Iterator[Store | None]:
        """The records, with what the journals hold at this moment; None where nothing is recorded yet.

        Raises:
            StorageError: they cannot be read.
        """
        storage, url = self.project.storage, store_url(self.project)
        if not may_have_records(storage, url):
            yield None
            return
        if not catch_up(storage, url, report=self.report):
            self.report("the gateway's control plane is behind: the last calls may be missing")
        store = open_store(storage, url)
        try:
            yield store
        finally:
            store.close()

    def secret(self) -> bytes:
        """The server secret. Raises SecretError."""
        if not self._secret:
            self._secret = server_secret(self.project.config.access.secret, self.project.folder, self._environment)
        return self._secret

    def teams_of_keys(self) -> dict[str, str]:
        """The team of each key, by its id."""
        if not (self.project.storage / KEYS_FILE).exists():
            return {}
        with self.keys() as store:
            return {record.key_id: record.team for record in store.list()}

    # -- who is told --------------------------------------------------------------------------------------------------

    def tell(
        self, action: str, target: str = "", detail: Mapping[str, str | int] | None = None, *, outcome: str = "done"
    ) -> None:
        """Have the audit log know. `detail` holds names and figures; what is empty in it is left out."""
        self.has_told = True
        self._tell(action, target, {name: value for name, value in (detail or {}).items() if value != ""}, outcome)


def unknown_key(key_id: str) -> UnknownName:
    """What is said of a key that does not exist, or that whoever asks does not reach: the same."""
    return UnknownName(f"there is no key {key_id!r}")


__all__ = ["Desk", "Forbidden", "KeyRecord", "Tell", "organisations_of", "unknown_key"]
