"""Who we are at AWS: the first that is there of environment, profile file, web identity, container, machine.

Source: AWS SDKs and Tools Reference Guide, "Standardized credential providers" (2026-11).
"""

import configparser
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from headworks.errors import SecretError
from headworks.secrets.asking import Ask, Asker, is_near, read_object, text_of
from headworks.sigv4 import Credentials

_CONTAINER = "http://169.254.170.2"
_MACHINE = "http://169.254.169.254/latest"
_WHO = "the log-in at AWS"


class CredentialFinder:
    """Finds them. Pure but for what it reads and asks.

    Arguments:
        profile: of the profile file; None: as the environment says.
        environment: usually `os.environ`.
        ask: sends a request.
        home: whose `.aws` folder is read.
    """

    def __init__(self, profile: str | None, environment: Mapping[str, str], ask: Asker, home: Path) -> None:
        self._environment = environment
        self._is_chosen = bool(profile or environment.get("AWS_PROFILE"))
        self._profile = profile or environment.get("AWS_PROFILE") or "default"
        self._ask = ask
        folder = home / ".aws"
        self._credentials_file = Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or folder / "credentials")
        self._config_file = Path(environment.get("AWS_CONFIG_FILE") or folder / "config")

    def region(self) -> str:
        """As the environment or the profile says; "" where neither does."""
        named = self._environment.get("AWS_REGION") or self._environment.get("AWS_DEFAULT_REGION")
        return named or self._profile_fields().get("region", "")

    def find(self, region: str) -> Credentials:
        """The credentials.

        Raises:
            SecretError: there are none, or they cannot be had.
        """
        given = self._environment
        if not self._is_chosen and given.get("AWS_ACCESS_KEY_ID") and given.get("AWS_SECRET_ACCESS_KEY"):
            return Credentials(
                given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], given.get("AWS_SESSION_TOKEN", "")
            )
        fields = self._profile_fields()
        if fields.get("aws_access_key_id") and fields.get("aws_secret_access_key"):
            token = fields.get("aws_session_token", "")
            return Credentials(fields["aws_access_key_id"], fields["aws_secret_access_key"], token)
        if self._is_chosen:
            raise SecretError(
                f"the AWS profile {self._profile} has no access key of its own; profiles that take on a role or log in "
                "by SSO are not read here"
            )
        if given.get("AWS_WEB_IDENTITY_TOKEN_FILE") and given.get("AWS_ROLE_ARN"):
            return self._by_web_identity(region)
        if given.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") or given.get("AWS_CONTAINER_CREDENTIALS_FULL_URI"):
            return self._of_container()
        if given.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise SecretError("there are no AWS credentials: neither environment nor profile nor an identity has any")
        return self._of_machine()

    def _profile_fields(self) -> dict[str, str]:
        """What the two files say of the profile; the credentials file before the other."""
        found: dict[str, str] = {}
        named = self._profile if self._profile == "default" else f"profile {self._profile}"
        for path, section in ((self._config_file, named), (self._credentials_file, self._profile)):
            parser = configparser.RawConfigParser()
            try:
                parser.read(path, encoding="utf-8")
            except (configparser.Error, UnicodeDecodeError, OSError):
                raise SecretError(f"{path} cannot be read as an AWS profile file") from None
            if parser.has_section(section):
                found.update(parser.items(section))
        return found

    def _by_web_identity(self, region: str) -> Credentials:
        token = _read(self._environment["AWS_WEB_IDENTITY_TOKEN_FILE"])
        body = urlencode(
            {
                "Action": "AssumeRoleWithWebIdentity",
                "Version": "2011-06-15",
                "RoleArn": self._environment["AWS_ROLE_ARN"],
                "RoleSessionName": self._environment.get("AWS_ROLE_SESSION_NAME") or "headworks",
                "WebIdentityToken": token,
            }
        ).encode()
        url = self._environment.get("AWS_ENDPOINT_URL_STS") or f"https://sts.{region}.{domain_of(region)}/"
        heard = self._ask(Ask("POST", url, (("content-type", "application/x-www-form-urlencoded"),), body))
        if heard.status != 200:
            raise SecretError(f"{_WHO} by web identity is answered with {heard.status}")
        text = heard.body.decode("utf-8", "replace")
        found = [re.search(rf"<{name}>([^<]+)</{name}>", text) for name in _STS_FIELDS]
        key_id, key, session, expires = (match[1] if match else "" for match in found)
        if not key_id or not key:
            raise SecretError(f"{_WHO} by web identity is answered without credentials")
        return Credentials(key_id, key, session, _unix(expires))

    def _of_container(self) -> Credentials:
        given = self._environment
        relative = given.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
        url = f"{_CONTAINER}{relative}" if relative else given["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        if urlsplit(url).scheme != "https" and not is_near(urlsplit(url).hostname or ""):
            raise SecretError("AWS_CONTAINER_CREDENTIALS_FULL_URI leads to another machine in clear text")
        file = given.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
        token = _read(file) if file else given.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
        headers = (("authorization", token),) if token else ()
        return self._read_credentials(Ask("GET", url, headers), "the container")

    def _of_machine(self) -> Credentials:
        """By IMDSv2: a session first, so that no tricked proxy can ask."""
        lifetime = (("x-aws-ec2-metadata-token-ttl-seconds", "300"),)
        try:
            session = self._ask(Ask("PUT", f"{_MACHINE}/api/token", lifetime))
        except SecretError:
            raise SecretError(
                "there are no AWS credentials: environment, profile, web identity and container have none, and this is "
                "no machine of AWS"
            ) from None
        if session.status != 200:
            raise SecretError(f"{_WHO} as this machine is answered with {session.status}")
        headers = (("x-aws-ec2-metadata-token", session.body.decode("ascii", "replace")),)
        listed = self._ask(Ask("GET", f"{_MACHINE}/meta-data/iam/security-credentials/", headers))
        role = listed.body.decode("ascii", "replace").split()
        if listed.status != 200 or not role:
            raise SecretError("this machine has no role at AWS")
        url = f"{_MACHINE}/meta-data/iam/security-credentials/{quote(role[0])}"
        return self._read_credentials(Ask("GET", url, headers), "the machine")

    def _read_credentials(self, ask: Ask, of: str) -> Credentials:
        fields = read_object(self._ask(ask), _WHO, of)
        key_id, key = text_of(fields, "AccessKeyId"), text_of(fields, "SecretAccessKey")
        if not key_id or not key:
            raise SecretError(f"{_WHO}: {of} answers without credentials")
        return Credentials(key_id, key, text_of(fields, "Token"), _unix(text_of(fields, "Expiration")))


_STS_FIELDS = ("AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration")


def domain_of(region: str) -> str:
    """Where a region's services are."""
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise SecretError(f"the identity token in {path} cannot be read") from None


def _unix(moment: str) -> float:
    try:
        return datetime.fromisoformat(moment).timestamp() if moment else 0.0
    except ValueError:
        return 0.0
