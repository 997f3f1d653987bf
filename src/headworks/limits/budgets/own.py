"""The books of budgets in this very process: for a worker alone, for the library, and behind a socket."""

import asyncio
from collections.abc import Callable, Sequence

from headworks.errors import LimitsUnavailable, StorageError
from headworks.limits.budgets.accounts import Allowance, Claim
from headworks.limits.budgets.books import Books


class OwnBooks:
    """The books in this process, for a worker without a control plane. Implements `AllowanceSource`.

    Arguments:
        make_books: called with the first claim, in a thread, as every claim is: the disk is waited for.
    """

    def __init__(self, make_books: Callable[[], Books]) -> None:
        self._make_books = make_books
        self._books: Books | None = None
        self._lock = asyncio.Lock()

    async def claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        """See `AllowanceSource`."""
        async with self._lock:
            return await asyncio.to_thread(self._claim, holder, claims)

    async def close(self) -> None:
        """Let go of the books. Harmless to call twice."""
        books, self._books = self._books, None
        if books is not None:
            await asyncio.to_thread(books.close)

    def _claim(self, holder: str, claims: Sequence[Claim]) -> Sequence[Allowance]:
        try:
            if self._books is None:
                self._books = self._make_books()
            return self._books.claim(holder, claims)
        except StorageError as error:
            raise LimitsUnavailable(f"the books of budgets cannot be used: {error}") from error
