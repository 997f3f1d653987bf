"""Keeping the traces that agents send: in which file, and for how long."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from headworks.config import Project

if TYPE_CHECKING:
    from headworks.tracing import Ingested

_TRACE_DAYS = 30
"""How long agents' traces are kept where `records.days` does not say."""

_DAY_US = 86_400_000_000


def trace_keeper(project: Project) -> Callable[["Ingested", str], Awaitable[None]]:
    """What keeps the traces that agents send. They come in batches, seconds apart: the book is opened for each."""
    days = project.config.records.days or _TRACE_DAYS

    def write(ingested: "Ingested", key_id: str) -> None:
        from headworks.tracing import TRACES_FILE, TraceBook  # only who is sent traces loads it

        now_us = time.time_ns() // 1000
        book = TraceBook(project.storage / TRACES_FILE)
        try:
            book.add(ingested, key_id, now_us=now_us, forget_before_us=now_us - days * _DAY_US)
        finally:
            book.close()

    async def keep(ingested: "Ingested", key_id: str) -> None:
        await asyncio.to_thread(write, ingested, key_id)

    return keep
