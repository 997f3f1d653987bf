"""Whoever keeps the secret that a reference names, asked. Blocking: for processes and threads that serve nobody."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from headworks.config import Project, Reference, Secrets, is_local_reference, parse_reference, read_secret
from headworks.errors import SecretError
from headworks.secrets.asking import Asker, HttpAsker
from headworks.secrets.fetched import Fetched

AskerMaker = Callable[[float, str | None], Asker]
"""Makes what asks, from the seconds that it may take and a file with authorities."""


class Manager(Protocol):
    """Keeps secrets."""

    def fetch(self, reference: Reference, /) -> Fetched: ...


class Managers:
    """All that a project names. Each is made when it is first asked, and keeps its log-in.

    Arguments:
        section: `secrets` of the configuration.
        base: the folder of the configuration.
        environment: usually `os.environ`.
        make_asker: makes what asks.
        now: Unix seconds.
        clock: monotonic seconds.
        home: the user's folder.
    """

    def __init__(
        self,
        section: Secrets,
        base: Path,
        environment: Mapping[str, str],
        *,
        make_asker: AskerMaker = HttpAsker,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        home: Path | None = None,
    ) -> None:
        self._section = section
        self._base = base
        self._environment = environment
        self._make_asker = make_asker
        self._now = now
        self._clock = clock
        self._home = home
        self._made: dict[str, Manager] = {}

    @classmethod
    def of(cls, project: Project, environment: Mapping[str, str]) -> "Managers":
        """Those of a project."""
        return cls(project.config.secrets, project.folder, environment)

    def fetch(self, text: str) -> Fetched:
        """The secret that a reference of any kind leads to.

        Raises:
            SecretError: it cannot be had; names the reference, and never the value.
        """
        reference = parse_reference(text)
        if reference is None or is_local_reference(text):
            return Fetched(read_secret(text, base=self._base, environment=self._environment))
        if reference.scheme == "keyring":
            from headworks.secrets.keychain import fetch_from_keyring  # only who has one loads it

            return fetch_from_keyring(reference)
        name = reference.scheme.partition("-")[0]
        manager = self._made.get(name)
        try:
            if manager is None:
                manager = self._made[name] = self._make(name)
            return manager.fetch(reference)
        except SecretError as error:
            words = str(error)
            raise SecretError(words if words.startswith(text) else f"{text}: {words}") from None

    def _make(self, name: str) -> Manager:
        section = self._section
        ask = self._make_asker(section.timeout_s, self._authorities() if name == "vault" else None)
        match name:
            case "vault":
                from headworks.secrets.vault import VaultManager

                return VaultManager(section.vault, self._base, self._environment, ask, self._clock)
            case "aws":
                from headworks.secrets.aws import AwsManager

                return AwsManager(section.aws, self._environment, ask, self._now, self._home or Path.home())
            case "gcp":
                from headworks.secrets.google import GoogleManager

                return GoogleManager(section.google, self._base, self._environment, ask, self._now)
            case _:
                from headworks.secrets.azure import AzureManager

                return AzureManager(section.azure, self._base, self._environment, ask, self._clock)

    def _authorities(self) -> str | None:
        named = self._section.vault.ca_file
        return str(self._base / named) if named else self._environment.get("VAULT_CACERT")
