"""Sinks of an installed package: every record at least once, in order, whatever fails; and nothing waits for them."""

import threading
import time
from pathlib import Path

import pytest

from headworks.calls import Opened, Settled
from headworks.cli import main
from headworks.config import parse
from headworks.console import run, sink_terms
from headworks.console.sinking import FAILURES, PENDING, Sinking
from headworks.doctoring.running import judge_left
from headworks.errors import ConfigError
from headworks.extending import SINKS
from headworks.records import Batch, open_store
from headworks.records.sinks import FileCursors, open_cursors
from headworks.telemetry import RUN_FOLDER, Standing, read_left
from headworks.telemetry.sharing import Left
from offering import forget, offer

SOURCE = """
import threading

GIVEN, CLOSED = [], []
CHANGED = threading.Condition()
STATE = {"fails": 0, "held": threading.Event(), "hangs": False}


class Sink:
    def __init__(self, settings):
        self.settings = settings

    def write(self, records):
        with CHANGED:
            GIVEN.append([record.call_id for record in records])
            CHANGED.notify_all()
            if STATE["fails"]:
                STATE["fails"] -= 1
                raise RuntimeError(f"{self.settings} {records}")
        if STATE["hangs"]:
            STATE["held"].wait(20)

    def close(self):
        CLOSED.append(True)
"""

CONFIG = """
version: 1
providers: {{sim: {{kind: simulator}}}}
records:
  sinks:
    warehouse: {{{sink}}}
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    offer(folder, {SINKS: {"sink": "Sink"}}, SOURCE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("headworks.console.sinking.POLL_S", 0.005)
    monkeypatch.setattr("headworks.console.sinking.SHORTEST_PAUSE_S", 0.005)
    forget()
    import acme_offers

    yield acme_offers
    acme_offers.STATE["held"].set()
    forget()


def record(storage: Path, *numbers: int) -> None:
    store = open_store(storage)
    calls = [Settled(Opened(f"call_{n}", n, "responses", "fast"), "answered", 200, 5) for n in numbers]
    store.commit(Batch(calls))
    store.close()


def terms(tmp_path, sink="use: sink, since: start, batch: 2, settings: {token: env:TOKEN}"):
    project = parse(CONFIG.format(sink=sink), file="headworks.yaml", base=tmp_path)
    return sink_terms(project, {"TOKEN": "sk-hidden"})


class Given:
    """A sink that is given records until the block ends."""

    def __init__(self, acme, storage, terms, said=None):
        self.acme = acme
        self.said = [] if said is None else said
        self._made = lambda: Sinking(terms, storage, "", say=self.said.append, now=time.time, clock=time.monotonic)

    def __enter__(self):
        self.sinking = self._made()
        return self

    def __exit__(self, *_):
        self.sinking.finish()

    def until(self, holds):
        with self.acme.CHANGED:
            assert self.acme.CHANGED.wait_for(lambda: holds(self.acme.GIVEN), 60)


def flat(batches):
    return [one for batch in batches for one in batch]


def cursor(storage):
    cursors = FileCursors(storage)
    try:
        return cursors.find("warehouse", -1)
    finally:
        cursors.close()


def test_records_come_in_batches_in_their_order_and_go_on_where_they_were(acme, tmp_path):
    record(tmp_path, 1, 2, 3)
    with Given(acme, tmp_path, terms(tmp_path)) as given:
        given.until(lambda batches: len(flat(batches)) == 3)
    assert acme.GIVEN == [["call_1", "call_2"], ["call_3"]]
    assert cursor(tmp_path) == 3
    assert acme.CLOSED

    record(tmp_path, 4)
    with Given(acme, tmp_path, terms(tmp_path)) as given:
        given.until(lambda batches: "call_4" in flat(batches))
    assert acme.GIVEN[2:] == [["call_4"]]


def test_a_new_sink_begins_with_the_calls_from_then_on_unless_it_is_told_otherwise(acme, tmp_path):
    record(tmp_path, 1, 2)
    with Given(acme, tmp_path, terms(tmp_path, "use: sink")) as given:
        while given.sinking._giving[0].standing.seq < 0:
            threading.Event().wait(0.001)
        record(tmp_path, 3)
        given.until(bool)

    assert acme.GIVEN == [["call_3"]]


def test_what_a_sink_does_not_take_is_given_again_and_told_of_once_without_what_it_said(acme, tmp_path):
    record(tmp_path, 1)
    acme.STATE["fails"] = 3
    with Given(acme, tmp_path, terms(tmp_path)) as given:
        given.until(lambda batches: len(batches) == 4)
    assert acme.GIVEN == [["call_1"]] * 4
    assert cursor(tmp_path) == 1

    assert given.said == [
        "the sink warehouse has failed, and is given its records again later: RuntimeError",
        "the sink warehouse takes records again",
    ]


def test_how_sinks_stand_is_in_the_metrics_and_in_the_status(acme, tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.console.sinking.PUBLISH_S", 0.0)
    monkeypatch.setattr("headworks.console.sinking.LONGEST_PAUSE_S", 0.005)
    record(tmp_path, 1, 2, 3)
    acme.STATE["fails"] = 10**6
    with Given(acme, tmp_path, terms(tmp_path)) as given:
        given.until(lambda batches: len(batches) > 3)
        store = open_store(tmp_path)
        given.sinking.publish(store)
        store.close()
        (left,) = read_left(tmp_path / RUN_FOLDER)
        acme.STATE["fails"] = 0

    assert left.families[PENDING].values == {("warehouse",): 3}
    assert left.families[FAILURES].values[("warehouse",)] >= 2
    now_s = time.time()
    seen = judge_left([left, Left("worker_1", now_s, {}, Standing(is_ready=True))], now_s=now_s, books="control plane")
    assert (seen.sinks[0].name, seen.sinks[0].pending, seen.sinks[0].taken_ago_s) == ("warehouse", 3, None)
    assert "the sink warehouse has failed" in " ".join(seen.problems)
    assert [one.families for one in read_left(tmp_path / RUN_FOLDER)] == [{}]


def test_a_sink_that_hangs_keeps_no_record_from_the_store_and_no_process_from_ending(acme, tmp_path, monkeypatch):
    monkeypatch.setattr("headworks.console.sinking.LAST_CHANCE_S", 0.01)
    record(tmp_path, 1)
    acme.STATE["hangs"] = True
    rests = []

    def rest(_seconds):
        with acme.CHANGED:
            assert acme.CHANGED.wait_for(lambda: acme.GIVEN, 60)
        rests.append(1)
        return len(rests) == 3

    run(tmp_path, sinks=terms(tmp_path), rest=rest, say=pytest.fail)

    assert acme.GIVEN == [["call_1"]]
    assert cursor(tmp_path) == 0


def test_machines_that_share_a_database_give_a_sink_its_records_one_at_a_time(postgresql):
    url = postgresql.store_url(postgresql.new_database())
    one, other = open_cursors(Path(), url, "one"), open_cursors(Path(), url, "other")
    try:
        assert one.find("warehouse", 7) == other.find("warehouse", 9) == 7
        assert one.may_send("warehouse")
        assert not other.may_send("warehouse")
        one.move("warehouse", 12)
        one.move("warehouse", 11)
        assert other.find("warehouse", 0) == 12
        assert one.may_send("warehouse")
        assert not one.may_send("unknown")
    finally:
        one.close()
        other.close()


def test_a_sink_that_cannot_be_had_is_a_problem_of_the_file_and_nothing_is_run(acme, tmp_path, capsys):
    with pytest.raises(ConfigError, match=r"records\.sinks\.warehouse\.use: no installed package offers `gone`"):
        terms(tmp_path, "use: gone")
    with pytest.raises(ConfigError, match=r"records\.sinks\.warehouse\.settings\.token"):
        terms(tmp_path, "use: sink, settings: {token: env:MISSING}")
    (tmp_path / "headworks.yaml").write_text(CONFIG.format(sink="use: gone"))

    assert main(["check", "--config", str(tmp_path / "headworks.yaml")]) == 1
    assert "no installed package offers `gone`" in capsys.readouterr().err
    assert "sk-hidden" not in repr(terms(tmp_path))
