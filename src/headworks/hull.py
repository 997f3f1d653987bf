"""What a process has once, whichever configuration it serves: one assembly after the other is built into it."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from headworks.access import KEYS_FILE, Hosts, KeyRing, KeyStore, OpenRing
from headworks.accounting import open_books
from headworks.admitting import Admissions
from headworks.budgeting import Wallet
from headworks.calls import ObjectNote
from headworks.errors import Refusal, StorageError
from headworks.gateway_parts import random_up_to
from headworks.limiting import Limiter
from headworks.limits import Authority, LocalAuthority
from headworks.limits.budgets.own import OwnBooks
from headworks.limits.budgets.purse_files import FOLDER as PURSES
from headworks.limits.budgets.socket_books import SocketBooks
from headworks.limits.local import SocketAuthority
from headworks.ownership import Mark, ResponseOwner, Shelf
from headworks.records import JOURNAL_FOLDER, CallLookup, Journal, ObjectSelection, has_store, open_mark
from headworks.routing import KeptHealth
from headworks.secrets import ask_for_look
from headworks.settings import Settings
from headworks.shedding import Load
from headworks.sightings import Sightings
from headworks.surveying import Surveyor
from headworks.telemetry import RUN_FOLDER, Metrics, report
from headworks.token_issuers import token_issuers
from headworks.wheel import TimerWheel

T = TypeVar("T")

_OWNER_WAIT_S = 1.5

_OWNER_POLL_S = 0.1
"""A response made by another worker is in the store once its journal is drained: that long a look-up waits for it."""


class Hull:
    """What a process keeps over reloads: journal, leases of limits and budgets, callers' keys, metrics, what is learnt
    of targets, and the way to look up what is stored.

    Arguments:
        worker: this process's name in file names.
        load: how much there is to do; by default nobody looks.
        render_metrics: makes the text of `/metrics`; by default of this process alone.
        is_keyless: whoever calls is trusted: the caller is this very process.
        is_alone: no control plane keeps the books of its quotas.
        is_measuring: what is asked is to find out how targets are, as evals do.
        ask_for_keys: has provider keys looked at, for one is refused; by default whoever does so for the gateway.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        worker: str,
        loop: asyncio.AbstractEventLoop,
        wheel: TimerWheel,
        metrics: Metrics,
        load: Load | None = None,
        render_metrics: Callable[[], bytes] | None = None,
        is_ready: Callable[[], bool] = lambda: True,
        is_keyless: bool = False,
        is_alone: bool = False,
        is_measuring: bool = False,
        ask_for_keys: Callable[[], None] | None = None,
    ) -> None:
        storage = settings.project.storage
        limits = settings.project.config.storage
        self.loop = loop
        self.wheel = wheel
        self.metrics = metrics
        self.load = load or Load()
        self.render_metrics = render_metrics or metrics.render
        self.is_ready = is_ready
        self.lookup = CallLookup(storage, settings.store_url)
        self.journal = Journal(
            storage / JOURNAL_FOLDER,
            worker=worker,
            segment_bytes=limits.segment_bytes,
            limit_bytes=limits.journal_bytes,
            loop=loop,
            now=time.time,
        )
        self._is_keyless = is_keyless
        self.sightings = (
            Sightings(self.journal.append, lambda: not self.journal.is_full, time.monotonic)
            if settings.project.config.audit.enabled and not is_keyless
            else None
        )
        quotas, workers = settings.project.config.quotas, max(1, settings.project.config.server.workers)
        share = 1.0 / (quotas.machines * workers) if quotas.away == "share" else 0.0
        self._authority = _authority(settings, is_alone=is_keyless or is_alone)
        holder = f"{socket.gethostname()}/{worker}/{os.urandom(6).hex()}"
        teams = settings.project.config.access.teams
        self.limiter = Limiter(self._authority, holder, loop, share=share, teams=teams)
        is_without_control = is_keyless or is_alone
        self._books = (
            OwnBooks(partial(open_books, storage, settings.store_url), storage / PURSES)
            if is_without_control
            else SocketBooks(storage)
        )
        self.wallet = Wallet(self._books, holder, loop, folder=storage / PURSES)
        self.admissions = Admissions(self.limiter, self.wallet)
        self.surveyor = Surveyor(self.limiter)
        self.health = KeptHealth(random_up_to, is_measured=is_measuring)
        self._has_others = settings.project.config.server.workers != 1 and not is_keyless
        self._store: KeyStore | None = None
        self._lookup_trouble = ""
        self._storage = storage
        self.ask_for_keys = ask_for_keys or self._ask_for_keys

        self._mark = self._object_mark(settings)

    def _ask_for_keys(self) -> None:
        try:
            ask_for_look(self._storage / RUN_FOLDER, time.time())
        except OSError as error:
            report(f"new provider keys cannot be asked for: {error.strerror}")

    def _object_mark(self, settings: Settings) -> Mark:
        """Where it says whether any object was made at a provider. In a store that other machines share there may be
        some of theirs, so that every call is looked through."""
        if settings.store_url:
            return bytearray(b"\1")
        mark, is_new = open_mark(self._storage)
        if is_new and has_store(self._storage) and self.lookup.has_objects():
            mark[0] = 1
        return mark

    def shelf(self) -> Shelf:
        """What is known of objects at providers."""
        return Shelf(self._find_note, self._select_notes, self._mark)

    async def _find_note(self, object_id: str, waits: bool) -> ObjectNote | None:
        """What is known of an object, as the store has it; waits while another worker's note may be on its way."""
        question = partial(self.lookup.note_of, object_id)
        return await (self._wait_for(question) if waits else self._look_up(question))

    async def _select_notes(self, selection: ObjectSelection) -> list[ObjectNote]:
        return await self._look_up(partial(self.lookup.objects, selection))

    def ring(self, settings: Settings) -> KeyRing | OpenRing:
        """Who may call, for these settings."""
        if self._is_keyless:
            return OpenRing()
        if settings.project.config.access.mode == "open":
            return OpenRing(Hosts())
        if self._store is None:
            self._store = KeyStore(self._storage / KEYS_FILE)
        access = settings.project.config.access
        issuers = token_issuers(settings.project) if access.tokens else None
        return KeyRing(self._store, settings.secret, time.time, teams=access.teams, issuers=issuers)

    async def find_owner(self, response_id: str) -> ResponseOwner | None:
        """Who made a response, as the store knows it; waits while another worker's record may be on its way."""
        found = await self._wait_for(partial(self.lookup.owner_of, response_id))
        return None if found is None else ResponseOwner(*found)

    async def _wait_for(self, question: Callable[[], T | None]) -> T | None:
        due_s = self.loop.time() + (_OWNER_WAIT_S if self._has_others else 0.0)
        while True:
            found = await self._look_up(question)
            if found is not None or self.loop.time() >= due_s:
                return found
            await asyncio.sleep(_OWNER_POLL_S)

    async def _look_up(self, question: Callable[[], T]) -> T:
        """As the store knows it at this moment; what is wrong with the store is for the log, and said once."""
        try:
            found = await self.loop.run_in_executor(None, question)
        except StorageError as error:
            if str(error) != self._lookup_trouble:
                self._lookup_trouble = str(error)
                report(f"whose something stored is cannot be looked up for now: {error}")
            raise Refusal(
                503,
                "records_unavailable",
                "Whose this is cannot be looked up for now. Try again, or, instead of a response's id, send the "
                "conversation itself.",
                kind="server_error",
                headers=(("retry-after", "5"),),
            ) from error
        self._lookup_trouble = ""
        return found

    async def stop_limiting(self) -> None:
        """Ask for no more leases."""
        await self.limiter.close()
        await self.wallet.close()
        await self._books.close()
        close = getattr(self._authority, "close", None)
        if close is not None:
            await close()

    def close(self) -> None:
        """Write what is left and let go of files."""
        self.journal.close()
        self.lookup.close()
        if self._store is not None:
            self._store.close()


def _authority(settings: Settings, *, is_alone: bool) -> Authority:
    """Who grants leases of quotas that are shared."""
    if settings.valkey:
        from headworks.limits.valkey import ValkeyAuthority

        return ValkeyAuthority(settings.valkey)
    return LocalAuthority(time.monotonic) if is_alone else SocketAuthority(settings.project.storage)
