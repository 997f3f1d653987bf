"""What is asked of a caller beside the key: from where, and whether too many bad keys have come from there."""

import time
from collections.abc import Callable, Mapping, Sequence

from headworks.access.grant import Grant
from headworks.access.lockout import Lockout
from headworks.access.networks import Address, Networks, client_address
from headworks.calls import Caller
from headworks.errors import Refusal

TRIES = 20
WINDOW_S = 60.0
LOCKOUT_S = 60.0
"""A person who mistypes, or a service that was given a wrong key, is told so often enough with these."""


class WrongNetwork(Refusal):
    """A good key that is used from where it is not good; knows whose it is, for the record."""

    def __init__(self, caller: Caller) -> None:
        super().__init__(
            403,
            "address_not_allowed",
            "This key may not be used from your address. Whoever runs this gateway can say from where it may be, with "
            "`headworks keys limit --networks`.",
            kind="permission_error",
        )
        self.caller = caller


class Door:
    """Where callers come in.

    Arguments:
        trusted_proxies: networks of proxies whose `X-Forwarded-For` is believed.
        tries, window_s, lockout_s, clock: see `Lockout`.
    """

    __slots__ = ("_has_proxies", "_lockout", "_trusted")

    def __init__(
        self,
        trusted_proxies: Sequence[str] = (),
        *,
        tries: int = TRIES,
        window_s: float = WINDOW_S,
        lockout_s: float = LOCKOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trusted = Networks(trusted_proxies)
        self._has_proxies = bool(trusted_proxies)
        self._lockout = Lockout(tries, window_s, lockout_s, clock)

    def origin(self, peer: str, headers: Mapping[bytes, bytes]) -> str:
        """The caller's address as text, for the log; "" where it is not known."""
        if not self._has_proxies:
            return peer
        address = self._address(peer, headers)
        return "" if address is None else str(address)

    def check(self, grant: Grant, peer: str, headers: Mapping[bytes, bytes]) -> None:
        """Have a key used only from where it may be.

        Raises:
            WrongNetwork: it is somewhere else.
        """
        if grant.networks is not None and not grant.networks.has(self._address(peer, headers)):
            raise WrongNetwork(grant.caller)

    def note_bad_key(self, peer: str, headers: Mapping[bytes, bytes]) -> None:
        """A key was not good.

        Raises:
            Refusal: 429, too many were not that came from there.
        """
        self._lockout.note(self._address(peer, headers))

    def _address(self, peer: str, headers: Mapping[bytes, bytes]) -> Address | None:
        return client_address(peer, headers.get(b"x-forwarded-for"), self._trusted)
