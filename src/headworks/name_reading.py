"""Step 5, before patterns: a contract's local model is asked for names, and what becomes of a call that it cannot read.

The model runs in processes of its own, so that asking it is waiting. Everything behind this is quick, and has what was
found at hand.
"""

import asyncio
from collections.abc import Callable, Iterable

from headworks.screening.privacy import NO_ENTITIES, Entities, EntityFailure, PrivacyPolicy, ScreeningFailed
from headworks.settlement import OpenCall
from headworks.telemetry import report


class NameReading:
    """The names in one call. State: what the model has found.

    Arguments:
        known: what was found in this call already.
    """

    __slots__ = ("_call", "_entities", "_policy", "is_open")

    def __init__(self, policy: PrivacyPolicy, call: OpenCall, known: Entities | None = None) -> None:
        self._policy = policy
        self._call = call
        self._entities = NO_ENTITIES if policy.entities is None else known
        self.is_open = False
        """Whether the call goes on although its names could not be looked for."""

    @property
    def entities(self) -> Entities:
        """What was found.

        Raises:
            ScreeningFailed: the model has not been asked, and has to be.
        """
        if self._entities is None:
            raise ScreeningFailed("the names: nobody has looked for them")
        return self._entities

    @property
    def known(self) -> Entities:
        """What was found, if anything was looked for."""
        return self._entities or NO_ENTITIES

    async def read(self, texts: Callable[[], Iterable[str]]) -> None:
        """Ask the model, if there is one.

        Arguments:
            texts: gives what is to be read.

        Raises:
            ScreeningFailed: it cannot be asked, and the contract does not say `on_failure: open`.
        """
        pool = self._policy.entities
        if pool is None:
            return
        try:
            # In a task of its own, made on the loop: a call runs as a `Flow`, and the pool's time limits need a task.
            await asyncio.sleep(0)
            self._entities = await asyncio.get_running_loop().create_task(pool.find(texts()))
        except EntityFailure as failure:
            report(f"{self._call.call_id}: names could not be looked for: {failure}")
            self._fail()
        except ScreeningFailed:
            self._fail()

    def _fail(self) -> None:
        if self._policy.fails_closed:
            raise ScreeningFailed("the names") from None
        self._entities = NO_ENTITIES
        self.is_open = True
        report(f"{self._call.call_id}: sent up with its names unread: `on_failure: open`")
