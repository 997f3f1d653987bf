"""By which names a listener may be reached, for those that a browser on this machine reaches. Pure.

A page of anybody's may have its own name lead to an address of ours (DNS rebinding): then it is, for the browser, the
page of our own site, and reads what we answer. It cannot have the browser say another name in `Host` than its own, and
an address is nobody's own.
"""

import ipaddress
from collections.abc import Iterable, Mapping

from headworks.errors import Refusal


class Hosts:
    """Names that are ours. Addresses are, whichever; so is `localhost`.

    Arguments:
        names: further ones.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset({"localhost", *(_bare(name) for name in names)})

    def check(self, headers: Mapping[bytes, bytes]) -> None:
        """Have a request be meant for us.

        Raises:
            Refusal: 421, it names somebody else.
        """
        header = headers.get(b"host")
        if header is None:
            return  # HTTP/1.0, which no browser speaks
        name = _name_in(header.decode("latin-1").strip())
        if name not in self._names and not _is_address(name):
            raise Refusal(
                421,
                "host_not_allowed",
                "The name in `Host` is not one of this gateway's. Reach it by its address or as localhost, or have its "
                "operator name the host in the configuration.",
            )


def _name_in(header: str) -> str:
    """The host of a `Host` header, without its port."""
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return _bare(header.partition(":")[0])


def _bare(name: str) -> str:
    return name.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
