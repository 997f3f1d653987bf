"""Who has signed in is asked after: what an identity provider says of somebody is good for some minutes, and is then
asked for again with the refresh token that it has given (OpenID Connect Core 1.0 §12). So a group that is taken away
there is gone here before long, and so is who is let go.

Refresh tokens are in the memory of this process and nowhere else. Whose is not known (the process is new, the provider
gives none) signs in again when the minutes are over; most providers let them through without a word.
"""

from collections import OrderedDict
from collections.abc import Callable

import msgspec

from headworks.admin.sessions import Session
from headworks.config import Secret

MOST = 1_000
"""Sessions that are remembered: administrators are few. Who has been there for longest is forgotten."""

AGAIN_S = 5.0
"""After an identity provider has not answered it is asked no sooner about the same session, in seconds."""


class Held(msgspec.Struct, frozen=True):
    """What is known of a session.

    Attributes:
        session: with what was said last.
        token: gets the next word; None where it was spent, or never given.
        away_s: when the provider did not answer, in Unix seconds; 0 where it did.
    """

    session: Session
    token: Secret | None
    away_s: float = 0.0


class Renewals:
    """The sessions of one admin API. State: what was said last of each, and what gets the next word. For one thread.

    Arguments:
        now: Unix seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._held: OrderedDict[str, Held] = OrderedDict()

    def keep(self, session: Session, token: Secret | None) -> None:
        """This was said now. `token` gets the next word."""
        self._put(Held(session, token))

    def keep_away(self, session: Session) -> None:
        """The identity provider has not answered; what was known stays."""
        held = self._held.get(session.session_id)
        if held is not None:
            self._put(msgspec.structs.replace(held, away_s=self._now()))

    def forget(self, session_id: str) -> None:
        """The session is over."""
        self._held.pop(session_id, None)

    def newest(self, session: Session) -> Session:
        """The session, with what was said of it last."""
        held = self._held.get(session.session_id)
        return session if held is None or held.session.read_s < session.read_s else held.session

    def token(self, session_id: str) -> Secret | None:
        """What gets the next word."""
        held = self._held.get(session_id)
        return None if held is None else held.token

    def is_away(self, session_id: str) -> bool:
        """Whether the identity provider has just not answered."""
        held = self._held.get(session_id)
        return held is not None and self._now() - held.away_s < AGAIN_S

    def _put(self, held: Held) -> None:
        self._held.pop(held.session.session_id, None)
        if len(self._held) >= MOST:
            self._held.popitem(last=False)
        self._held[held.session.session_id] = held
