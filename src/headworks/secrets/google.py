"""Google Secret Manager and access tokens, as a service account: by its key file, as the machine's, or as an identity
of another cloud (workload identity federation).

Sources: Secret Manager REST reference, versions.access; "Using OAuth 2.0 for Server to Server Applications"; Compute
Engine, "Metadata server"; google.aip.dev/auth/4117, "External account credentials" (2026-11).
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, urlencode

import msgspec

from headworks.config import Google, Reference, Secret
from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, Fields, read_object, text_of
from headworks.secrets.federation import Federation, read_federation
from headworks.secrets.fetched import Fetched, Token, part_of, token_of

_ENDPOINT = "https://secretmanager.googleapis.com"
_TOKENS = "https://oauth2.googleapis.com/token"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_MACHINE = "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token"
_LIFE_S = 3600
_WHO = "the log-in at Google"


class _KeyFile(msgspec.Struct, frozen=True):
    client_email: str
    private_key: str
    token_uri: str = _TOKENS

    def __repr__(self) -> str:
        return "_KeyFile(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key file cannot be pickled or copied")


class GoogleManager:
    """Asks it, and for tokens. State: the access token in use.

    Arguments:
        section: of the configuration.
        base: what relative paths of the section are relative to.
        environment: usually `os.environ`.
        ask: sends a request.
        now: Unix seconds.
    """

    def __init__(
        self, section: Google, base: Path, environment: Mapping[str, str], ask: Asker, now: Callable[[], float]
    ) -> None:
        file = section.credentials or environment.get("GOOGLE_APPLICATION_CREDENTIALS")
        self._file = base / file if file else None
        self._endpoint = (section.endpoint or _ENDPOINT).rstrip("/")
        self._ask = ask
        self._now = now
        self._token: Token | None = None

    def fetch(self, reference: Reference) -> Fetched:
        """The secret that a reference names.

        Raises:
            SecretError: it cannot be had; says why, and shows nothing of it.
        """
        if reference.scheme == "gcp-token":
            return Fetched(self._valid())
        project, name = quote(reference.first, safe=""), quote(reference.rest, safe="")
        version = quote(reference.version or "latest", safe="")
        url = f"{self._endpoint}/v1/projects/{project}/secrets/{name}/versions/{version}:access"
        heard = self._ask(Ask("GET", url, (("authorization", f"Bearer {self._valid().reveal()}"),)))
        if heard.status == 401:
            self._token = None  # whatever it was, the next look begins with a new one
        fields = read_object(heard, reference.text, "Google")
        try:
            text = base64.b64decode(text_of(fields, "payload", "data"), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise SecretError(f"{reference.text}: it is not a text") from None
        return part_of(reference, text, text_of(fields, "name").rpartition("/")[2])

    def _valid(self) -> Secret:
        if self._token is None or self._now() >= self._token.due_s:
            self._token = token_of(_WHO, self._log_in(), self._now())
        return self._token.secret

    def _log_in(self) -> Fields:
        if self._file is None:
            machine = Ask("GET", _MACHINE, (("metadata-flavor", "Google"),))
            return read_object(self._ask(machine), _WHO, "Google")
        federation = read_federation(self._file)
        if federation is not None:
            return Federation(federation, self._file.parent, self._ask, self._now).token(_SCOPE)
        return read_object(self._ask(self._by_key()), _WHO, "Google")

    def _by_key(self) -> Ask:
        """A request for a token, proven with the account's key."""
        # Only here: 30 ms, which nobody else pays.
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        assert self._file is not None, "who asks has looked"
        try:
            account = msgspec.json.decode(self._file.read_bytes(), type=_KeyFile)
            key = load_pem_private_key(account.private_key.encode(), password=None)
        except (OSError, msgspec.MsgspecError, UnicodeError, ValueError, TypeError, UnsupportedAlgorithm):
            raise SecretError(f"{self._file} cannot be read as the key file of a service account") from None
        if not isinstance(key, RSAPrivateKey):
            raise SecretError(f"{self._file} holds a key that is not RSA")
        now = int(self._now())
        claims: Fields = {
            "iss": account.client_email, "scope": _SCOPE, "aud": account.token_uri, "iat": now, "exp": now + _LIFE_S,
        }  # fmt: skip
        head = _base64({"alg": "RS256", "typ": "JWT"}) + b"." + _base64(claims)
        proof = head + b"." + base64.urlsafe_b64encode(key.sign(head, PKCS1v15(), SHA256())).rstrip(b"=")
        grant = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": proof.decode()}
        form = (("content-type", "application/x-www-form-urlencoded"),)
        return Ask("POST", account.token_uri, form, urlencode(grant).encode())


def _base64(fields: Fields) -> bytes:
    return base64.urlsafe_b64encode(msgspec.json.encode(fields)).rstrip(b"=")
