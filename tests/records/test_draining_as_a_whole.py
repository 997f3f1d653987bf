"""Journals, drainer and store against a model: whatever dies when, every call is there once and rightly."""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headworks.calls import Opened, Settled
from headworks.records import Drainer, Journal, Selection
from headworks.records.frames import HEAD_BYTES, frame
from headworks.records.segments import list_segments
from headworks.records.stores import Store
from headworks.records.stores.postgres import PostgresStore
from headworks.records.stores.sqlite import SqliteStore


class Killed(BaseException):
    """Stands for SIGKILL: nothing in our code may catch it."""


class Recording(RuleBasedStateMachine):
    """Workers append and die, the drainer drains and dies; the model knows what must be in the store at the end."""

    @initialize()
    def begin(self) -> None:
        self.home = Path(tempfile.mkdtemp())
        self.folder = self.home / "journal"
        self.loop = asyncio.new_event_loop()
        self.clock = 1_795_435_200.0
        self.journals: dict[str, Journal] = {}
        self.under_way: dict[str, list[Opened]] = {}
        self.expected: dict[str, str] = {}
        self.count = 0
        self.said: list[str] = []

    def open_store(self) -> Store:
        return SqliteStore(self.home / "records.db")

    def teardown(self) -> None:
        for journal in self.journals.values():
            journal.close()
        self.loop.close()
        shutil.rmtree(self.home)

    @rule(worker=st.sampled_from(["a", "b"]))
    @precondition(lambda self: len(self.journals) < 2)
    def start_worker(self, worker: str) -> None:
        if worker in self.journals:
            return
        self.clock += 1
        self.journals[worker] = Journal(
            self.folder,
            worker=worker,
            segment_bytes=9_000,
            limit_bytes=1 << 30,
            loop=self.loop,
            now=lambda: self.clock,
        )
        self.under_way[worker] = []

    @rule(data=st.data())
    @precondition(lambda self: self.journals)
    def open_call(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.journals)))
        self.count += 1
        opened = Opened(f"call_{self.count:04d}", self.count, "responses", "fast")
        self.journals[worker].append(opened)
        self.under_way[worker].append(opened)

    @rule(data=st.data())
    @precondition(lambda self: any(self.under_way.values()))
    def settle_call(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(name for name, calls in self.under_way.items() if calls)))
        opened = self.under_way[worker].pop(data.draw(st.integers(0, len(self.under_way[worker]) - 1)))
        self.journals[worker].append(Settled(opened, "answered", 200, 5, input_tokens=7))
        self.expected[opened.call_id] = "answered"

    @rule(data=st.data(), torn=st.integers(0, 40))
    @precondition(lambda self: self.journals)
    def kill_worker(self, data: st.DataObject, torn: int) -> None:
        worker = data.draw(st.sampled_from(sorted(self.journals)))
        journal = self.journals.pop(worker)
        journal._look_handle.cancel()
        segment = journal._open
        # It died while it copied an entry that nobody had been told of: a part of it is there, and no head.
        copied = frame(Opened("call_never", 1, "responses", "fast"))[HEAD_BYTES : HEAD_BYTES + torn]
        os.pwrite(segment.descriptor, copied, journal._written + HEAD_BYTES)
        if journal._window is not None:
            journal._window.close()
        os.close(segment.descriptor)
        for opened in self.under_way.pop(worker):
            self.expected[opened.call_id] = "lost"

    @rule(data=st.data())
    @precondition(lambda self: self.journals)
    def stop_worker(self, data: st.DataObject) -> None:
        worker = data.draw(st.sampled_from(sorted(self.journals)))
        self.journals.pop(worker).close()
        for opened in self.under_way.pop(worker):
            self.expected[opened.call_id] = "lost"

    @rule(steps=st.integers(0, 12))
    def drain_and_perhaps_die(self, steps: int) -> None:
        store = self.open_store()
        commit, left = store.commit, steps

        def dying_commit(batch):
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            committed = commit(batch)
            left -= 1
            if left == 0:
                raise Killed
            return committed

        store.commit = dying_commit
        try:
            Drainer(self.folder, store, now=lambda: self.clock, report=self.said.append).drain()
        except Killed:
            pass
        finally:
            store.close()

    @invariant()
    def nothing_is_there_that_should_not_be(self) -> None:
        if not getattr(self, "home", None):
            return
        store = self.open_store()
        records = {record.call_id: record for record in store.select(Selection(limit=100_000))}
        totals = {total.group[0]: total for total in store.totals(["outcome"], None, None)}
        store.close()
        for call_id, record in records.items():
            assert record.outcome == self.expected[call_id], call_id
        assert sum(total.calls for total in totals.values()) == len(records)
        assert sum(total.input_tokens for total in totals.values()) == sum(r.input_tokens for r in records.values())

    @rule()
    def drained_to_the_end_everything_is_there(self) -> None:
        store = self.open_store()
        drainer = Drainer(self.folder, store, now=lambda: self.clock, report=self.said.append)
        drainer.drain()
        drainer.drain()
        found = {record.call_id: record.outcome for record in store.select(Selection(limit=100_000))}
        store.close()
        under_way = {opened.call_id for calls in self.under_way.values() for opened in calls}
        assert found == self.expected
        assert not under_way & set(found)
        assert not any("cannot be read" in line for line in self.said), self.said
        assert {segment.worker for segment in list_segments(self.folder)} <= set(self.journals)


def test_with_sqlite_every_call_is_there_once_whatever_dies_when():
    run_state_machine_as_test(Recording, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))


@pytest.mark.uncounted
def test_with_postgresql_every_call_is_there_once_whatever_dies_when(postgresql):
    class InPostgres(Recording):
        url = ""

        def open_store(self) -> Store:
            self.url = self.url or postgresql.store_url(postgresql.new_database())
            return PostgresStore(self.url, "here")

    run_state_machine_as_test(InPostgres, settings=settings(max_examples=15, stateful_step_count=30, deadline=None))
