"""What stands behind the tokens of conversations that a provider remembers, and what is on record of a screening."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from headworks.errors import StorageError
from headworks.screening.privacy import ScreeningFailed, TokenBook, TokenVault
from headworks.settlement import OpenCall, Work
from headworks.telemetry import report

_SWEEP_EVERY = 256
"""So often, counted in saves, what has expired is taken out of the vault."""

_NOTED = "screened: "


class ConversationValues:
    """The books of tokens for the calls of one gateway; those of conversations are kept, for all workers.

    State: the vault's file, opened when it is first needed; how often something was saved.

    Arguments:
        secret: of this installation.
        file: the vault's; its folder must exist by then. None where nothing is to be kept.
        now: the Unix time in seconds.
    """

    def __init__(self, secret: bytes, file: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._file = file
        self._now = now
        self._vault: TokenVault | None = None
        self._saves = 0

    def close(self) -> None:
        """Let go of the file. Harmless to call twice."""
        vault, self._vault = self._vault, None
        if vault is not None:
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
        """Keep the values, before the caller can go on from a response.

        Where that fails the answer goes out all the same, and what goes on from it will have tokens for values.

        Arguments:
            conversation: what the call went on from; "" if from nothing.
        """
        if self._file is None:
            return
        try:
            vault, origin = self._opened(self._file), conversation or response_id
            if not vault.save(tenant_of(call), origin, book, life_s=life_s, link=response_id):
                report(f"{call.call_id}: its values were not kept: two calls gave one token at the same moment")
            self._saves += 1
            if self._saves % _SWEEP_EVERY == 0:
                vault.sweep()
        except StorageError as error:
            report(f"{call.call_id}: its values could not be kept: {error}")

    def _opened(self, file: Path) -> TokenVault:
        if self._vault is None:
            self._vault = TokenVault(file, self._secret, now=self._now)
        return self._vault


def note_screened(
    call: OpenCall,
    *,
    up: Mapping[str, int],
    own: Mapping[str, int],
    unread: int = 0,
    unknown: int = 0,
    has_failed: bool = False,
    has_unread_names: bool = False,
) -> None:
    """Put what was found into a call's record, before its attempts: kinds and counts, never a value.

    Arguments:
        up: how many of each kind were in what goes up.
        own: how many the model has brought up itself.
        unread: files that were passed as they are.
        unknown: tokens in the answer that lead nowhere.
        has_failed: the call went up unscreened.
        has_unread_names: names were not looked for in it, for the model could not be asked.
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
    if not said:
        return
    work = call.work = call.work or Work()
    course = work.course
    if course.startswith(_NOTED):
        course = course.partition("; ")[2]
    work.course = _NOTED + ", ".join(said) + (f"; {course}" if course else "")


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
