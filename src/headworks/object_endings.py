"""What has come of what a provider made for somebody: the files of a batch, the model of a job, and what both cost."""

import re
from collections.abc import Callable
from functools import partial
from time import time_ns
from typing import Protocol

import msgspec

from headworks.access import Grant
from headworks.admitting import Admissions
from headworks.answering import STOPPED
from headworks.batch_lines import UNKNOWN, read_models
from headworks.batch_output import OutputLines, OutputSink
from headworks.batch_settling import (
    SETTLED,
    TIER,
    OutputUse,
    Seen,
    batch_record,
    has_own_steps,
    job_record,
    made_us,
    usage_of,
)
from headworks.calls import Failure, ObjectNote
from headworks.catalogue import TargetPrice
from headworks.exchange import Timeouts
from headworks.flow import Ending, Signal
from headworks.object_money import BUDGETED, ObjectMoney
from headworks.ownership import ObjectOwners
from headworks.routing import Target
from headworks.settlement import OpenCall, Settlement
from headworks.stations import Station
from headworks.stored_routes import BATCH, FILE, MODEL, UPLOAD
from headworks.upload_watch import MOST_LABEL

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,255}")

_LONGEST_S = 3600.0
"""For the bytes of a file: half a gigabyte on a line of a megabit a second."""


class ObjectEndings:
    """Notes and settles what has ended.

    Arguments:
        price_of: the price of a model, by provider and name.
        at: where an object lies; raises `Refusal` where that is configured no more.
    """

    def __init__(
        self,
        owners: ObjectOwners,
        settlement: Settlement,
        admissions: Admissions,
        money: ObjectMoney,
        *,
        price_of: Callable[[str, str], TargetPrice],
        at: Callable[[ObjectNote], Target[Station]],
    ) -> None:
        self._owners = owners
        self._settlement = settlement
        self._admissions = admissions
        self._money = money
        self._price_of = price_of
        self._at = at

    async def learn(self, note: ObjectNote, seen: Seen, call: OpenCall, grant: Grant, ending: Ending) -> None:
        """Note what has come of an object: the files of a batch, and what it used; a model; the file of an upload."""
        if note.label == SETTLED or seen.id != note.object_id:
            return
        now_us = time_ns() // 1000
        if note.kind == UPLOAD:
            file = seen.file
            if file is not None and file.id:
                label, models = (file.purpose or "")[:MOST_LABEL], UNKNOWN
                self._note_made(note, file.id, FILE, now_us, label=label, models=models)
                self._owners.renote(note, label=SETTLED)
            return
        if not seen.has_ended:
            return
        if note.kind == BATCH:
            for file_id in (seen.output_file_id, seen.error_file_id):
                if file_id:
                    self._note_made(note, file_id, FILE, now_us, label="batch_output")
        elif seen.fine_tuned_model:
            self._note_made(note, seen.fine_tuned_model, MODEL, now_us)
        if await self._settle(note, seen, call, grant, ending):
            self._owners.renote(note, label=SETTLED)

    async def _settle(self, note: ObjectNote, seen: Seen, call: OpenCall, grant: Grant, ending: Ending) -> bool:
        """Record what a batch or a job has cost, and count it; False where that is to be done when it is seen again."""
        price = self._price_of(note.provider, seen.model or "")
        caller, now_us = call.caller, time_ns() // 1000
        owner = caller.owner if caller.key_id == note.key_id else ""
        if note.kind == BATCH:
            usage = usage_of(seen)
            use: OutputUse | None = None
            is_told = usage is not None and not seen.draws and not has_own_steps(price, usage, made_us(note, seen))
            # What tools have used is told by the lines of the output alone.
            is_told = is_told and not (seen.may_have_run_tools and _may_run_tools(note))
            if seen.output_file_id and not is_told and not seen.came_to_nothing:
                use, is_known = await self._use_of(note, seen, call, ending)
                if not is_known:
                    return False
            record = batch_record(note, seen, price, owner, now_us, use=use)
        else:
            record = job_record(note, seen, price, owner, now_us)
        if note.label == BUDGETED and not await self._money.settle(note.provider, note.object_id, record.cost_pico):
            return False
        if note.kind == BATCH or record.cost_pico >= 0:  # who has given no price of training asks for no record of it
            self._settlement.record(record)
        if note.label != BUDGETED:
            self._admissions.count(grant, record.cost_pico)
        return True

    async def _use_of(
        self, note: ObjectNote, seen: Seen, call: OpenCall, ending: Ending
    ) -> tuple[OutputUse | None, bool]:
        """What the lines of a batch's output have used, None where they cannot be had; and whether that is final."""
        if _ID.fullmatch(seen.output_file_id or "") is None:
            return None, True
        station = self._at(note).station
        lines = OutputLines(
            partial(self._price_of, note.provider),
            at_us=made_us(note, seen),
            tier=TIER,
            drawn_by=seen.model if seen.draws else None,
        )
        sink = OutputSink(lines)
        sent = station.provider.request("GET", f"/files/{seen.output_file_id}/content", b"", b"", b"")
        call.attempts += 1
        flight = station.upstream.send(sent, sink, long_timeouts(station))
        try:
            failure = await end_of(sink, ending)
        finally:
            flight.cancel()
        if failure is not None or sink.status >= 500 or sink.status in (408, 429):
            return None, False
        return (lines.use() if sink.status < 300 else None), True

    def _note_made(
        self, by: ObjectNote, object_id: str, kind: str, now_us: int, *, label: str = "", models: str = ""
    ) -> None:
        """Note what an object has made: it is of the same owner, in the same place."""
        self._owners.note(ObjectNote(object_id, kind, now_us, now_us, by.provider, by.key_id, by.team, label, models))


def _may_run_tools(batch: ObjectNote) -> bool:
    """Whether any line of a batch's input may have had the provider run tools; also where that is not known."""
    asked = read_models(batch.models)
    return not asked or any(one.hosted for one in asked)


async def end_of(sink: "Ended", ending: Ending) -> Failure | None:
    """How an answer has ended, which a stop ends before its time."""
    ending.act = partial(sink.on_failure, STOPPED)
    try:
        return await sink.ended
    finally:
        ending.act = None


class Ended(Protocol):
    """What an answer comes into that ends at some time."""

    ended: Signal[Failure | None]

    def on_failure(self, failure: Failure) -> None:
        """It has ended so."""
        ...


def long_timeouts(station: Station) -> Timeouts:
    """The time limits of a station for a body of any length."""
    return msgspec.structs.replace(station.timeouts, total_s=max(station.timeouts.total_s, _LONGEST_S))


__all__ = ["ObjectEndings", "end_of", "long_timeouts"]
