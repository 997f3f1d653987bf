"""Azure Key Vault and tokens of Entra ID, as an application (client secret, federated token) or as the machine's
managed identity.

Sources: Key Vault REST reference, Get Secret, 7.4; Microsoft identity platform, "OAuth 2.0 client credentials flow";
"Managed identities: how to use an access token" (2026-11).
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote, urlencode

from headworks.config import Azure, Reference, Secret, read_secret
from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, read_object, text_of
from headworks.secrets.fetched import Fetched, Token, part_of, token_of

_AUDIENCE = "https://vault.azure.net"
_MACHINE = "http://169.254.169.254/metadata/identity/oauth2/token"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_FORM = (("content-type", "application/x-www-form-urlencoded"),)
_WHO = "the log-in at Azure"


class AzureManager:
    """Asks vaults, and for tokens. State: the access tokens in use, by what they are good for.

    Arguments:
        section: of the configuration.
        base: what relative paths of the section are relative to.
        environment: usually `os.environ`.
        ask: sends a request.
        now: monotonic seconds.
    """

    def __init__(
        self, section: Azure, base: Path, environment: Mapping[str, str], ask: Asker, now: Callable[[], float]
    ) -> None:
        self._section = section
        self._base = base
        self._environment = environment
        self._ask = ask
        self._now = now
        self._tenant = section.tenant or environment.get("AZURE_TENANT_ID") or ""
        self._client = section.client or environment.get("AZURE_CLIENT_ID") or ""
        self._tokens: dict[str, Token] = {}

    def fetch(self, reference: Reference) -> Fetched:
        """The secret that a reference names.

        Raises:
            SecretError: it cannot be had; says why, and shows nothing of it.
        """
        if reference.scheme == "azure-token":
            return Fetched(self._valid(f"https://{reference.place}"))
        root = (self._section.endpoint or f"https://{reference.first}.vault.azure.net").rstrip("/")
        version = f"/{quote(reference.version, safe='')}" if reference.version else ""
        url = f"{root}/secrets/{quote(reference.rest, safe='')}{version}?api-version=7.4"
        heard = self._ask(Ask("GET", url, (("authorization", f"Bearer {self._valid(_AUDIENCE).reveal()}"),)))
        if heard.status == 401:
            self._tokens.pop(_AUDIENCE, None)  # whatever it was, the next look begins with a new one
        fields = read_object(heard, reference.text, "Azure")
        return part_of(reference, text_of(fields, "value"), text_of(fields, "id").rpartition("/")[2])

    def _valid(self, audience: str) -> Secret:
        token = self._tokens.get(audience)
        if token is None or self._now() >= token.due_s:
            fields = read_object(self._ask(self._log_in(audience)), _WHO, "Azure")
            token = self._tokens[audience] = token_of(_WHO, fields, self._now())
        return token.secret

    def _log_in(self, audience: str) -> Ask:
        given = self._environment
        secret, federated = self._section.client_secret, given.get("AZURE_FEDERATED_TOKEN_FILE")
        if secret is None and given.get("AZURE_CLIENT_SECRET"):
            secret = "env:AZURE_CLIENT_SECRET"  # noqa: S105 - a reference
        if secret is not None:
            return self._as_application(audience, {"client_secret": self._local(secret)})
        if federated:
            token = self._local(f"file:{federated}")
            return self._as_application(audience, {"client_assertion": token, "client_assertion_type": _ASSERTION})
        asked = {"resource": audience, **({"client_id": self._client} if self._client else {})}
        if given.get("IDENTITY_ENDPOINT") and given.get("IDENTITY_HEADER"):  # App Service, Functions, Container Apps
            query = urlencode({"api-version": "2019-08-01", **asked})
            headers = (("x-identity-header", given["IDENTITY_HEADER"]),)
            return Ask("GET", f"{given['IDENTITY_ENDPOINT']}?{query}", headers)
        query = urlencode({"api-version": "2018-02-01", **asked})
        return Ask("GET", f"{_MACHINE}?{query}", (("metadata", "true"),))

    def _as_application(self, audience: str, proof: dict[str, str]) -> Ask:
        if not self._tenant or not self._client:
            raise SecretError("`secrets.azure` needs `tenant` and `client` beside the application's secret")
        grant = {"grant_type": "client_credentials", "client_id": self._client, "scope": f"{audience}/.default"}
        url = f"{self._section.authority.rstrip('/')}/{quote(self._tenant, safe='')}/oauth2/v2.0/token"
        return Ask("POST", url, _FORM, urlencode({**grant, **proof}).encode())

    def _local(self, reference: str) -> str:
        return read_secret(reference, base=self._base, environment=self._environment).reveal()
