"""The section `alerts`: who is told when a budget is reached, and how."""

from typing import Annotated, Literal

from msgspec import Meta

from headworks.config.managers import LocalSecretReference
from headworks.config.sections.base import Section


class WebhookAlert(Section, frozen=True, kw_only=True):
    """An URL that is posted to."""

    url: Annotated[LocalSecretReference, Meta(description="Where its URL is: it is as good as a password.")]
    format: Annotated[
        Literal["json", "slack"],
        Meta(description="`slack`: a message with `text`, as Slack, Mattermost and others take it."),
    ] = "json"
    secret: Annotated[
        LocalSecretReference | None,
        Meta(description="Where the secret is that signs the body (HMAC-SHA-256 in `x-headworks-signature`)."),
    ] = None


MailAddress = Annotated[str, Meta(pattern="^[^@\\s,]+@[^@\\s,]+$", max_length=320)]


class MailAlert(Section, frozen=True, kw_only=True):
    """An e-mail."""

    server: Annotated[
        LocalSecretReference,
        Meta(description="Where the server's URL is: `smtp://user:password@host:587` (with STARTTLS), or `smtps://`."),
    ]
    sender: Annotated[MailAddress, Meta(description="Whom it is from.")]
    to: Annotated[tuple[MailAddress, ...], Meta(description="Whom it is for.", min_length=1)]


class Alerts(Section, frozen=True):
    """Who is told when a budget is reached. It stands in the log in any case."""

    webhooks: Annotated[tuple[WebhookAlert, ...], Meta(description="URLs that are posted to.")] = ()
    mail: Annotated[MailAlert | None, Meta(description="An e-mail.")] = None
