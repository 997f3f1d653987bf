"""What a project's references lead to, for whoever builds from it."""

import os
import time
from collections.abc import Mapping

from headworks.config import Project, Secret, is_local_reference, read_secret
from headworks.errors import SecretError
from headworks.secrets.keeper import Keeper, Kept
from headworks.secrets.managers import Managers
from headworks.secrets.references import references_of


def look_at_keys(project: Project, environment: Mapping[str, str] = os.environ, kept: Kept | None = None) -> Kept:
    """The provider keys that files and secret managers have: those that are not known yet, looked at now. Blocking.

    One that cannot be had is not among them: `read_settings` says why, and where it is named.

    Arguments:
        kept: what is known already, and goes on.
    """
    managers = Managers.of(project, environment)
    keeper = Keeper(references_of(project), managers.fetch, project.config.secrets.overlap_s, time.time, kept)
    keeper.begin()
    return keeper.kept


def with_known(environment: Mapping[str, str], kept: Kept | None) -> Mapping[str, str]:
    """An environment for `read_secret` that has what is kept, each under its reference: nobody is asked for that again.

    It holds secrets in the clear: for the call that reads them, and nothing else.
    """
    if not kept:
        return environment
    return {**environment, **{name: held.versions[0].secret.reveal() for name, held in kept.items()}}


class KnownKeys:
    """What references lead to: from what is kept, or else looked up; of managers only where that is allowed."""

    def __init__(
        self, project: Project, environment: Mapping[str, str], kept: Kept | None = None, *, asks: bool = True
    ) -> None:
        self._project = project
        self._environment = environment
        self._kept = kept or {}
        self._asks = asks
        self._managers: Managers | None = None

    def expired(self) -> frozenset[str]:
        """The values that are not to be used: their managers have not given them for too long, and nothing else of this
        project leads to them."""
        good, bad = set[str](), set[str]()
        for held in self._kept.values():
            (bad if held.is_expired else good).update(version.secret.reveal() for version in held.versions)
        return frozenset(bad - good)

    def read(self, reference: str) -> tuple[Secret, ...]:
        """The newest, then those that are still good for a while. Raises SecretError."""
        held = self._kept.get(reference)
        if held is not None:
            return tuple(version.secret for version in held.versions)
        if is_local_reference(reference):
            return (read_secret(reference, base=self._project.folder, environment=self._environment),)
        if not self._asks:
            raise SecretError(f"{reference} is not known here yet")
        self._managers = self._managers or Managers.of(self._project, self._environment)
        return (self._managers.fetch(reference).secret,)
