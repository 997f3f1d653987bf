"""AWS Secrets Manager and SSM Parameter Store, and credentials for what is signed elsewhere.

Sources: Secrets Manager API reference, GetSecretValue; Systems Manager API reference, GetParameter (2026-11).
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from headworks.config import Aws, Reference, one_line
from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, Fields, read_object, text_of
from headworks.secrets.aws_credentials import CredentialFinder, domain_of
from headworks.secrets.fetched import Fetched, part_of
from headworks.secrets.signing import signed
from headworks.sigv4 import Credentials, packed

_RENEW_BEFORE_S = 300.0
"""Credentials that end are replaced so long before; the machine gives new ones from then on."""

_VERSION_ID = r"[0-9a-fA-F-]{32,64}"
"""Ids of versions have 32 to 64 characters, stages have names (GetSecretValue)."""


_GLOBAL = "us-east-1"
"""The region that a log-in by web identity is asked in, where nothing names another."""


class AwsManager:
    """Asks both. State: the credentials in use.

    Arguments:
        section: of the configuration.
        environment: usually `os.environ`.
        ask: sends a request.
        now: Unix seconds.
        home: whose `.aws` folder is read.
    """

    def __init__(
        self, section: Aws, environment: Mapping[str, str], ask: Asker, now: Callable[[], float], home: Path
    ) -> None:
        self._section = section
        self._ask = ask
        self._now = now
        self._environment = environment
        self._home = home
        self._finder = CredentialFinder(section.profile, environment, ask, home)
        self._credentials: Credentials | None = None

    def fetch(self, reference: Reference) -> Fetched:
        """The secret that a reference names.

        Raises:
            SecretError: it cannot be had; says why, and shows nothing of it.
        """
        if reference.scheme == "aws-credentials":
            return self._own(reference)
        if reference.scheme == "aws-sm":
            wanted: dict[str, object] = {"SecretId": reference.place}
            if reference.version:
                is_id = re.fullmatch(_VERSION_ID, reference.version) is not None
                wanted["VersionId" if is_id else "VersionStage"] = reference.version
            fields = self._call(reference, "secretsmanager", "secretsmanager.GetSecretValue", wanted)
            text, version = text_of(fields, "SecretString"), text_of(fields, "VersionId")
        else:
            name = f"{reference.place}:{reference.version}" if reference.version else reference.place
            wanted = {"Name": name, "WithDecryption": True}
            fields = self._call(reference, "ssm", "AmazonSSM.GetParameter", wanted)
            text, version = text_of(fields, "Parameter", "Value"), _number(fields)
        if not text:
            raise SecretError(f"{reference.text}: it is empty, or not a text")
        return part_of(reference, text, version)

    def _own(self, reference: Reference) -> Fetched:
        """Who we are, as one line to sign with: `default` as for AWS's own tools, or a profile by its name."""
        if reference.place == "default":
            region = self._section.region or self._finder.region() or _GLOBAL
            return Fetched(one_line(reference.text, packed(self._valid(region))))
        finder = CredentialFinder(reference.place, self._environment, self._ask, self._home)
        return Fetched(one_line(reference.text, packed(finder.find(_GLOBAL))))

    def _call(self, reference: Reference, service: str, operation: str, wanted: dict[str, object]) -> Fields:
        region = self._region(reference)
        url = self._section.endpoint or f"https://{service}.{region}.{domain_of(region)}"
        headers = (("content-type", "application/x-amz-json-1.1"), ("x-amz-target", operation))
        ask = Ask("POST", f"{url.rstrip('/')}/", headers, msgspec.json.encode(wanted))
        heard = self._ask(signed(ask, self._valid(region), region, service, self._now()))
        why = _why(heard.body) if heard.status != 200 else ""
        if why:
            raise SecretError(f"{reference.text}: AWS refuses it: {why}")
        return read_object(heard, reference.text, "AWS")

    def _region(self, reference: Reference) -> str:
        parts = reference.place.split(":")
        named = parts[3] if parts[0] == "arn" and len(parts) > 3 else ""
        region = named or self._section.region or self._finder.region()
        if not re.fullmatch(r"[a-z0-9-]{1,32}", region):
            raise SecretError(f"{reference.text}: its region is not known: set `secrets.aws.region`, or AWS_REGION")
        return region

    def _valid(self, region: str) -> Credentials:
        found = self._credentials
        if found is None or (found.expires_s and self._now() > found.expires_s - _RENEW_BEFORE_S):
            # Long-lived ones are found anew each time, too: a file may have been replaced.
            found = self._finder.find(region)
            self._credentials = found if found.expires_s else None
        return found


def _why(body: bytes) -> str:
    """The kind of AWS's refusal, as `ResourceNotFoundException`. Its message may quote what was asked, and is left."""
    try:
        kind = text_of(msgspec.json.decode(body, type=Fields), "__type")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        kind = ""
    kind = kind.rpartition("#")[2]
    return kind if re.fullmatch(r"[A-Za-z.]{1,80}", kind) else ""


def _number(fields: Fields) -> str:
    parameter = fields.get("Parameter")
    version = parameter.get("Version") if isinstance(parameter, dict) else None
    return str(version) if isinstance(version, int) else ""
