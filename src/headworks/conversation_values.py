"""What stands behind the tokens of conversations that a provider remembers, and what is on record of a screening.

They are read by one thread and written by another, one after the other, so that a slow disk or a locked file keeps no
other call waiting. The call that they belong to waits: for what it goes on from, before it goes up; and for its own
(`OpenCall.saving`), for its caller is not told the end of an answer before what goes on from it can be turned back.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from headworks.errors import StorageError
from headworks.screening.privacy import Save, ScreeningFailed, TokenBook, TokenVault, Written
from headworks.settlement import OpenCall, Work
from headworks.side_threads import SideThreads
from headworks.telemetry import report

T = TypeVar("T")

_SWEEP_EVERY = 256
"""So often, counted in saves, what has expired is taken out of the vault."""

_MOST_SAVES = 1024
"""That may wait for the disk. What comes then is not kept, as where it cannot be written."""

_PATIENCE_S = 5.0
"""For which a call waits for the values that it goes on from, and an answer for its own. A disk that takes longer
hangs, and calls are not to hang with it."""

_NOTED = "screened: "


class ConversationValues:
    """The books of tokens for the calls of one gateway; those of conversations are kept, for all workers.

    State: the vault; the thread that reads, the thread that writes, and how many saves wait for that; how often
    something was saved.

    Arguments:
        secret: of this installation.
        file: the vault's; its folder must exist by then. None where nothing is to be kept.
        now: the Unix time in seconds.
        patience_s: for which a call waits for the disk.
    """

    def __init__(
        self,
        secret: bytes,
        file: Path | None = None,
        *,
        now: Callable[[], float] = time.time,
        patience_s: float = _PATIENCE_S,
    ) -> None:
        self._secret = secret
        self._file = file
        self._now = now
        self._patience_s = patience_s
        self._vault: TokenVault | None = None
        self._reading: SideThreads | None = None
        self._writing: SideThreads | None = None
        self._waiting = 0
        self._saves = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def run_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have it used by the calls of this loop; by default by those of the one that runs."""
        self._loop = loop

    async def close(self) -> None:
        """Write what waits to be written, and let go of the file. Harmless to call twice."""
        vault, self._vault = self._vault, None
        reading, self._reading = self._reading, None
        writing, self._writing = self._writing, None
        threads = [one for one in (reading, writing) if one is not None]
        for thread in threads:
            # Each behind what waits for it; whoever lets go of the file waits for the disk, too.
            end = vault.close if vault is not None and thread is threads[-1] else _nothing
            await thread.run(asyncio.get_running_loop(), end)
            thread.close()

    def drop_books(self) -> None:
        """Have no value in memory but those of calls under way: somebody may have been erased from the file."""
        if self._vault is not None:
            self._vault.drop_books()

    def passing_book(self, call: OpenCall) -> TokenBook:
        """The book of a call that goes on from nothing: an empty one."""
        return TokenBook.of_tenant(self._secret, tenant_of(call))

    async def book(self, call: OpenCall, conversation: str) -> TokenBook:
        """The book of what a call goes on from; an empty one where that is nothing ("").

        Raises:
            ScreeningFailed: it cannot be read, or not in time.
        """
        if not conversation or self._file is None:
            return self.passing_book(call)
        vault = self._opened(self._file)
        lookup = vault.look_up(tenant_of(call), conversation)
        loop = self._loop or asyncio.get_running_loop()
        thread = self._reading = self._reading or SideThreads("headworks-values-read", 1)
        ends_s = loop.time() + self._patience_s
        try:
            while True:
                found = await _in_time(loop, ends_s, thread.run(loop, partial(vault.read, lookup)))
                book = vault.learn(found)
                if book is not None:
                    return book
        except TimeoutError:
            trouble = f"the disk has not given them for {self._patience_s:g} s"
        except StorageError as error:
            trouble = str(error)
        report(f"{call.call_id}: the values of a conversation cannot be read: {trouble}")
        raise ScreeningFailed("the conversation's values")

    def save(self, call: OpenCall, conversation: str, book: TokenBook, *, life_s: float, response_id: str) -> None:
        """Keep the values, before the caller can go on from a response: `call.saving` is done when they are, and at the
        latest when the answer has waited long enough.

        Where that fails the answer goes out all the same, and what goes on from it will have tokens for values.

        Arguments:
            conversation: what the call went on from; "" if from nothing.
        """
        if self._file is None:
            return
        vault = self._opened(self._file)
        save = vault.ready(tenant_of(call), conversation or response_id, book, life_s=life_s, link=response_id)
        if self._waiting >= _MOST_SAVES:
            report(f"{call.call_id}: its values were not kept: the disk is too slow for what is to be kept")
            return
        loop = self._loop or asyncio.get_running_loop()
        thread = self._writing = self._writing or SideThreads("headworks-values", 1)
        self._waiting += 1
        self._saves += 1
        is_to_sweep = self._saves % _SWEEP_EVERY == 0
        if is_to_sweep:
            vault.forget_expired()
        writing = thread.run(loop, partial(_write, vault, save, sweeps=is_to_sweep))
        call.saving = saving = loop.create_future()
        timer = loop.call_later(self._patience_s, self._waited, call.call_id, saving)
        writing.add_done_callback(partial(self._saved, call.call_id, vault, saving, timer))

    def _saved(
        self,
        call_id: str,
        vault: TokenVault,
        saving: "asyncio.Future[None]",
        timer: asyncio.TimerHandle,
        writing: "asyncio.Future[Written]",
    ) -> None:
        self._waiting -= 1
        timer.cancel()
        try:
            if not vault.take(writing.result()):
                report(f"{call_id}: its values were not kept: two calls gave one token at the same moment")
        except StorageError as error:
            report(f"{call_id}: its values could not be kept: {error}")
        finally:
            if not saving.done():
                saving.set_result(None)

    def _waited(self, call_id: str, saving: "asyncio.Future[None]") -> None:
        if not saving.done():
            report(f"{call_id}: its values are not kept yet, and its answer waits no longer: the disk is slow")
            saving.set_result(None)

    def _opened(self, file: Path) -> TokenVault:
        if self._vault is None:
            self._vault = TokenVault(file, self._secret, now=self._now)
        return self._vault


def _nothing() -> None:
    """In a thread: it has come to the end of what waited for it."""


async def _in_time(loop: asyncio.AbstractEventLoop, ends_s: float, asked: "asyncio.Future[T]") -> T:
    """What was asked, within a flow. Raises TimeoutError where it takes longer than till then, in the loop's time."""
    is_late = False

    def give_up() -> None:
        nonlocal is_late
        is_late = True
        asked.cancel()

    timer = loop.call_at(ends_s, give_up)
    try:
        return await asked
    except asyncio.CancelledError:
        if is_late:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def _write(vault: TokenVault, save: Save, *, sweeps: bool) -> Written:
    """In the thread."""
    written = vault.write(save)
    if sweeps:
        vault.sweep_file()
    return written


def note_screened(
    call: OpenCall,
    *,
    up: Mapping[str, int],
    own: Mapping[str, int],
    unread: int = 0,
    unknown: int = 0,
    has_failed: bool = False,
    has_unread_names: bool = False,
    has_unread_answer: bool = False,
) -> None:
    """Put what was found into a call's record, before its attempts: kinds and counts, never a value.

    Arguments:
        up: how many of each kind were in what goes up.
        own: how many the model has brought up itself.
        unread: files that were passed as they are.
        unknown: tokens in the answer that lead nowhere.
        has_failed: the call went up unscreened.
        has_unread_names: names were not looked for in it, for the model could not be asked.
        has_unread_answer: something in an answer could not be screened, and went out.
    """
    said = [f"{count} {kind} up" for kind, count in sorted(up.items())]
    said += [f"{count} {kind} of the model's own" for kind, count in sorted(own.items())]
    if unread:
        said.append(f"{unread} files unread")
    if unknown:
        said.append(f"{unknown} unknown tokens")
    if has_failed:
        said.append("failed, sent up unscreened")
    if has_unread_names:
        said.append("names unread, sent up with those that there are")
    if has_unread_answer:
        said.append("answer unscreened")
    if not said:
        return
    work = call.work = call.work or Work()
    course = work.course
    if course.startswith(_NOTED):
        course = course.partition("; ")[2]
    work.course = _NOTED + ", ".join(said) + (f"; {course}" if course else "")


def report_unread(call: OpenCall) -> None:
    """Tell the operator that an answer went out although it could not be screened."""
    report(f"{call.call_id}: an answer could not be screened, and went out: `on_failure: open`")


def tenant_of(call: OpenCall) -> str:
    """Whose tokens they are."""
    return call.caller.team or call.caller.key_id


def goes_on_from(fields: Mapping[str, msgspec.Raw]) -> str:
    """The response or conversation that a call of the Responses API goes on from; "" if there is none."""
    for name in ("previous_response_id", "conversation"):
        raw = fields.get(name)
        if raw is None:
            continue
        try:
            found = msgspec.json.decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue  # its shape is for the provider to judge
        if isinstance(found, dict):
            found = found.get("id")
        if isinstance(found, str) and found:
            return found
    return ""
