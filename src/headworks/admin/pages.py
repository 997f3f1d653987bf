"""What a browser is shown around signing in: text, no script, nothing from elsewhere. Pure."""

from html import escape

_HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Headworks</title>
"""

SAFETY = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("x-frame-options", "DENY"),
    ("content-security-policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer: nobody keeps it, frames it, or makes something else of it (OWASP ASVS 5.0, 3.4)."""


def signed_in_page(name: str) -> bytes:
    """Where somebody is who has just signed in.

    It leads on by itself, from this site: a redirect would count as coming from the identity provider's, and the
    browser would not send the new cookie along (`SameSite=Strict`).
    """
    return (
        f'{_HEAD}<meta http-equiv="refresh" content="0; url=/admin/v1/me">\n</head>\n<body>\n'
        f'<p>You are signed in as {escape(name)}. <a href="/admin/v1/me">Go on</a>.</p>\n</body>\n</html>\n'
    ).encode()


def trouble_page(message: str) -> bytes:
    """Why somebody is not signed in."""
    return (
        f'{_HEAD}</head>\n<body>\n<p>{escape(message)}</p>\n<p><a href="/login">Sign in</a></p>\n</body>\n</html>\n'
    ).encode()
