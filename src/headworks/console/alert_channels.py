"""The ways in which a project has people told, with what is secret in them read."""

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from headworks.config import Project, read_secret
from headworks.console.alerting import Channel
from headworks.errors import ConfigError, SecretError


def channels_of(project: Project, environment: Mapping[str, str] = os.environ) -> tuple[Channel, ...]:
    """What `alerts` asks for.

    Raises:
        ConfigError: a secret cannot be read, or is no URL of its kind; what it is stands in no message.
    """
    alerts = project.config.alerts
    if not alerts.webhooks and alerts.mail is None:
        return ()
    from headworks.console.channels import Mail, Webhook  # only who is told anything loads TLS and mail

    def secret(reference: str, *place: str | int) -> str:
        try:
            return read_secret(reference, base=project.folder, environment=environment).reveal()
        except SecretError as error:
            raise ConfigError(project.problem(("alerts", *place), str(error))) from None

    def url(reference: str, schemes: tuple[str, ...], *place: str | int) -> str:
        text = secret(reference, *place)
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname:
            raise ConfigError(project.problem(("alerts", *place), f"this is no URL of {' or '.join(schemes)}"))
        return text

    channels: list[Channel] = []
    for index, hook in enumerate(alerts.webhooks):
        where = url(hook.url, ("https", "http"), "webhooks", index, "url")
        key = None if hook.secret is None else secret(hook.secret, "webhooks", index, "secret").encode()
        channels.append(Webhook(where, is_slack=hook.format == "slack", secret=key))
    if alerts.mail is not None:
        server = url(alerts.mail.server, ("smtp", "smtps"), "mail", "server")
        channels.append(Mail(server, alerts.mail.sender, alerts.mail.to))
    return tuple(channels)
