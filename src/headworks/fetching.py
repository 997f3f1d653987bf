"""How an address that the operator wrote down is asked by the standard library: that address, and no other.

`urllib` follows a redirect to wherever it points, by `http:` and `ftp:` too, and sends the same headers there. Whoever
answers at the address that was meant could so make this machine ask others that only it can reach. (OWASP ASVS 5.0,
15.3.2.)
"""

from http.client import HTTPMessage, HTTPResponse
from typing import IO, cast
from urllib.request import HTTPRedirectHandler, Request, build_opener


class _Nowhere(HTTPRedirectHandler):
    """Follows no redirect: what answers with one has answered with its status."""

    def redirect_request(
        self,
        req: Request,  # noqa: ARG002 - urllib's signature
        fp: IO[bytes],  # noqa: ARG002
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: HTTPMessage,  # noqa: ARG002
        newurl: str,  # noqa: ARG002
    ) -> Request | None:
        return None


class _ByTls(HTTPRedirectHandler):
    """Follows from `https:` to `https:`: whoever is there has shown a certificate for its name."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        if req.type != "https" or not newurl.startswith("https://"):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(request: Request, *, timeout_s: float, follows_tls: bool = False) -> HTTPResponse:
    """Ask, and return the answer with its body unread.

    Arguments:
        timeout_s: for each step.
        follows_tls: redirects from TLS to TLS are followed; others never are.

    Raises:
        urllib.error.HTTPError: the status is no good one, a redirect's among them.
        OSError: nothing came back (`urllib.error.URLError` is one).
    """
    opener = build_opener(_ByTls if follows_tls else _Nowhere)
    return cast("HTTPResponse", opener.open(request, timeout=timeout_s))
