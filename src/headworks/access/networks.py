"""From where a call comes: addresses, the networks that a key is good in, and who may speak for another. Pure."""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MOST_HOPS = 32
"""Entries of `X-Forwarded-For` that are read. A way through more proxies of one's own is a mistake, or a forgery."""

_SITE_BITS = 64  # what one site is given at least (RFC 6177)

_MOST_CHARACTERS = 64  # an IPv6 address with brackets, scope and port is shorter


class Networks:
    """A set of networks. An IPv4 address that is written as an IPv6 one (`::ffff:10.0.0.1`) is the IPv4 address.

    Arguments:
        texts: in CIDR form (`10.0.0.0/8`, `2001:db8::/32`), or single addresses.

    Raises:
        ValueError: one is none, or has bits below its prefix, which is more often a slip than meant.
    """

    __slots__ = ("_networks",)

    def __init__(self, texts: Iterable[str]) -> None:
        self._networks: tuple[Network, ...] = tuple(parse_network(text) for text in texts)

    def has(self, address: Address | None) -> bool:
        """Whether the address is in one of them. An address that is not known is in none."""
        if address is None:
            return False
        return any(address in network for network in self._networks)

    def covers(self, texts: Iterable[str]) -> bool:
        """Whether there are any of these networks, and none has an address that is not in one of ours."""
        others = [parse_network(text) for text in texts]
        return bool(others) and all(any(_is_within(other, network) for network in self._networks) for other in others)


def _is_within(one: Network, other: Network) -> bool:
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.subnet_of(other)
    return isinstance(other, ipaddress.IPv6Network) and one.subnet_of(other)


def parse_network(text: str) -> Network:
    """The network that is meant.

    Raises:
        ValueError: it is none; the message says what is expected, and holds no text of the caller's.
    """
    expected = "expected a network as `10.0.0.0/8` or `2001:db8::/32`, or one address"
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        try:
            meant = ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise ValueError(expected) from None
        raise ValueError(f"{expected}; this one has bits behind its prefix: write {meant}") from None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= 96:
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network


def parse_address(text: str) -> Address | None:
    """The address in a text, which may have a port, brackets and a scope; None if it is none."""
    text = text.strip(" \t")
    if len(text) > _MOST_CHARACTERS:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def site_of(address: Address | None) -> object:
    """What counts as one place: of an IPv6 address the network, for its host part is the caller's to choose."""
    if isinstance(address, ipaddress.IPv6Address):
        return int(address) >> (128 - _SITE_BITS)
    return address


NO_NETWORKS = Networks(())


def client_address(peer: str, forwarded: bytes | None, trusted: Networks) -> Address | None:
    """Who the caller is: who connects, or, where that is a trusted proxy, who it says it speaks for.

    `X-Forwarded-For` grows at its end: each proxy adds whom it was connected from. So it is read from the right, as
    long as what stands there is a trusted proxy itself; what stands further left, anybody may have written.

    Arguments:
        peer: the address at the other end of the connection; "" if there is none.
        forwarded: the value of `X-Forwarded-For`, of all its lines together.
        trusted: the proxies that are believed.

    Returns:
        None where it cannot be known: no network has that, so nothing is let in by mistake.
    """
    address = parse_address(peer)
    if not forwarded or not trusted.has(address):
        return address
    hops: Sequence[str] = forwarded.decode("latin-1").rsplit(",", MOST_HOPS)
    # What is left of the most hops stays one piece with commas in it, which is no address.
    for hop in reversed(hops):
        address = parse_address(hop)
        if not trusted.has(address):
            return address
    return address


__all__ = ["NO_NETWORKS", "Address", "Networks", "client_address", "parse_address", "parse_network", "site_of"]
