"""TLS of our listeners: the callers' and the admin API's."""

import ssl

from headworks.config import Project, Tls


def tls_context(project: Project, tls: Tls | None) -> ssl.SSLContext | None:
    """A listener's TLS, if configured. Raises OSError or ssl.SSLError for files that cannot be used."""
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(project.path(tls.certificate), project.path(tls.key))
    return context
