"""The same pipeline inside a Python process: no server, no socket.

    import headworks

    with headworks.connect("headworks.yaml") as gateway:
        client = gateway.openai()                     # the official SDK's own client
        answer = client.responses.create(model="fast", input="Hello")

The official clients are given an HTTP transport that hands requests to the gateway in memory, so that everything
the SDK does (streaming, parsing helpers, errors, its own retries) works as against a server.
"""

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uvloop

from headworks.assembly import Assembly
from headworks.auditing import audit_terms, keep_for_audit
from headworks.config import load
from headworks.errors import HeadworksError, Refusal, StorageError
from headworks.exchange import Request
from headworks.hull import Hull
from headworks.library.mailbox import Mailbox
from headworks.library.rotating import Rotator
from headworks.records import drain_once
from headworks.secrets import Kept, look_at_keys, with_known
from headworks.settings import Settings, read_settings
from headworks.telemetry import Metrics, report
from headworks.wheel import TimerWheel

if TYPE_CHECKING:
    from openai import AsyncOpenAI as _AsyncOpenAI
    from openai import OpenAI as _OpenAI

_BASE_URL = "http://headworks.invalid/v1"
"""Never resolved (RFC 2606): the transport beneath answers."""

_NO_KEY = "in-process"
_DRAIN_S = 1.0


def connect(config: str | os.PathLike[str] = "headworks.yaml", *, api_key: str | None = None) -> "InProcessGateway":
    """A gateway in this process, for the project of a configuration file.

    Arguments:
        config: the configuration file, or its folder.
        api_key: the virtual key to call with. None means the process itself: no key is asked for, since whoever runs
            here can read the configuration anyway; such calls are recorded without a key.

    Raises:
        ConfigError: the configuration cannot be used; every problem is named with its place.
        SecretError: a secret that it refers to cannot be read.
    """
    project = load(Path(config))
    kept = look_at_keys(project)
    return InProcessGateway(read_settings(project, os.environ, kept), api_key, kept)


_AUDIT_EVERY = 20
"""Passes of the records from one of the audit log to the next: it looks at its last segment each time."""


class InProcessGateway:
    """A running gateway; close it, or use it as a context manager. Safe to use from any thread."""

    def __init__(self, settings: Settings, api_key: str | None, kept: Kept | None = None) -> None:
        self._api_key = api_key
        self._settings = settings
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="headworks", daemon=True)
        self._thread.start()
        self._is_closed = False
        self._rotator = Rotator(settings.project, kept or {}, self._rekey)
        self._run(self._open())
        self._drainer = _Drainer(settings, kept or {})

    def openai(self, **options: Any) -> "_OpenAI":
        """The official synchronous client; `options` are passed on to it (`timeout`, `max_retries`, …).

        Raises:
            HeadworksError: the package `openai` is not installed (`pip install headworks[openai]`).
        """
        from headworks.library.clients import sync_client  # needs the package `openai`, an extra

        return sync_client(self, base_url=_BASE_URL, api_key=self._api_key or _NO_KEY, options=options)

    def async_openai(self, **options: Any) -> "_AsyncOpenAI":
        """The official asynchronous client; otherwise as `openai`."""
        from headworks.library.clients import async_client  # needs the package `openai`, an extra

        return async_client(self, base_url=_BASE_URL, api_key=self._api_key or _NO_KEY, options=options)

    def close(self) -> None:
        """Finish the calls under way, write their records, stop. Harmless to call twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._rotator.close()
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._drainer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- what the transports call ---------------------------------------------------------------------------------

    def start(self, request: Request, mailbox: "Mailbox") -> None:
        """Hand a request to the gateway, from any thread; its answer goes to the mailbox."""
        if self._is_closed:
            raise HeadworksError("this gateway has been closed; connect again")
        self._loop.call_soon_threadsafe(self._start, request, mailbox)

    def cancel(self, mailbox: "Mailbox") -> None:
        """The caller has gone."""
        if not self._is_closed:
            self._loop.call_soon_threadsafe(mailbox.cancel)

    def resume(self, mailbox: "Mailbox") -> None:
        """The caller has caught up."""
        if not self._is_closed:
            self._loop.call_soon_threadsafe(mailbox.resume)

    def _start(self, request: Request, mailbox: "Mailbox") -> None:
        gateway = self._assembly.gateway
        try:
            gateway.admit(request)
        except Refusal as refusal:
            gateway.refuse(refusal, request, mailbox)
            return
        mailbox.running = gateway.handle(request, mailbox)

    async def _open(self) -> None:
        self._wheel = TimerWheel(self._loop)
        self._hull = Hull(
            self._settings,
            worker=f"library_{os.getpid()}",
            loop=self._loop,
            wheel=self._wheel,
            metrics=Metrics(),
            is_keyless=self._api_key is None,
            is_alone=True,
            ask_for_keys=self._rotator.look,
        )
        self._assembly = Assembly(self._settings, self._hull)

    def _rekey(self, kept: Kept) -> None:
        """Have new calls made with these keys. From any thread."""
        self._loop.call_soon_threadsafe(self._assembly.rekey, kept)

    async def _close(self) -> None:
        await self._assembly.retire()
        await self._hull.stop_limiting()
        self._hull.close()
        self._wheel.close()

    def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class _Drainer:
    """Moves records from the journal to the store and the audit log now and then, where no control plane does."""

    def __init__(self, settings: Settings, kept: Kept) -> None:
        self._storage = settings.project.storage
        self._url = settings.store_url
        self._audit = audit_terms(settings.project, with_known(os.environ, kept))
        keep_for_audit(self._storage, is_on=self._audit is not None)
        self._trouble = ""
        self._passes = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, name="headworks-drain", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._drain(is_last=True)

    def _work(self) -> None:
        while not self._stop.wait(_DRAIN_S):
            self._passes += 1
            self._drain()

    def _drain(self, *, is_last: bool = False) -> None:
        """Drain once; where the store is away, say so once, for what is in the journal waits for it."""
        try:
            drain_once(self._storage, self._url, report=report)
            if self._audit is not None and (is_last or self._passes % _AUDIT_EVERY == 1):
                from headworks.audit_intake import drain_audit  # loads cryptography

                drain_audit(self._audit, report=report)
        except StorageError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                report(f"records stay in the journal for now: {self._trouble}")
        else:
            self._trouble = ""
