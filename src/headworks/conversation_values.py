"""What stands behind the tokens of conversations that a provider remembers, and what is on record of a screening.

They are written by a thread, one save after the other, so that a slow disk keeps no other call waiting. The call that
they belong to waits (`OpenCall.saving`): its caller is not told the end of an answer before what goes on from it can be
turned back.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from headworks.errors import StorageError
from headworks.screening.privacy import Save, ScreeningFailed, TokenBook, TokenVault, Written
from headworks.settlement import OpenCall, Work
from headworks.side_threads import SideThreads
from headworks.telemetry import report

_SWEEP_EVERY = 256
"""So often, counted in saves, what has expired is taken out of the vault."""

_MOST_SAVES = 1024
"""That may wait for the disk. What comes then is not kept, as where it cannot be written."""

_PATIENCE_S = 5.0
"""For which an answer waits for its values. A disk that takes longer hangs, and answers are not to hang with it."""

_NOTED = "screened: "


class ConversationValues:
    """The books of tokens for the calls of one gateway; those of conversations are kept, for all workers.

    State: the vault's file, opened when it is first needed; the thread that writes, and how many saves wait for it; how
    often something was saved.

    Arguments:
        secret: of this installation.
        file: the vault's; its folder must exist by then. None where nothing is to be kept.
        now: the Unix time in seconds.
        patience_s: for which an answer waits for its values.
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
        self._thread: SideThreads | None = None
        self._waiting = 0
        self._saves = 0
        self._loop: asyncio.AbstractEventLoop | None = None

    def run_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have it used by the calls of this loop; by default by those of the one that runs."""
        self._loop = loop

    async def close(self) -> None:
        """Write what waits to be written, and let go of the file. Harmless to call twice."""
        vault, self._vault = self._vault, None
        thread, self._thread = self._thread, None
        if thread is not None and vault is not None:
            await thread.run(asyncio.get_running_loop(), vault.close)  # behind what waits
            thread.close()
        elif vault is not None:
            vault.close()

    def book(self, call: OpenCall, conversation: str) -> TokenBook:
        """The book of what a call goes on from; an empty one where that is nothing ("").

        Raises:
            ScreeningFailed: it cannot be read.
        """
        tenant = tenant_of(call)
        if not conversation or self._file is None:
            return TokenBook.of_tenant(self._secret, tenant)
        try:
            return self._opened(self._file).book(tenant, conversation)
        except StorageError as error:
            report(f"{call.call_id}: the values of a conversation cannot be read: {error}")
            raise ScreeningFailed("the conversation's values") from None

    def save(self, call: OpenCall, conversation: str, book: TokenBook, *, life_s: float, response_id: str) -> None:
        """Keep the values, before the caller can go on from a response: `call.saving` is done when they are, and at the
        latest when the answer has waited long enough.

        Where that fails the answer goes out all the same, and what goes on from it will have tokens for values.

        Arguments:
            conversation: what the call went on from; "" if from nothing.
        """
        if self._file is None:
            return
        origin = conversation or response_id
        try:
            vault = self._opened(self._file)
            save = vault.ready(tenant_of(call), origin, book, life_s=life_s, link=response_id)
        except StorageError as error:
            report(f"{call.call_id}: its values could not be kept: {error}")
            return
        if self._waiting >= _MOST_SAVES:
            report(f"{call.call_id}: its values were not kept: the disk is too slow for what is to be kept")
            return
        loop = self._loop or asyncio.get_running_loop()
        thread = self._thread = self._thread or SideThreads("headworks-values", 1)
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
