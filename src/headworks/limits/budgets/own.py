"""The books of budgets in this very process: for a worker alone, for the library, and behind a socket."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits.budgets.accounts import Allowance, Claim
from headworks.limits.budgets.books import BATCHES, Books
from headworks.limits.budgets.purse_files import remains

_REMEMBERED = 4096


class OwnBooks:
    """The books in this process, for a worker without a control plane. Implements `AllowanceSource`. State: they, and
    the workers that were found dead lately: what one said before is not heard after.

    Arguments:
        make_books: called with the first claim, in a thread, as every claim is: the disk is waited for.
        purses: the folder of `purse_files`: what the dead have left there is seen to before the first claim, and
            whenever `bury` is called.
    """

    def __init__(self, make_books: Callable[[], Books], purses: Path | None = None) -> None:
        self._make_books = make_books
        self._purses = purses
        self._books: Books | None = None
        self._lock = asyncio.Lock()
        self._buried: dict[str, None] = {}

    async def claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        """See `AllowanceSource`."""
        async with self._lock:
            return await asyncio.to_thread(self._claim, holder, claims)

    async def settle(self, batch: str, spent: int) -> None:
        """See `AllowanceSource`."""
        async with self._lock:
            await asyncio.to_thread(self._settle, batch, spent)

    async def bury(self) -> None:
        """See to what dead workers have left, if any has.

        Raises:
            LimitsUnavailable: the books cannot be used, or the files not be read: to be called again.
        """
        async with self._lock:
            await asyncio.to_thread(self._bury)

    async def close(self) -> None:
        """Let go of the books. Harmless to call twice."""
        books, self._books = self._books, None
        if books is not None:
            await asyncio.to_thread(books.close)

    def _claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        if self._books is None:
            self._bury()
        if holder in self._buried:
            raise LimitsUnavailable("the worker that claims was found dead")
        with _unavailable():
            return self._open().claim(holder, claims)

    def _settle(self, batch: str, spent: int) -> None:
        with _unavailable():
            self._open().settle(BATCHES + batch, spent)

    def _bury(self) -> None:
        if self._purses is None:
            return
        with _unavailable(), remains(self._purses) as found:
            for path, left in found:
                # Before it is written: a claim of its own that is still to be read would undo it.
                self._buried[left.holder] = None
                self._open().bury(left)
                path.unlink(missing_ok=True)
        while len(self._buried) > _REMEMBERED:
            del self._buried[next(iter(self._buried))]

    def _open(self) -> Books:
        if self._books is None:
            self._books = self._make_books()
        return self._books


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except StorageError as error:
        raise LimitsUnavailable(f"the books of budgets cannot be used: {error}") from error
