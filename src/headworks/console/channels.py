"""The ways in which people are told: webhooks and e-mail. Loaded only where there are any."""

import hmac
import json
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Sequence
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from headworks.console.alerting import TIMEOUT_S, Alert
from headworks.fetching import fetch


class Webhook:
    """An URL that is posted to.

    Arguments:
        url: may hold a secret, as Slack's do; it is never shown.
        is_slack: `{"text": ...}`, as Slack, Mattermost and others take it; else `Alert.as_json`.
        secret: signs the body: `x-headworks-signature: sha256=` and its HMAC-SHA-256 in hexadecimal; None for none.
    """

    def __init__(self, url: str, *, is_slack: bool, secret: bytes | None = None) -> None:
        self._url = url
        self._is_slack = is_slack
        self._secret = secret

    @property
    def name(self) -> str:
        """See `Channel`."""
        return f"the webhook at {urlsplit(self._url).hostname}"

    def send(self, alert: Alert) -> None:
        """See `Channel`."""
        body = json.dumps({"text": alert.text}).encode() if self._is_slack else alert.as_json()
        headers = {"content-type": "application/json", "user-agent": "headworks"}
        if self._secret is not None:
            headers["x-headworks-signature"] = f"sha256={hmac.new(self._secret, body, 'sha256').hexdigest()}"
        # Only what the operator has configured, which was checked to be HTTP.
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310
        try:
            with fetch(request, timeout_s=TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            raise OSError(f"it answered with status {error.code}") from None
        except urllib.error.URLError as error:
            raise OSError(str(error.reason)) from None


class Mail:
    """An e-mail.

    Arguments:
        server: `smtp://[user:password@]host[:port]`, with STARTTLS where the server has it, or `smtps://`; the password
            is never shown, and never sent unencrypted.
    """

    def __init__(self, server: str, sender: str, receivers: Sequence[str]) -> None:
        self._server = urlsplit(server)
        self._sender = sender
        self._receivers = tuple(receivers)

    @property
    def name(self) -> str:
        """See `Channel`."""
        return f"the mail server {self._server.hostname}"

    def send(self, alert: Alert) -> None:
        """See `Channel`."""
        message = EmailMessage()
        message["Subject"] = f"Headworks: budget of {alert.of} at {alert.percent} %"
        message["From"], message["To"] = self._sender, ", ".join(self._receivers)
        message.set_content(f"{alert.text}\n")
        try:
            with self._connect() as connection:
                if self._server.username:
                    connection.login(unquote(self._server.username), unquote(self._server.password or ""))
                connection.send_message(message)
        except smtplib.SMTPException as error:
            raise OSError(f"{type(error).__name__}") from None

    def _connect(self) -> smtplib.SMTP:
        host, context = self._server.hostname or "", ssl.create_default_context()
        if self._server.scheme == "smtps":
            return smtplib.SMTP_SSL(host, self._server.port or 465, timeout=TIMEOUT_S, context=context)
        connection = smtplib.SMTP(host, self._server.port or 25, timeout=TIMEOUT_S)
        connection.ehlo()
        if connection.has_extn("starttls"):
            connection.starttls(context=context)
            connection.ehlo()
        elif self._server.username:
            connection.close()
            raise OSError("it does not encrypt, so no password is sent to it")
        return connection
