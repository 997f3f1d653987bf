"""Recorded calls, however many: read page by page, so that no report holds all of them at once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from headworks.records import Record, Selection, Store

_PAGE = 2_000


def all_calls(store: "Store", selection: "Selection") -> "Iterator[list[Record]]":
    """The selected calls in the order in which they were recorded, page by page; `limit` bounds nothing here."""
    import msgspec

    seq = 0
    while True:
        page = store.select(msgspec.structs.replace(selection, after_seq=seq, limit=_PAGE))
        if page:
            yield page
            seq = page[-1].seq
        if len(page) < _PAGE:
            return
