"""What must hold of who administrates, and of the admin API. Pure."""

import ipaddress
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from headworks.config.sections.access import Access, TokenIssuer
from headworks.config.sections.administration import Admin, AdminTokens, SignIn
from headworks.config.walk import Path

_CLEAR = "expected `https://`: whoever can change this on its way can sign in as anybody"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a listener on this address or name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def problems_of(section: Admin | Access) -> Iterator[tuple[Path, str]]:
    """What is wrong with a section: place, and message."""
    return _admin_problems(section) if isinstance(section, Admin) else _access_problems(section)


def _admin_problems(admin: Admin) -> Iterator[tuple[Path, str]]:
    if admin.port is not None and admin.tls is None and not is_loopback(admin.host):
        yield (
            ("host",),
            "other machines reach this address: it needs `tls`, as keys and cookies go over it; or listen on 127.0.0.1",
        )
    for number, one in enumerate(admin.tokens):
        for place, message in key_set_problems(one):
            yield ("tokens", number, *place), message
    if admin.sign_in is not None:
        for place, message in _sign_in_problems(admin.sign_in):
            yield ("sign_in", *place), message


def _access_problems(access: Access) -> Iterator[tuple[Path, str]]:
    places = Counter(team for one in access.organisations.values() for team in dict.fromkeys(one.teams))
    for name, one in access.organisations.items():
        for number, team in enumerate(one.teams):
            if places[team] > 1:
                yield ("organisations", name, "teams", number), "is a team of more than one organisation"
    for number, user in enumerate(access.users):
        if (user.subject is None) == (user.email is None):
            yield ("users", number), "needs either `subject` or `email`"
    for field in ("users", "roles"):
        for number, one_of in enumerate(getattr(access, field)):
            if one_of.organisation is not None and one_of.organisation not in access.organisations:
                yield (field, number, "organisation"), "there is no such organisation in `access.organisations`"


def issuer_problems(admin: Admin, access: Access) -> Iterator[tuple[Path, str]]:
    """Users and rules that do not say whose they are, where that is not certain: two identity providers may call
    different people the same."""
    issuers = {one.issuer for one in admin.tokens}
    if admin.sign_in is not None:
        issuers.add(admin.sign_in.issuer)
    if len(issuers) < 2:
        return
    for field in ("users", "roles"):
        for number, one in enumerate(getattr(access, field)):
            if one.issuer is None:
                yield ("access", field, number), "needs `issuer`: `admin` names more than one identity provider"


def _sign_in_problems(sign_in: SignIn) -> Iterator[tuple[Path, str]]:
    yield from key_set_problems(sign_in)
    if sign_in.is_discovered and sign_in.jwks_file is not None and not _is_address(sign_in.issuer):
        yield ("issuer",), "expected an `https://` address, below which the rest is found; or write each `..._url`"
    for field in ("url", "authorization_url", "token_url"):
        url = urlsplit(getattr(sign_in, field) or "")
        if url.scheme == "http" and not is_loopback(url.hostname or ""):
            yield (field,), _CLEAR
    if urlsplit(sign_in.url).path.strip("/"):
        yield ("url",), "has a path: the admin API is at the root of its own port"
    if "openid" not in sign_in.scopes:
        yield ("scopes",), "needs `openid`: without it there is no token that says who signs in"


def key_set_problems(one: AdminTokens | SignIn | TokenIssuer) -> Iterator[tuple[Path, str]]:
    """What is wrong with where the keys of an identity provider are said to be."""
    if one.jwks_url is not None and one.jwks_file is not None:
        yield (), "needs `jwks_url` or `jwks_file` and not both"
    if one.jwks_url is None and one.jwks_file is None and not _is_address(one.issuer):
        yield (
            (),
            "needs `jwks_url` or `jwks_file`, or an `issuer` that is an `https://` address: they are found there",
        )
    url = urlsplit(one.jwks_url or "")
    if url.scheme == "http" and not is_loopback(url.hostname or ""):
        yield ("jwks_url",), _CLEAR


def _is_address(issuer: str) -> bool:
    """Whether it can be asked where its keys are: over TLS, or on this machine (OpenID Connect Discovery 1.0 §4)."""
    try:
        url = urlsplit(issuer)
        is_bare = not (url.query or url.fragment or "@" in url.netloc)
        return is_bare and bool(url.hostname) and (url.scheme == "https" or _is_clear_here(url.scheme, url.hostname))
    except ValueError:
        return False


def _is_clear_here(scheme: str, host: str | None) -> bool:
    return scheme == "http" and is_loopback(host or "")
