"""When secrets are looked at: on schedule, when somebody asks, and sooner again after a look that failed."""

import random
from collections.abc import Callable
from pathlib import Path

from headworks.secrets.keeper import Keeper, Kept
from headworks.secrets.standing import SecretsStanding, asked_s, standing_of, write_standing

LOOK_S = 0.5
"""How often it is looked whether somebody asks."""

FIRST_RETRY_S = 2.0
MOST_RETRY_S = 60.0
"""After a failed look the next one comes so soon; twice as long each time."""

TOKENS_S = 60.0
"""From one look at access tokens to the next: whoever makes them out is asked only when one is near its end."""

LEAST_S = 1.0
"""Between two looks, however often somebody asks: managers count."""

_SPREAD = 0.1
"""Share of the time between looks that is random, so that machines do not ask together."""


class Watch:
    """Decides it. State: when the next look is due, and what was said to be wrong.

    Arguments:
        keeper: what looks.
        folder: where wishes come and the standing goes.
        refresh_s: from one look to the next.
        now: Unix seconds.
        clock: monotonic seconds.
        send: told what is kept when it has changed.
        say: writes a line for the operator.
    """

    def __init__(
        self,
        keeper: Keeper,
        folder: Path,
        refresh_s: float,
        *,
        now: Callable[[], float],
        clock: Callable[[], float],
        send: Callable[[Kept], None],
        say: Callable[[str], None],
    ) -> None:
        self._keeper = keeper
        self._folder = folder
        self._refresh_s = refresh_s
        self._now = now
        self._clock = clock
        self._send = send
        self._say = say
        self._asked_s = asked_s(folder)
        self._looked_s = clock()
        self._retry_s = FIRST_RETRY_S
        self._due_s = self._looked_s + self._spread(refresh_s)
        self._tokens_due_s = self._looked_s + TOKENS_S
        self._said: dict[str, str] = {}
        self._expired: tuple[str, ...] = ()

    def leave(self) -> None:
        """Leave the standing for others."""
        try:
            write_standing(self._folder, SecretsStanding(self._now(), self._asked_s, standing_of(self._keeper.kept)))
        except OSError as error:
            self._say(f"how the secrets stand cannot be written: {error.strerror}")

    def tick(self) -> None:
        """Look where it is time to. To be called every `LOOK_S`."""
        asked = asked_s(self._folder)
        clock_s = self._clock()
        is_asked = asked > self._asked_s and clock_s - self._looked_s >= LEAST_S
        if is_asked or clock_s >= self._due_s:
            self._asked_s = max(asked, self._asked_s)
            self.look()
        elif self._keeper.tokens and clock_s >= self._tokens_due_s:
            self.look(self._keeper.tokens)
        elif self._keeper.drain():
            self._send(self._keeper.kept)
            self._tell_expired()
            self.leave()

    def look(self, names: tuple[str, ...] = ()) -> None:
        """Look now, at all of them or at these."""
        is_news = self._keeper.look(names)
        self._looked_s = self._clock()
        problems = self._keeper.problems
        retry_s = self._retry_s if problems else MOST_RETRY_S
        self._retry_s = min(MOST_RETRY_S, self._retry_s * 2) if problems else FIRST_RETRY_S
        self._tokens_due_s = self._looked_s + min(TOKENS_S, retry_s)
        if not names:
            wait_s = self._spread(self._refresh_s)
            self._due_s = self._looked_s + (min(wait_s, retry_s) if problems else wait_s)
        self._tell(problems)
        was_expired = self._expired
        if is_news:
            self._send(self._keeper.kept)
            self._tell_expired()
            if self._expired == was_expired:
                self._say("provider keys have changed: new calls are made with the newest")
        self.leave()

    def _tell(self, problems: dict[str, str]) -> None:
        """Say what is wrong once, and when it is over."""
        for name, problem in problems.items():
            if self._said.get(name) != problem:
                self._say(f"the last known value goes on, for it cannot be looked at: {problem}")
        for name in self._said:
            if name not in problems:
                self._say(f"{name} can be looked at again")
        self._said = problems

    def _tell_expired(self) -> None:
        """Say of which keys that are away the time is over, and which are used again."""
        expired = self._keeper.expired
        for name in expired:
            if name not in self._expired:
                self._say(
                    f"{name} could not be looked at for longer than `secrets.stale_for_s`: calls with it are refused "
                    "until it can"
                )
        for name in self._expired:
            if name not in expired:
                self._say(f"{name} is used again")
        self._expired = expired

    def _spread(self, seconds: float) -> float:
        return seconds * random.uniform(1.0 - _SPREAD, 1.0)  # noqa: S311 - no secret
