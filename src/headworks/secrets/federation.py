"""Workload identity federation: a token of somebody else's is exchanged for one of Google's.

What is known of it stands in a credentials file of type `external_account`, which `gcloud iam workload-identity-pools
create-cred-config` writes. Its subject token comes from a file (Kubernetes, GitHub) or from an address (Azure); AWS's
signed request and a program that prints a token are not done here.

Sources: google.aip.dev/auth/4117; Security Token Service API, `token`; IAM Credentials API, `generateAccessToken`
(2026-11); RFC 8693.
"""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from headworks.config import one_line
from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, Fields, read_object, text_of

_WHO = "the log-in at Google"
_LIFE_S = 3600


class _Format(msgspec.Struct, frozen=True):
    type: str = "text"
    subject_token_field_name: str = ""


class _Source(msgspec.Struct, frozen=True):
    file: str | None = None
    url: str | None = None
    headers: dict[str, str] = {}
    format: _Format = _Format()
    environment_id: str | None = None


class FederationFile(msgspec.Struct, frozen=True, tag_field="type", tag="external_account"):
    """What such a file says."""

    audience: str
    subject_token_type: str
    token_url: str
    credential_source: _Source
    service_account_impersonation_url: str | None = None


class _Kind(msgspec.Struct, frozen=True):
    type: str = ""


def read_federation(file: Path) -> FederationFile | None:
    """What a credentials file says; None where it is of another type, or cannot be read at all.

    Raises:
        SecretError: it is of this type, and says something that is not understood.
    """
    try:
        content = file.read_bytes()
        kind = msgspec.json.decode(content, type=_Kind).type
    except (OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if kind != "external_account":
        return None
    try:
        return msgspec.json.decode(content, type=FederationFile)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise SecretError(f"{file} cannot be read as the file of an external account") from None


class Federation:
    """Exchanges tokens.

    Arguments:
        file: what its file says.
        base: what relative paths in it are relative to.
        ask: sends a request.
        now: Unix seconds.
    """

    def __init__(self, file: FederationFile, base: Path, ask: Asker, now: Callable[[], float]) -> None:
        self._file = file
        self._base = base
        self._ask = ask
        self._now = now

    def token(self, scope: str) -> Fields:
        """`access_token` and `expires_in`, as OAuth 2.0 has them.

        Raises:
            SecretError: they cannot be had.
        """
        file = self._file
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "audience": file.audience,
            "scope": scope,
            "subject_token_type": file.subject_token_type,
            "subject_token": self._subject_token(),
        }
        headers = (("content-type", "application/x-www-form-urlencoded"),)
        ask = Ask("POST", file.token_url, headers, urlencode(form).encode())
        fields = read_object(self._ask(ask), _WHO, "Google")
        if file.service_account_impersonation_url is None:
            return fields
        return self._impersonated(file.service_account_impersonation_url, text_of(fields, "access_token"), scope)

    def _impersonated(self, url: str, token: str, scope: str) -> Fields:
        bearer = ("authorization", f"Bearer {one_line(_WHO, token).reveal()}")
        body = msgspec.json.encode({"scope": [scope], "lifetime": f"{_LIFE_S}s"})
        ask = Ask("POST", url, (bearer, ("content-type", "application/json")), body)
        fields = read_object(self._ask(ask), _WHO, "Google")
        try:
            ends_s = datetime.fromisoformat(text_of(fields, "expireTime")).timestamp()
            life_s = int(ends_s - self._now())
        except (ValueError, OverflowError):
            life_s = _LIFE_S
        return {"access_token": text_of(fields, "accessToken"), "expires_in": life_s}

    def _subject_token(self) -> str:
        source = self._file.credential_source
        if source.file is not None:
            try:
                text = (self._base / source.file).read_text()
            except (OSError, UnicodeError):
                raise SecretError(
                    f"{self._base / source.file}, the token to exchange at Google, cannot be read"
                ) from None
            return self._formed(text)
        if source.url is not None and source.environment_id is None:
            heard = self._ask(Ask("GET", source.url, tuple(source.headers.items())))
            if heard.status != 200:
                raise SecretError(f"{_WHO}: whoever gives the token to exchange answers {heard.status}")
            return self._formed(heard.body.decode("utf-8", "replace"))
        raise SecretError("this kind of external account is not supported: its token must come from a file or a URL")

    def _formed(self, text: str) -> str:
        form = self._file.credential_source.format
        if form.type == "json":
            try:
                text = text_of(msgspec.json.decode(text, type=Fields), form.subject_token_field_name)
            except (msgspec.MsgspecError, RecursionError):
                text = ""
        token = text.strip()
        if not token:
            raise SecretError(f"{_WHO}: there is no token to exchange where the credentials file says")
        return token
