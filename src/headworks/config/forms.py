"""What a text must look like, where its type does not say it: each form takes the text and returns it, made
canonical, or raises `Unfit` with the words for the reader. No message holds the text itself: it may be a secret
in the wrong place.
"""

import base64
import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from urllib.parse import SplitResult, urlsplit

from headworks.config.references import FORM, LOCAL_FORM, is_local_reference, is_reference
from headworks.config.secrets import looks_like_secret

HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
"""Headers of one connection only (RFC 9110 §7.6.1, and the two that proxies still see)."""

OWNED = frozenset(
    {"host", "content-length", "content-type", "content-encoding", "accept-encoding", "expect", "authorization",
     "openai-organization", "openai-project"}
)  # fmt: skip
"""Headers that the gateway sets itself, from the request or from other fields."""

_FIELD_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 §5.6.2
_FIELD_VALUE = r"[\x20-\x7e]*"
_HOST = r"[A-Za-z0-9._:%-]+"
_VISIBLE = r"[\x21-\x7e]+"
_AMOUNT = r"[0-9]{1,12}(\.[0-9]{1,12})?"
_STORE_URL = r"postgres(ql)?://[\x21-\x22\x24-\x7e]*"  # a fragment means nothing here
_CONTROL = r"[\x00-\x1f\x7f]"


class Unfit(ValueError):
    """The text does not have the form; the message says what was expected, without quoting the text."""


def secret_reference(text: str) -> str:
    """A reference of any kind; a secret itself is refused."""
    if not is_reference(text):
        raise Unfit(f"expected a secret reference, {FORM}; a secret itself does not belong in this file")
    _without_control(text)
    return text


def local_secret_reference(text: str) -> str:
    """`env:NAME` or `file:PATH`; a secret itself is refused."""
    if is_reference(text) and not is_local_reference(text):
        raise Unfit(f"expected {LOCAL_FORM}: this one is read before a secret manager can be asked")
    if not is_reference(text):
        raise Unfit(f"expected a secret reference, {LOCAL_FORM}; a secret itself does not belong in this file")
    _without_control(text)
    return text


def path(text: str) -> str:
    """A file's path; relative ones are relative to the folder of headworks.yaml."""
    _without_control(text)
    return text


def host(text: str) -> str:
    """An address or a name to listen on."""
    if not re.fullmatch(_HOST, text):
        raise Unfit("expected an address or host name, without scheme and port")
    return text


def network(text: str) -> str:
    """A network in CIDR form, or one address."""
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise Unfit(
            "expected a network as `10.0.0.0/8` or `2001:db8::/32` without bits behind its prefix, or one address"
        ) from None


def base_url(text: str) -> str:
    """`http(s)://host[:port][/path]`, without a slash at the end."""
    parts = _url(text, schemes=("http", "https"))
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def proxy_url(text: str) -> str:
    """`http://host:port`."""
    parts = _url(text, schemes=("http",))
    if parts.path not in ("", "/") or parts.port is None:
        raise Unfit("expected a proxy as `http://host:port`")
    return f"http://{parts.netloc.lower()}"


def header_name(text: str) -> str:
    """A header that a request upstream may have in addition; lower-cased."""
    name = text.lower()
    if not re.fullmatch(_FIELD_NAME, name):
        raise Unfit("expected a header name: letters, digits and `-`")
    if name in HOP_BY_HOP:
        raise Unfit(f"`{name}` belongs to one connection and cannot be set here")
    if name in OWNED:
        way_out = {
            "authorization": ": use `api_key`",
            "openai-organization": ": use `organization`",
            "openai-project": ": use `project`",
        }.get(name, "")
        raise Unfit(f"`{name}` is set by the gateway itself{way_out}")
    return name


def header_value(text: str) -> str:
    """Printable ASCII in one line, or a secret reference; a secret itself is refused."""
    if not is_reference(text) and looks_like_secret(text):
        raise Unfit("this looks like a key: put it in the environment or a file and write `env:NAME` or `file:PATH`")
    if not re.fullmatch(_FIELD_VALUE, text) or text != text.strip(" "):
        raise Unfit("expected printable ASCII characters in one line")
    return text


def model_name(text: str) -> str:
    """A model's name at its provider: visible ASCII."""
    if not re.fullmatch(_VISIBLE, text):
        raise Unfit("expected a model name: visible ASCII characters without spaces")
    return text


def amount(text: str) -> str:
    """A number that is not negative, with at most twelve digits before and after the point."""
    return _decimal(text, "a number from 0 on")


def positive_amount(text: str) -> str:
    """A number above 0."""
    if not text.strip("0.") or text.startswith("-"):
        raise Unfit("expected a number above 0")
    return _decimal(text, "a number above 0")


def percent(text: str) -> str:
    """A share above 0 and up to 100."""
    if Decimal(positive_amount(text)) > 100:
        raise Unfit("expected at most 100")
    return text


def discount(text: str) -> str:
    """A percentage that comes off; negative for a surcharge."""
    expected = "a number from -1000 to 100"
    size = Decimal(_decimal(text.removeprefix("-"), expected))
    if size > (1000 if text.startswith("-") else 100):
        raise Unfit(f"expected {expected}")
    return text


def public_key(text: str) -> str:
    """An Ed25519 public key: 32 bytes in base64."""
    try:
        is_key = len(base64.b64decode(text, validate=True)) == 32
    except ValueError:
        is_key = False
    if not is_key:
        raise Unfit("expected an Ed25519 public key: 32 bytes in base64, 44 characters")
    return text


def store_url(text: str) -> str:
    """`postgresql://[user@]host[:port][,...]/name[?...]`: a URL of libpq that holds no password."""
    if not re.fullmatch(_STORE_URL, text):
        raise Unfit("expected a PostgreSQL URL as `postgresql://user@host:5432/name`")
    authority, _, rest = text.partition("//")[2].partition("/")
    query = rest.partition("?")[2] or authority.partition("?")[2]
    if ":" in authority.rpartition("@")[0] or re.search(r"(^|&)\w*password=", query, re.IGNORECASE):
        raise Unfit("the password does not belong into the URL: put a reference to it into `store_password`")
    return text


FORMS: dict[str, Callable[[str], str]] = {
    "secret-reference": secret_reference,
    "local-secret-reference": local_secret_reference,
    "path": path,
    "host": host,
    "network": network,
    "base-url": base_url,
    "proxy-url": proxy_url,
    "header-name": header_name,
    "header-value": header_value,
    "model-name": model_name,
    "amount": amount,
    "positive-amount": positive_amount,
    "percent": percent,
    "discount": discount,
    "public-key": public_key,
    "store-url": store_url,
}
"""Forms by the name that a field's `extra` gives."""


def _decimal(text: str, expected: str) -> str:
    if not re.fullmatch(_AMOUNT, text):
        raise Unfit(f"expected {expected}, as plain digits, with at most twelve of them before and after the point")
    return text


def _without_control(text: str) -> None:
    if re.search(_CONTROL, text):
        raise Unfit("control characters are not allowed")


def _url(text: str, *, schemes: tuple[str, ...]) -> SplitResult:
    """The parts of an absolute URL that names an origin and a path, and nothing else."""
    wanted = " or ".join(f"`{scheme}://`" for scheme in schemes)
    if not re.fullmatch(_VISIBLE, text) or "\\" in text:
        raise Unfit(f"expected a URL that begins with {wanted}")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit("expected a URL with a valid host and port") from None
    if parts.scheme not in schemes or not parts.netloc:
        raise Unfit(f"expected a URL that begins with {wanted}")
    if "@" in parts.netloc:
        raise Unfit("a URL must not hold credentials")
    if "?" in text or "#" in text:
        raise Unfit("a URL must not have a query or a fragment")
    if not parts.hostname or not re.fullmatch(_HOST, parts.hostname) or port == 0 or parts.netloc.endswith(":"):
        raise Unfit("expected a URL with a valid host and port")
    return parts
