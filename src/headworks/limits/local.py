"""Leases on one machine: the control plane serves them on a socket file, workers ask there.

    with serving_leases(storage, lambda: authority, say=report):    # the control plane, beside its other work
        ...

    authority = SocketAuthority(storage)                            # each worker
    leases = await authority.renew("worker-1", asks)

The socket file stands in the state folder, for its owner alone. A lock beside it belongs to the process that serves
and ends with it, however that ends: so a file that a dead process left is replaced, and that of a living one is not.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import uvloop

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits.budgets.books import Books
from headworks.limits.budgets.own import OwnBooks
from headworks.limits.budgets.purse_files import FOLDER as PURSES
from headworks.limits.budgets.wire import Claims, Settling, frame_allowed, frame_unavailable, read_claims
from headworks.limits.leases import Ask, Authority, Lease
from headworks.limits.link import Link, LinkError, Streams
from headworks.limits.wire import (
    BUDGETS,
    HEAD_BYTES,
    Declined,
    FrameError,
    Granted,
    Renewal,
    body_bytes,
    frame_declined,
    frame_granted,
    frame_renewal,
    read_answer,
    read_renewal,
)

SOCKET_FILE = "limits.sock"
LOCK_FILE = "limits.lock"
_FRESH_FILE = "limits.new"
"""The socket's name until it is ready: not longer than `SOCKET_FILE`, for both must be short enough."""

_LONGEST_PATH = 100
"""Bytes of a socket's path: sockaddr_un has room for 107 on Linux and 103 on macOS."""

_TRY_AGAIN_S = 1.0

_BURY_EVERY_S = 0.5
"""How often is looked at what dead workers have left of budgets: callers may wait for it."""
_BACKLOG = 128
_REMEMBERED = 256
"""Holders whose last renewal is remembered before the old ones are forgotten."""


def socket_path(storage: Path) -> Path:
    """Where the lease socket of a state folder is: in it, or where its path is too long for a socket, in a folder of
    our own below the temporary directory, named after the path. Nothing is made."""
    path = storage.resolve() / SOCKET_FILE
    if len(os.fsencode(path)) <= _LONGEST_PATH:
        return path
    mark = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
    import tempfile  # a megabyte, for the one whose path is too long

    return Path(tempfile.gettempdir()) / f"headworks-{os.geteuid()}-{mark}" / SOCKET_FILE


class LeaseServer:
    """Answers renewals on the socket of a state folder, out of any authority.

    Arguments:
        storage: the state folder; it must exist.
        make_authority: called once the socket is ours, so that no other can grant by then; None where leases are
            granted elsewhere.
        make_books: called with the first claim of a budget, in a thread, as every claim is; None for no budgets.
        say: told in a sentence what an operator must know.
        now: the clock that all processes of this machine share, seconds.
    """

    def __init__(
        self,
        storage: Path,
        make_authority: Callable[[], Authority] | None,
        *,
        say: Callable[[str], None],
        make_books: Callable[[], Books] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._books = None if make_books is None else OwnBooks(make_books, storage / PURSES)
        self._undertaker: asyncio.Task[None] | None = None
        self._make_authority = make_authority
        self._say = say
        self._now = now
        self._lock = -1
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._latest: dict[str, Renewal] = {}

    async def start(self) -> None:
        """Serve from now on.

        Raises:
            StorageError: another process serves this folder's socket, or no socket can be made there.
        """
        path = socket_path(self._storage)
        if path.parent != self._storage.resolve():
            _make_private_folder(path.parent)
        try:
            self._lock = _take_lock(path.with_name(LOCK_FILE))
            authority = None if self._make_authority is None else self._make_authority()
            listener = _listen(path)
            self._server = await asyncio.start_unix_server(partial(self._serve, authority), sock=listener)
            if self._books is not None:
                self._undertaker = asyncio.create_task(self._bury(self._books))
        except OSError as error:
            self._release()
            raise StorageError(f"{path} cannot serve leases: {error.strerror or error}") from error
        except BaseException:
            self._release()
            raise

    async def close(self) -> None:
        """Stop, and take the socket file away. Harmless to call twice."""
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        if self._undertaker is not None:
            self._undertaker.cancel()
            await asyncio.wait([self._undertaker])
        for writer in tuple(self._connections):
            writer.transport.abort()
        await server.wait_closed()
        if self._books is not None:
            with contextlib.suppress(LimitsUnavailable):  # whoever serves next sees to it
                await self._books.bury()
            await self._books.close()
        with contextlib.suppress(FileNotFoundError):
            socket_path(self._storage).unlink()
        self._release()

    def _release(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    async def _serve(
        self, authority: Authority | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connections.add(writer)
        try:
            while True:
                head = await reader.readexactly(HEAD_BYTES)
                body = await reader.readexactly(body_bytes(head))
                if head.startswith(BUDGETS):
                    writer.write(await self._allow(read_claims(body)))
                else:
                    writer.write(await self._answer(authority, read_renewal(body)))
                await writer.drain()
        except FrameError as error:
            self._say(f"a connection to the lease socket was closed, for it sent {error}")
        except (EOFError, ConnectionError):
            return  # the worker is gone; what it held counts as spent until it expires
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _bury(self, books: OwnBooks) -> None:
        """See to what workers leave that were killed, again and again."""
        trouble = ""
        while True:
            try:
                await books.bury()
            except LimitsUnavailable as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._say(f"what dead workers held of budgets stays set aside for now: {trouble}")
            else:
                trouble = ""
            await asyncio.sleep(_BURY_EVERY_S)

    async def _allow(self, claims: Claims | Settling) -> bytes:
        """What a worker may spend. Claims may come late or twice: what they say of a worker is all that there is."""
        if self._books is None:
            return frame_unavailable(claims.number, "this control plane keeps no books of budgets")
        if claims.due_s <= self._now():
            return frame_unavailable(claims.number, "the claim came too late")
        try:
            if isinstance(claims, Settling):
                await self._books.settle(claims.batch, claims.spent)
                return frame_allowed(claims.number, ())
            return frame_allowed(claims.number, await self._books.claim(claims.holder, claims.values()))
        except LimitsUnavailable as error:
            return frame_unavailable(claims.number, str(error))

    async def _answer(self, authority: Authority | None, renewal: Renewal) -> bytes:
        if authority is None:
            return frame_declined(renewal.number, "leases are granted elsewhere")
        if renewal.due_s <= self._now():
            # The worker has given up and goes on with what it held: a grant would put something else in its place.
            return frame_declined(renewal.number, "the renewal came too late to be granted")
        latest = self._latest.get(renewal.holder)
        if latest is not None and latest.number >= renewal.number:
            # Of a renewal that was broken off: its figures stand in the later one, too, and must not count twice.
            return frame_declined(renewal.number, "a later renewal of the same worker came before this one")
        self._remember(renewal)
        try:
            return frame_granted(renewal.number, await authority.renew(renewal.holder, renewal.asks))
        except LimitsUnavailable as error:
            return frame_declined(renewal.number, str(error))

    def _remember(self, renewal: Renewal) -> None:
        """For as long as an earlier one may come in: no longer than till the later one's own time is over."""
        if len(self._latest) >= _REMEMBERED:
            now_s = self._now()
            self._latest = {holder: latest for holder, latest in self._latest.items() if latest.due_s > now_s}
        self._latest[renewal.holder] = msgspec.structs.replace(renewal, asks=())


class SocketAuthority:
    """The authority behind the lease socket of a state folder. Implements `Authority`.

    Nothing is done until the first renewal, and nothing between two: it neither delays a start nor needs an end but
    `close`.

    Arguments:
        storage: the state folder.
        timeout_s: most that a renewal takes, seconds.
        now: the clock that all processes of this machine share, seconds.
    """

    def __init__(self, storage: Path, *, timeout_s: float = 0.5, now: Callable[[], float] = time.monotonic) -> None:
        self._path = socket_path(storage)
        self._now = now
        self._number = 0
        self._link = Link(f"the control plane at {self._path}", self._dial, timeout_s=timeout_s)

    async def renew(self, holder: str, asks: Sequence[Ask]) -> Sequence[Lease]:
        """One lease for each ask, in their order.

        Raises:
            LimitsUnavailable: no control plane answers in time, or it grants nothing; with its reason.
        """
        asked = tuple(asks)

        async def talk(streams: Streams, due_s: float) -> Granted | Declined:
            # Rises for as long as the machine runs, whoever asks: also after a reload of the same worker.
            self._number = max(self._number + 1, int(self._now() * 1e6))
            left_s = due_s - asyncio.get_running_loop().time()
            return await _ask(streams, Renewal(self._number, self._now() + left_s, holder, asked))

        answer = await self._link.exchange(talk)
        if isinstance(answer, Declined):
            raise LimitsUnavailable(f"the control plane grants no leases: {answer.reason}")
        return answer.leases

    async def close(self) -> None:
        """Let go of the connection. Harmless to call twice."""
        await self._link.close()

    async def _dial(self) -> Streams:
        return await dial(self._path)


async def dial(path: Path) -> Streams:
    """A connection to whoever serves this socket. Raises OSError or LinkError."""
    _refuse_foreign(path)
    return Streams(*await asyncio.open_unix_connection(path))


async def _ask(streams: Streams, renewal: Renewal) -> Granted | Declined:
    try:
        streams.writer.write(frame_renewal(renewal))
        await streams.writer.drain()
        answer = read_answer(await streams.reader.readexactly(body_bytes(await streams.reader.readexactly(HEAD_BYTES))))
    except FrameError as error:
        raise LinkError(f"does not fit: {error}; are all processes of this gateway of one release?") from error
    if answer.number != renewal.number:
        raise LinkError("answered something that was not asked")
    if isinstance(answer, Granted) and len(answer.leases) != len(renewal.asks):
        raise LinkError(f"answered {len(renewal.asks)} asks with {len(answer.leases)} leases")
    return answer


@contextlib.contextmanager
def serving_leases(
    storage: Path,
    make_authority: Callable[[], Authority] | None,
    *,
    say: Callable[[str], None],
    make_books: Callable[[], Books] | None = None,
) -> Iterator[None]:
    """Serve leases beside the body of the `with`, in a thread with an event loop of its own.

    Where the socket cannot be served (another gateway has the folder, say), that is said once and tried again every
    second: whoever serves leases has other work that must go on.

    Arguments:
        storage: the state folder; it must exist.
        make_authority: called in the thread, once the socket is ours; None where leases are granted elsewhere.
        make_books: as of `LeaseServer`.
        say: told in a sentence what an operator must know; called from the thread.
    """
    thread = _LeaseThread(LeaseServer(storage, make_authority, say=say, make_books=make_books), say)
    thread.start()
    try:
        yield
    finally:
        thread.stop()


@contextlib.contextmanager
def unserved(storage: Path) -> Iterator[bool]:
    """Whether nobody serves this folder's leases; then nobody begins to before the end of the `with`."""
    path = socket_path(storage)
    try:
        if path.parent != storage.resolve():
            _make_private_folder(path.parent)
        lock = _take_lock(path.with_name(LOCK_FILE))
    except (StorageError, OSError):
        yield False
        return
    try:
        yield True
    finally:
        os.close(lock)


class _LeaseThread:
    def __init__(self, server: LeaseServer, say: Callable[[str], None]) -> None:
        self._server = server
        self._say = say
        self._loop = uvloop.new_event_loop()
        self._told = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the thread has ended by itself
            self._loop.call_soon_threadsafe(self._told.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        trouble = ""
        server = self._server
        while not self._told.is_set():
            try:
                await server.start()
            except StorageError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    self._say(f"leases of shared limits are not served for now: {trouble}")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._told.wait(), _TRY_AGAIN_S)
            else:
                await self._told.wait()
        await server.close()


def _take_lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StorageError(
            f"{path.parent} has a gateway that serves leases already; give each gateway its own storage folder"
        ) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _listen(path: Path) -> socket.socket:
    """A listening socket at the path, in the place of what a dead process left. The lock is ours."""
    fresh = path.with_name(_FRESH_FILE)
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Under another name until it is private and listens: nobody meets it half made. The umask is the process's
        # and not this thread's, so it is left alone.
        listener.bind(os.fspath(fresh))
        fresh.chmod(0o600)
        listener.listen(_BACKLOG)
        fresh.rename(path)
    except BaseException:
        listener.close()
        raise
    return listener


def _make_private_folder(folder: Path) -> None:
    """A folder below the temporary directory, where anybody may have made one before us."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        is_ours = _is_private(folder)
    except OSError as error:
        raise StorageError(f"{folder} cannot be made: {error.strerror or error}") from error
    if not is_ours:
        raise StorageError(
            f"{folder} belongs to somebody else; remove it, or choose a storage folder with a short path"
        )


def _is_private(folder: Path) -> bool:
    status = folder.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _refuse_foreign(path: Path) -> None:
    """Whoever owns the socket decides what is granted: it must be somebody that we trust anyway."""
    if path.lstat().st_uid not in (os.geteuid(), 0):
        raise LinkError("belongs to another user; remove it")
