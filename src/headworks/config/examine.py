"""What a valid configuration refers to, looked at: secrets, certificates, authorities, plans, the state folder.

Reads files and the environment; opens no connection and changes nothing.
"""

import os
from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path

import msgspec

from headworks.catalogue import PriceArchive
from headworks.config.administration import is_loopback
from headworks.config.managers import SecretReference
from headworks.config.pricing import price_terms
from headworks.config.project import Project
from headworks.config.references import is_local_reference, is_reference
from headworks.config.secrets import ReadSecret, is_readable_by_others, read_secret, secret_file
from headworks.config.sections.models import TIER_ROLES
from headworks.config.sections.providers import Provider
from headworks.config.sections.server import Tls
from headworks.config.stored import NEEDS_EXTRA
from headworks.config.walk import Path as Place
from headworks.config.walk import suggestion
from headworks.errors import ConfigError, HeadworksError, Problem, SecretError


class Examination(msgspec.Struct, frozen=True):
    """What was found: a problem keeps the gateway from working as configured, a warning does not."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


OPEN_ENVIRONMENT = (
    "a key in the environment of a gateway that other machines reach: processes, crash reports and "
    "container descriptions show it. A `file:` or a secret manager keeps it closer"
)

PlanModels = Callable[[Path | None], Collection[str]]
"""Names of the models in a simulator's plan file, or without one in the built-in plan."""


def examine(
    project: Project, *, environment: Mapping[str, str], plan_models: PlanModels, read: ReadSecret = read_secret
) -> Examination:
    """Look at everything that the project's configuration refers to.

    Arguments:
        project: a project that `load` has accepted.
        environment: where `env:` secrets are; usually `os.environ`.
        plan_models: raises `HeadworksError` when the file is no plan.
        read: reads a secret, or looks at it (`look_at_secret`) where it is not to be in this process.
    """
    examiner = _Examiner(project, environment, read)
    examiner.access()
    examiner.storage()
    examiner.records()
    examiner.audit()
    examiner.prices()
    if project.config.server.tls is not None:
        examiner.tls(("server", "tls"), project.config.server.tls)
    examiner.admin()
    for name, provider in project.config.providers.items():
        examiner.provider(("providers", name), provider)
        if provider.kind == "simulator":
            examiner.simulator(name, provider, plan_models)
    return Examination(tuple(examiner.problems), tuple(examiner.warnings))


class _Examiner:
    def __init__(self, project: Project, environment: Mapping[str, str], read: ReadSecret) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self._project = project
        self._environment = environment
        self._read = read

    def access(self) -> None:
        access = self._project.config.access
        if access.mode == "keys":
            file = secret_file(access.secret, base=self._project.folder)
            if file is None or file.exists():  # a missing file is created on first use
                self._secret(("access", "secret"), access.secret)

    def records(self) -> None:
        records = self._project.config.records
        if records.store is not None and find_spec("psycopg") is None:
            self._blame(("records", "store"), NEEDS_EXTRA)
        if records.store_password is not None:
            self._secret(("records", "store_password"), records.store_password)

    def audit(self) -> None:
        audit = self._project.config.audit
        if audit.key is not None:
            self._secret(("audit", "key"), audit.key)
        for number, reference in enumerate(audit.previous_keys):
            self._secret(("audit", "previous_keys", number), reference)
        for number, anchor in enumerate(audit.anchors):
            if anchor.token is not None:
                self._secret(("audit", "anchors", number, "token"), anchor.token)

    def storage(self) -> None:
        folder = self._project.storage
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        if not folder.is_dir():
            self._blame(("storage", "path"), f"{folder} is not a folder")
        elif not os.access(folder, os.W_OK | os.X_OK):
            self._blame(("storage", "path"), f"{folder} is not writable")

    def prices(self) -> None:
        """The price table in use, and the lists that the file names of it. Nothing is opened where it says nothing."""
        config = self._project.config
        says = config.prices.providers or any(provider.deployments for provider in config.providers.values())
        if not (self._project.storage / "prices").exists() and not says:
            return
        try:
            price_terms(self._project, PriceArchive(self._project.storage).current())
        except ConfigError as error:
            self.problems.extend(error.problems)
        except HeadworksError as error:
            self._blame(("storage", "path"), str(error))

    def admin(self) -> None:
        admin = self._project.config.admin
        if admin.tls is not None:
            self.tls(("admin", "tls"), admin.tls)
        if admin.sign_in is not None and admin.sign_in.client_secret is not None:
            self._secret(("admin", "sign_in", "client_secret"), admin.sign_in.client_secret)

    def tls(self, place: Place, tls: Tls) -> None:
        files_exist = [
            self._is_readable((*place, "certificate"), tls.certificate),
            self._is_readable((*place, "key"), tls.key),
        ]
        if not all(files_exist):
            return
        key = self._project.path(tls.key)
        if is_readable_by_others(key):
            self._warn((*place, "key"), "the file is readable by group or world: `chmod 600` it")
        import ssl  # only here: 15 ms

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            # The password keeps OpenSSL from asking on the terminal for that of an encrypted key.
            context.load_cert_chain(self._project.path(tls.certificate), key, password=lambda: b"")
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            self._blame(place, f"certificate and key cannot be used together, or are not PEM ({reason})")

    def provider(self, place: Place, provider: Provider) -> None:
        if provider.api_key is not None:
            self._secret((*place, "api_key"), provider.api_key)
        for name in ("access_key_id", "secret_access_key", "session_token"):
            signing: str | None = getattr(provider, name)
            if signing is not None:
                self._secret((*place, name), signing)
        for index, reference in enumerate(provider.older_api_keys):
            self._secret((*place, "older_api_keys", index), reference)
        for name, pool in provider.pools.items():
            for reference in (*([pool.api_key] if pool.api_key else []), *pool.older_api_keys):
                self._secret((*place, "pools", name, "api_key"), reference)
        for name, value in provider.headers.items():
            if is_reference(value):
                self._secret((*place, "headers", name), value)
        if provider.ca_file is not None and self._is_readable((*place, "ca_file"), provider.ca_file):
            self._authorities((*place, "ca_file"), self._project.path(provider.ca_file))

    def simulator(self, name: str, provider: Provider, plan_models: PlanModels) -> None:
        place: Place = ("providers", name, "plan")
        if provider.plan is not None and not self._is_readable(place, provider.plan):
            return
        try:
            known = plan_models(None if provider.plan is None else self._project.path(provider.plan))
        except ConfigError as error:
            self.problems.extend(error.problems)
            return
        except HeadworksError as error:
            self._blame(place, str(error))
            return
        for public, model in self._project.config.models.items():
            for index, (provider_name, model_name) in enumerate(model.pairs):
                if provider_name == name and model_name not in known:
                    hint = suggestion(model_name, known)
                    where: Place = ("targets", index) if model.targets else ("model",)
                    self._blame(("models", public, *where), f"the simulator's plan has no such model{hint}")
        for role in TIER_ROLES:
            bound = getattr(self._project.config.tiers, role)
            provider_name, _, model_name = (bound or "").partition("/")
            if provider_name == name and bound not in self._project.config.models and model_name not in known:
                hint = suggestion(model_name, known)
                self._blame(("tiers", role), f"the simulator's plan has no such model{hint}")

    def _secret(self, place: Place, reference: SecretReference) -> None:
        if not is_local_reference(reference):
            return  # only its manager knows: `headworks doctor` asks it, for that takes a network
        if reference.startswith("env:") and not is_loopback(self._project.config.server.host):
            self._warn(place, OPEN_ENVIRONMENT)
        try:
            self._read(reference, base=self._project.folder, environment=self._environment)
        except SecretError as error:
            self._blame(place, str(error))
        file = secret_file(reference, base=self._project.folder)
        if file is not None and is_readable_by_others(file):
            self._warn(place, "the file is readable by group or world: `chmod 600` it")

    def _authorities(self, place: Place, file: Path) -> None:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=file)
        except (ssl.SSLError, OSError):
            self._blame(place, "holds no certificate in PEM form")

    def _is_readable(self, place: Place, text: str) -> bool:
        path = self._project.path(text)
        try:
            with path.open("rb"):
                return True
        except OSError as error:
            self._blame(place, f"{path} cannot be read: {error.strerror}")
            return False

    def _blame(self, place: Place, message: str) -> None:
        self.problems.append(self._project.problem(place, message))

    def _warn(self, place: Place, message: str) -> None:
        self.warnings.append(self._project.problem(place, message))
