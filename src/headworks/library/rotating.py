"""Provider keys of a gateway in this process: looked at now and then by a thread, where no other process does."""

import os
import threading
import time
from collections.abc import Callable

from headworks.config import Project
from headworks.secrets import TOKENS_S, Keeper, Kept, Managers, references_of, references_of_providers
from headworks.telemetry import report


class Rotator:
    """Looks at the keys that files and secret managers have. Does nothing where there are none.

    Arguments:
        kept: what is known of them.
        changed: told, on the rotator's thread, what is known when it has changed.
    """

    def __init__(self, project: Project, kept: Kept, changed: Callable[[Kept], None]) -> None:
        section = project.config.secrets
        self._keeper = Keeper(
            references_of(project),
            Managers.of(project, os.environ).fetch,
            section.overlap_s,
            time.time,
            kept,
            stale_for_s=section.stale_for_s,
            bounded=references_of_providers(project),
        )
        # Here all are looked at together: who has a token to renew has few secrets beside it.
        self._refresh_s = min(section.refresh_s, TOKENS_S) if self._keeper.tokens else section.refresh_s
        self._changed = changed
        self._said: dict[str, str] = {}
        self._is_over = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="headworks-keys", daemon=True)
        if kept:
            self._thread.start()

    def look(self) -> None:
        """Look now. From any thread; returns at once."""
        self._wake.set()

    def close(self) -> None:
        """Look no more. A look under way is not waited for: it may take as long as its manager may."""
        self._is_over = True
        self._wake.set()

    def _work(self) -> None:
        while True:
            self._wake.wait(self._refresh_s)
            self._wake.clear()
            if self._is_over:
                return
            is_news = self._keeper.look()
            problems = self._keeper.problems
            for name, problem in problems.items():
                if self._said.get(name) != problem:
                    report(f"the last known value goes on, for it cannot be looked at: {problem}")
            self._said = problems
            for name in self._keeper.expired if is_news else ():
                report(
                    f"{name} could not be looked at for longer than `secrets.stale_for_s`: calls with it are refused"
                )
            if is_news and not self._is_over:
                self._changed(self._keeper.kept)
