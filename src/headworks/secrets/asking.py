"""How a secret manager is asked: one request, one answer, over HTTP, blocking. For processes that serve nobody.

Nothing here follows a redirect: what opens a manager goes to the address that was meant and to no other.
"""

import ipaddress
import ssl
from typing import NoReturn, Protocol
from urllib.parse import urlsplit

import msgspec

from headworks.errors import SecretError

MAX_ANSWER = 1_048_576
"""Bytes of an answer: Google's and AWS's secrets have at most 64 KiB, Vault's entries 1 MiB."""

_HERE = frozenset({"169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "metadata.google.internal"})
"""Where a machine or a container is told who it is, in clear text (AWS: IMDS, ECS, EKS; Azure; Google; 2026-11)."""


class Ask(msgspec.Struct, frozen=True):
    """One request. Its headers and its body may open the manager: it does not show them."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Ask({self.method} {urlsplit(self.url).hostname})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a request to a secret manager cannot be pickled or copied")


class Heard(msgspec.Struct, frozen=True):
    """What came back. The body may be a secret: it does not show it."""

    status: int
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Heard({self.status})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an answer of a secret manager cannot be pickled or copied")


class Asker(Protocol):
    """Sends a request and returns what comes back, whatever its status. Raises SecretError where nothing comes."""

    def __call__(self, ask: Ask, /) -> Heard: ...


class HttpAsker:
    """Asks over the network, with a connection for each request: there are few.

    Arguments:
        timeout_s: for each step of a request: connecting, sending, each piece of the answer.
        ca_file: authorities to trust instead of the system's.

    Raises:
        SecretError: the authorities cannot be read.
    """

    def __init__(self, timeout_s: float, ca_file: str | None = None) -> None:
        self._timeout_s = timeout_s
        try:
            self._context = ssl.create_default_context(cafile=ca_file)
        except (OSError, ssl.SSLError):
            raise SecretError(f"the authorities in {ca_file} cannot be read as PEM") from None

    def __call__(self, ask: Ask, /) -> Heard:
        import http.client  # a megabyte, which workers do without

        parts = urlsplit(ask.url)
        host, where = parts.hostname or "", parts.netloc
        if parts.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, parts.port, timeout=self._timeout_s, context=self._context
            )
        elif parts.scheme == "http" and is_near(host):
            connection = http.client.HTTPConnection(host, parts.port, timeout=self._timeout_s)
        else:
            raise SecretError(f"{where} is to be asked in clear text: write its address with `https://`")
        target = parts.path or "/"
        if parts.query:
            target = f"{target}?{parts.query}"
        try:
            connection.request(ask.method, target, ask.body or None, dict(ask.headers))
            answer = connection.getresponse()
            body = answer.read(MAX_ANSWER + 1)
        except TimeoutError:
            raise SecretError(f"{where} does not answer within {self._timeout_s:g} s") from None
        except ssl.SSLError as error:
            raise SecretError(f"{where} cannot be trusted or does not speak TLS ({error.reason or 'TLS'})") from None
        except OSError as error:
            raise SecretError(f"{where} cannot be reached: {error.strerror or type(error).__name__}") from None
        except (http.client.HTTPException, ValueError) as error:
            raise SecretError(f"{where} does not answer as an HTTP server does ({type(error).__name__})") from None
        finally:
            connection.close()
        if len(body) > MAX_ANSWER:
            raise SecretError(f"{where} answers with more than {MAX_ANSWER} bytes")
        return Heard(answer.status, body)


def is_near(host: str) -> bool:
    """Whether a request to the host stays on this machine, or with what says who this machine is."""
    if host in _HERE or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


Fields = dict[str, object]

_decode = msgspec.json.Decoder(Fields).decode


def read_object(heard: Heard, reference: str, who: str) -> Fields:
    """The JSON object of a good answer.

    Raises:
        SecretError: the answer is a refusal, or no object; its text is not shown.
    """
    if heard.status != 200:
        raise SecretError(f"{reference}: {who} answers with {heard.status}{_HINTS.get(heard.status, '')}")
    try:
        return _decode(heard.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise SecretError(f"{reference}: {who} answers with something that is no JSON object") from None


def text_of(fields: Fields, *path: str) -> str:
    """The text at a path of names; "" where there is none."""
    found: object = fields
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, str) else ""


_HINTS = {
    400: ": it takes the request, or who asks, for wrong",
    401: ": it does not know who asks",
    403: ": who asks may not read it",
    404: ": there is no such secret, or none that may be seen",
    429: ": it is asked too often",
    503: ": it is sealed, or not ready",
}
