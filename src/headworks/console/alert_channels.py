"""The ways in which a project has people told, with what is secret in them read."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec

from headworks.config import Project, Secret, read_secret
from headworks.console.alerting import Channel
from headworks.errors import ConfigError, SecretError


class WebhookTerms(msgspec.Struct, frozen=True):
    """A webhook: its URL, which may hold a secret; whether it takes Slack's form; what signs what is posted."""

    url: Secret
    is_slack: bool
    key: Secret | None


class MailTerms(msgspec.Struct, frozen=True):
    """The mail server's URL, which may hold a password; from whom, and to whom."""

    server: Secret
    sender: str
    to: tuple[str, ...]


class AlertTerms(msgspec.Struct, frozen=True):
    """Whom a project has told of budgets, secrets read."""

    webhooks: tuple[WebhookTerms, ...] = ()
    mail: MailTerms | None = None


def alert_terms(project: Project, environment: Mapping[str, str] = os.environ) -> AlertTerms:
    """What `alerts` asks for.

    Raises:
        ConfigError: a secret cannot be read, or is no URL of its kind; what it is stands in no message.
    """
    alerts = project.config.alerts

    def secret(reference: str, *place: str | int) -> Secret:
        try:
            return read_secret(reference, base=project.folder, environment=environment)
        except SecretError as error:
            raise ConfigError(project.problem(("alerts", *place), str(error))) from None

    def url(reference: str, schemes: tuple[str, ...], *place: str | int) -> Secret:
        found = secret(reference, *place)
        parts = urlsplit(found.reveal())
        if parts.scheme not in schemes or not parts.hostname:
            raise ConfigError(project.problem(("alerts", *place), f"this is no URL of {' or '.join(schemes)}"))
        return found

    hooks: list[WebhookTerms] = []
    for index, hook in enumerate(alerts.webhooks):
        where = url(hook.url, ("https", "http"), "webhooks", index, "url")
        key = None if hook.secret is None else secret(hook.secret, "webhooks", index, "secret")
        hooks.append(WebhookTerms(where, hook.format == "slack", key))
    mail = None
    if alerts.mail is not None:
        server = url(alerts.mail.server, ("smtp", "smtps"), "mail", "server")
        mail = MailTerms(server, alerts.mail.sender, tuple(alerts.mail.to))
    return AlertTerms(tuple(hooks), mail)


def channels_of(terms: AlertTerms) -> tuple[Channel, ...]:
    """The ways of these terms; nothing has been sent, and nobody asked."""
    if not terms.webhooks and terms.mail is None:
        return ()
    from headworks.console.channels import Mail, Webhook  # only who is told anything loads TLS and mail

    channels: list[Channel] = [
        Webhook(
            hook.url.reveal(), is_slack=hook.is_slack, secret=None if hook.key is None else hook.key.reveal().encode()
        )
        for hook in terms.webhooks
    ]
    if terms.mail is not None:
        channels.append(Mail(terms.mail.server.reveal(), terms.mail.sender, terms.mail.to))
    return tuple(channels)
