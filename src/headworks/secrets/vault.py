"""HashiCorp Vault and OpenBao: the key-value engine, versions 1 and 2.

Sources: Vault HTTP API, "KV secrets engine", "AppRole", "Kubernetes" and "Namespaces" (2026-11).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec

from headworks.config import Reference, Secret, Vault, read_secret
from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, Fields, Heard, read_object, text_of
from headworks.secrets.fetched import Fetched, field_of

SERVICE_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
"""Where Kubernetes gives a pod the token of its service account (Kubernetes documentation, 2026-11)."""

_RENEW_AT = 0.8
"""Share of a token's life after which the next one is asked for."""

_REFUSED = (401, 403)


class VaultManager:
    """Asks one Vault. State: the token of the last log-in, and when the next one is due.

    Arguments:
        section: of the configuration.
        base: what relative paths of the section are relative to.
        environment: usually `os.environ`.
        ask: sends a request.
        now: monotonic seconds.

    Raises:
        SecretError: it is not said where the server is.
    """

    def __init__(
        self,
        section: Vault,
        base: Path,
        environment: Mapping[str, str],
        ask: Asker,
        now: Callable[[], float],
    ) -> None:
        address = section.address or environment.get("VAULT_ADDR") or environment.get("BAO_ADDR")
        if not address:
            raise SecretError("it is not said where Vault is: set `secrets.vault.address`, or VAULT_ADDR")
        self._root = f"{address.rstrip('/')}/v1"
        self._namespace = (
            section.namespace or environment.get("VAULT_NAMESPACE") or environment.get("BAO_NAMESPACE") or ""
        )
        self._section = section
        self._base = base
        self._environment = environment
        self._ask = ask
        self._now = now
        self._token: Secret | None = None
        self._due_s = 0.0

    def fetch(self, reference: Reference) -> Fetched:
        """The secret that a reference names.

        Raises:
            SecretError: it cannot be had; says why, and shows nothing of it.
        """
        heard = self._read(reference)
        if heard.status in _REFUSED and self._section.auth != "token":
            self._token = None  # it may have been revoked before its time: log in once more
            heard = self._read(reference)
        fields = read_object(heard, reference.text, "Vault")
        data = fields.get("data")
        version = ""
        if self._section.kv == 2 and isinstance(data, dict):
            metadata = data.get("metadata")
            number = metadata.get("version") if isinstance(metadata, dict) else None
            version = str(number) if isinstance(number, int) else ""
            data = data.get("data")
        if not isinstance(data, dict):
            raise SecretError(
                f"{reference.text}: Vault's answer has no secret in it; see `secrets.vault.kv`, and whether this "
                "version was deleted"
            )
        return field_of(reference, {str(name): value for name, value in data.items()}, version)

    def _read(self, reference: Reference) -> Heard:
        path = quote(reference.rest)
        if self._section.kv == 2:
            asked = f"?version={quote(reference.version, safe='')}" if reference.version else ""
            url = f"{self._root}/{quote(reference.first)}/data/{path}{asked}"
        else:
            url = f"{self._root}/{quote(reference.first)}/{path}"
        headers = (*self._headers(), ("x-vault-token", self._valid_token().reveal()))
        return self._ask(Ask("GET", url, headers))

    def _headers(self) -> tuple[tuple[str, str], ...]:
        named = (("x-vault-namespace", self._namespace),) if self._namespace else ()
        return (("x-vault-request", "true"), *named)

    def _valid_token(self) -> Secret:
        if self._section.auth == "token":
            return self._own_token()
        if self._token is None or self._now() >= self._due_s:
            self._log_in()
        assert self._token is not None, "a log-in leaves one"
        return self._token

    def _own_token(self) -> Secret:
        """As configured; a file is read each time, for an agent may renew it."""
        if self._section.token is not None:
            return self._local(self._section.token, "token")
        for name in ("VAULT_TOKEN", "BAO_TOKEN"):
            if self._environment.get(name):
                return self._local(f"env:{name}", "token")
        raise SecretError("there is no token for Vault: set `secrets.vault.token`, or VAULT_TOKEN")

    def _log_in(self) -> None:
        section = self._section
        mount = section.auth_mount or section.auth
        if section.auth == "approle":
            body = {
                "role_id": self._local(section.role_id, "role_id").reveal(),
                "secret_id": self._local(section.secret_id, "secret_id").reveal(),
            }
        else:
            if section.role is None:
                raise SecretError("`secrets.vault.role` is missing: `auth: kubernetes` logs in as a role")
            token = read_secret(f"file:{SERVICE_TOKEN}", base=self._base, environment={})
            body = {"role": section.role, "jwt": token.reveal()}
        url = f"{self._root}/auth/{quote(mount)}/login"
        heard = self._ask(Ask("POST", url, self._headers(), msgspec.json.encode(body)))
        fields = read_object(heard, f"the log-in by {section.auth}", "Vault")
        token_text = text_of(fields, "auth", "client_token")
        if not token_text:
            raise SecretError(f"the log-in by {section.auth}: Vault answers without a token")
        self._token = Secret(token_text)
        self._due_s = self._now() + _lease_s(fields) * _RENEW_AT

    def _local(self, reference: str | None, field: str) -> Secret:
        if reference is None:
            raise SecretError(f"`secrets.vault.{field}` is missing: `auth: {self._section.auth}` needs it")
        return read_secret(reference, base=self._base, environment=self._environment)


def _lease_s(fields: Fields) -> float:
    """How long a token lives; one that says nothing, or 0, lives on."""
    auth = fields.get("auth")
    found = auth.get("lease_duration") if isinstance(auth, dict) else None
    return float(found) if isinstance(found, int) and found > 0 else 3600.0
