import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import psycopg
import pytest

from headworks.audit.keys import MasterKeys
from headworks.audit.reading import AuditReader, Search
from headworks.audit.sealing import open_ledger
from headworks.audit.verifying import verify
from headworks.auditing import AuditTerms
from headworks.calls import Opened, Settled
from headworks.config import Secret
from headworks.console import auditing, run
from headworks.console.auditing import MOST_BYTES
from headworks.console.control_plane import (
    LONGEST_REST_S,
    LONGEST_RETRY_S,
    PURGE_EVERY_S,
    SHORTEST_REST_S,
    TURN_EVERY_S,
    _record_crossing,
)
from headworks.errors import StorageError
from headworks.limits.budgets import Account, Crossing
from headworks.records import JOURNAL_FOLDER, STORE_FILE, Selection, drain_lock, open_store
from headworks.records.frames import MAGIC, frame, scan
from headworks.records.segments import Segment
from headworks.records.stores.sqlite import SqliteStore
from headworks.records.turning import TURN_FILE
from headworks.telemetry import RUN_FOLDER, Metrics, MetricsShare

ACCOUNT = Account("team/support/day/2026-11-26", 1000, is_hard=True, alert_at=(80,), begins_us=0, ends_us=1)


def settled(n: int) -> Settled:
    return Settled(Opened(f"call_{n}", n, "responses", "fast"), "answered", 200, 5)


def write(storage: Path, *entries, number: int = 0) -> None:
    folder = storage / JOURNAL_FOLDER
    folder.mkdir(exist_ok=True)
    (folder / Segment("worker-1", 1, number).name).write_bytes(MAGIC + b"".join(map(frame, entries)))


def recorded(storage: Path) -> list[str]:
    store = open_store(storage)
    try:
        return sorted(record.call_id for record in store.select(Selection()))
    finally:
        store.close()


class Rests:
    """Takes the place of waiting: notes how long, does something at some of them, says stop at the last."""

    def __init__(self, count: int, **at: object) -> None:
        self.count = count
        self.at = {int(name.removeprefix("rest_")): action for name, action in at.items()}
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> bool:
        self.seconds.append(seconds)
        number = len(self.seconds)
        if number in self.at:
            self.at[number]()
        return number >= self.count


def test_what_comes_while_it_runs_is_drained_and_so_is_what_came_before_the_stop(tmp_path):
    write(tmp_path, settled(1))
    seen = []
    rests = Rests(
        3,
        rest_1=lambda: write(tmp_path, settled(2), number=1),
        rest_2=lambda: seen.append(recorded(tmp_path)),
        rest_3=lambda: write(tmp_path, settled(3), number=2),
    )

    run(tmp_path, rest=rests, say=pytest.fail)

    assert seen == [["call_1", "call_2"]]
    assert recorded(tmp_path) == ["call_1", "call_2", "call_3"]


@pytest.mark.parametrize("most_bytes", [MOST_BYTES, 0], ids=["handed on", "read again"])
def test_the_audit_log_gets_what_the_records_get_and_nothing_is_left_in_the_journals(tmp_path, monkeypatch, most_bytes):
    monkeypatch.setattr(auditing, "MOST_BYTES", most_bytes)
    secret = "0123456789abcdef0123456789abcdef"
    terms = AuditTerms(tmp_path, Secret(secret), (), None, {}, (), 60.0)
    write(tmp_path, settled(1))
    rests = Rests(2, rest_1=lambda: write(tmp_path, settled(2), number=1))

    run(tmp_path, audit=terms, rest=rests, say=pytest.fail)

    assert recorded(tmp_path) == ["call_1", "call_2"]
    masters = MasterKeys(secret.encode())
    ledger = open_ledger(tmp_path / "audit", masters)
    reader = AuditReader(tmp_path / "audit" / "archive", ledger)
    assert [entry.entry_id for entry in reader.search(Search())] == ["call_1", "call_2"]
    ledger.close()
    assert verify(tmp_path / "audit" / "archive", masters.signers).is_good
    assert list((tmp_path / JOURNAL_FOLDER).glob("*.journal")) == []


def test_records_are_drained_while_the_audit_log_cannot_be_written_and_journals_stay(tmp_path):
    (tmp_path / "audit").write_bytes(b"")
    terms = AuditTerms(tmp_path, Secret("0123456789abcdef0123456789abcdef"), (), None, {}, (), 60.0)
    write(tmp_path, settled(1))
    said = []

    run(tmp_path, audit=terms, rest=Rests(2), say=said.append)

    assert recorded(tmp_path) == ["call_1"]
    assert len([text for text in said if text.startswith("the audit log waits")]) == 1
    assert len(list((tmp_path / JOURNAL_FOLDER).glob("*.journal"))) == 1


def test_what_is_old_is_removed_in_its_time_when_the_wall_clock_is_set_back(tmp_path, monkeypatch):
    clock = {"wall": 1_795_435_200.0, "monotonic": 50.0}
    purged = []
    monkeypatch.setattr(SqliteStore, "purge", lambda _store, now_us: purged.append(now_us))

    def pass_time():
        clock["wall"] -= 7200.0
        clock["monotonic"] += PURGE_EVERY_S

    rests = Rests(4, rest_1=pass_time)
    run(tmp_path, rest=rests, say=pytest.fail, now=lambda: clock["wall"], clock=lambda: clock["monotonic"])

    assert purged == [1_795_435_200_000_000, 1_795_428_000_000_000]


def test_workers_are_asked_once_an_hour_to_begin_new_journals(tmp_path):
    clock = {"monotonic": 50.0}
    asked = []

    def pass_on(seconds):
        def later():
            asked.append((tmp_path / JOURNAL_FOLDER / TURN_FILE).exists())
            clock["monotonic"] += seconds

        return later

    write(tmp_path, settled(1))
    rests = Rests(4, rest_1=pass_on(TURN_EVERY_S - 1), rest_2=pass_on(1.0), rest_3=pass_on(0.0))
    run(tmp_path, rest=rests, say=pytest.fail, clock=lambda: clock["monotonic"])

    assert asked == [False, False, True]


def test_it_rests_longer_as_long_as_there_is_nothing_to_do(tmp_path):
    rests = Rests(8, rest_6=lambda: write(tmp_path, settled(1)))

    run(tmp_path, rest=rests, say=pytest.fail)

    assert rests.seconds[0] == 2 * SHORTEST_REST_S
    assert max(rests.seconds) == rests.seconds[5] == LONGEST_REST_S
    assert rests.seconds[6] == SHORTEST_REST_S


def test_a_store_that_cannot_be_used_is_said_once_and_tried_again_and_nothing_is_lost(tmp_path):
    write(tmp_path, settled(1))
    (tmp_path / STORE_FILE).write_bytes(b"no database, this: " * 400)
    said = []
    rests = Rests(12, rest_11=(tmp_path / STORE_FILE).unlink)

    run(tmp_path, rest=rests, say=said.append)

    assert len(said) == 2
    assert "records stay in the journal for now" in said[0]
    assert STORE_FILE in said[0]
    assert said[1] == "records are drained again"
    assert rests.seconds[:11] == sorted(rests.seconds[:11])
    assert rests.seconds[10] == LONGEST_RETRY_S
    assert recorded(tmp_path) == ["call_1"]


def test_it_waits_for_its_turn_while_another_process_drains(tmp_path):
    write(tmp_path, settled(1))
    other = drain_lock(tmp_path)
    assert other.__enter__()
    rests = Rests(4, rest_3=lambda: other.__exit__(None, None, None))

    run(tmp_path, rest=rests, say=pytest.fail)

    assert recorded(tmp_path) == ["call_1"]


def test_stopped_while_waiting_for_its_turn_it_leaves_the_journal_as_it_is(tmp_path):
    write(tmp_path, settled(1))

    with drain_lock(tmp_path):
        run(tmp_path, rest=Rests(2), say=pytest.fail)

    assert recorded(tmp_path) == []
    assert len(list((tmp_path / JOURNAL_FOLDER).iterdir())) == 1


def test_calls_that_a_dead_worker_left_open_are_told_of(tmp_path):
    write(tmp_path, Opened("call_1", 1, "responses", "fast"), Opened("call_2", 2, "responses", "fast"))
    said = []

    run(tmp_path, rest=Rests(1), say=said.append)

    assert said == ["2 calls were under way when a worker died: recorded as lost"]


def test_lost_calls_are_counted_once_the_metrics_can_be_written(tmp_path):
    write(tmp_path, Opened("call_1", 1, "responses", "fast"))
    run_folder = tmp_path / RUN_FOLDER
    run_folder.write_bytes(b"in the way")
    said = []
    rests = Rests(
        5,
        rest_1=lambda: write(tmp_path, Opened("call_2", 2, "responses", "fast"), number=1),
        rest_3=run_folder.unlink,
    )

    run(tmp_path, rest=rests, say=said.append)

    share = MetricsShare(Metrics(), run_folder, "worker-1")
    assert b'outcome="lost",status="0"} 2' in share.render()
    assert len([line for line in said if "cannot be counted" in line]) == 1
    assert len(said) == 3


PROCESS = """
import sys
from pathlib import Path
from headworks.console import control_plane
print("up", flush=True)
sys.exit(control_plane(Path(sys.argv[1]), serves_leases=True))
"""


@pytest.mark.timeout(60)
def test_the_process_drains_ignores_ctrl_c_and_ends_well_on_sigterm(tmp_path):
    write(tmp_path, settled(1))
    process = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "up\n"
        due_s = time.monotonic() + 60
        while list((tmp_path / JOURNAL_FOLDER).iterdir()) and time.monotonic() < due_s:
            time.sleep(0.02)  # of another process only its files can be seen
        process.send_signal(signal.SIGINT)
        write(tmp_path, settled(2), number=1)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()

    assert (process.returncode, said) == (0, "")
    assert recorded(tmp_path) == ["call_1", "call_2"]


def test_content_that_has_expired_is_removed(tmp_path):
    past, future = 1, int((time.time() + 3600) * 1e6)
    for number, expires_us in ((1, past), (2, future)):
        kept = msgspec.structs.replace(
            settled(number), workload="w", response_body=b"sealed", content_expires_us=expires_us
        )
        write(tmp_path, kept, number=number)

    run(tmp_path, rest=Rests(1), say=pytest.fail)

    store = open_store(tmp_path)
    records = {record.call_id: record for record in store.select(Selection())}
    left = store.purge(2**62)
    store.close()
    assert sorted(records) == ["call_1", "call_2"]
    assert left == 1


NOW_S = 1_790_000_000.0


def answered(version: str, output_tokens: int, numbers: range) -> list[Settled]:
    calls = []
    for number in numbers:
        opened = Opened(f"call_{version}_{number}", int(NOW_S * 1e6) + number, "responses", "triage", model="luna")
        calls.append(
            Settled(
                opened,
                "answered",
                200,
                5,
                output_tokens=output_tokens,
                usage_source="provider",
                workload="triage",
                prompt_version=version,
            )
        )
    return calls


class Clock:
    """A minute and more passes at each rest, or what is set."""

    def __init__(self) -> None:
        self.now_s = NOW_S
        self.step_s = 61.0

    def __call__(self) -> float:
        return self.now_s

    def rests(self, count: int, **at: object) -> Rests:
        rests = Rests(count, **at)

        def rest(seconds: float) -> bool:
            self.now_s += self.step_s
            return rests(seconds)

        return rest


def ratios(storage: Path) -> list[str]:
    share = MetricsShare(Metrics(), storage / RUN_FOLDER, "worker-1")
    return [line for line in share.render().decode().splitlines() if line.startswith("headworks_output_growth_ratio{")]


def test_answers_that_have_grown_are_told_of_once_and_shown_as_a_gauge(tmp_path):
    write(tmp_path, *answered("1.0.0", 100, range(100)))
    clock, said, seen = Clock(), [], []
    rest = clock.rests(
        4,
        rest_1=lambda: (seen.append(ratios(tmp_path)), write(tmp_path, *answered("1.1.0", 150, range(100)), number=1)),
        rest_2=lambda: (
            seen.append(ratios(tmp_path)),
            write(tmp_path, *answered("1.1.0", 150, range(100, 120)), number=2),
        ),
    )

    run(tmp_path, rest=rest, say=said.append, now=clock, clock=clock)

    assert seen[0] == []
    (ratio,) = seen[1]
    assert ratio.startswith('headworks_output_growth_ratio{workload="triage",prompt_version="1.1.0"} 1.')
    assert ratios(tmp_path) == seen[1]
    (line,) = said
    assert line.startswith("triage: answers of prompt version 1.1.0 are ")
    assert line.endswith("% longer than those of 1.0.0 (median): headworks calls economy --workload triage")


def test_output_is_looked_at_once_a_minute_at_most(tmp_path):
    write(tmp_path, *answered("1.0.0", 100, range(100)))
    clock, seen = Clock(), []
    clock.step_s = 20.0
    rest = clock.rests(
        4,
        rest_1=lambda: write(tmp_path, *answered("1.1.0", 104, range(100)), number=1),
        rest_2=lambda: seen.append(ratios(tmp_path)),
        rest_4=lambda: seen.append(ratios(tmp_path)),
    )

    run(tmp_path, rest=rest, say=pytest.fail, now=clock, clock=clock)

    assert [len(one) for one in seen] == [0, 1]


def test_the_ratio_stays_when_lost_calls_are_counted(tmp_path):
    write(tmp_path, *answered("1.0.0", 100, range(100)), *answered("1.1.0", 104, range(100)))
    clock, said = Clock(), []
    rest = clock.rests(3, rest_1=lambda: write(tmp_path, Opened("call_x", 1, "responses", "fast"), number=1))

    run(tmp_path, rest=rest, say=said.append, now=clock, clock=clock)

    assert said == ["1 call was under way when a worker died: recorded as lost"]
    assert len(ratios(tmp_path)) == 1
    assert b'outcome="lost",status="0"} 1' in MetricsShare(Metrics(), tmp_path / RUN_FOLDER, "worker-1").render()


DAY_US = 86_400_000_000
NOW_S = 1_795_435_200.0


def test_records_are_kept_for_as_many_days_as_configured(tmp_path):
    now_us = int(NOW_S * 1e6)
    old, young = (
        Settled(Opened(f"call_{name}", now_us - days * DAY_US, "responses", "fast"), "answered", 200, 5)
        for name, days in (("old", 31), ("young", 29))
    )
    write(tmp_path, old, young)

    run(tmp_path, keep_days=30, rest=Rests(1), say=pytest.fail, now=lambda: NOW_S)

    assert recorded(tmp_path) == ["call_young"]


def test_without_a_configured_time_records_are_kept_for_ever(tmp_path):
    write(tmp_path, settled(1))

    run(tmp_path, rest=Rests(1), say=pytest.fail, now=lambda: NOW_S)

    assert recorded(tmp_path) == ["call_1"]


def test_records_that_cannot_be_removed_are_told_of_and_draining_goes_on(tmp_path, monkeypatch):
    def forget(_store, _before_us):
        raise StorageError("somebody reads")

    monkeypatch.setattr(SqliteStore, "forget", forget)
    write(tmp_path, settled(1))
    said = []

    run(tmp_path, keep_days=1, rest=Rests(2, rest_1=lambda: write(tmp_path, settled(2), number=1)), say=said.append)

    assert said == ["old records and content stay for now: somebody reads"]
    assert recorded(tmp_path) == ["call_1", "call_2"]


# -- with PostgreSQL ----------------------------------------------------------------------------------------------


def test_a_database_that_is_away_is_said_once_and_tried_again_and_every_call_is_there_once(tmp_path, own_postgresql):
    url, said = own_postgresql.store_url(), []
    write(tmp_path, settled(1))
    own_postgresql.stop()
    rests = Rests(
        9,
        rest_3=own_postgresql.start,
        rest_5=lambda: (own_postgresql.crash(), write(tmp_path, settled(2), number=1)),
        rest_7=own_postgresql.start,
    )

    run(tmp_path, url, rest=rests, say=said.append)

    assert [line.split(":")[0] for line in said] == [
        "records stay in the journal for now",
        "records are drained again",
    ] * 2
    store = open_store(tmp_path, url)
    assert [record.call_id for record in store.select(Selection(is_newest_first=False))] == ["call_1", "call_2"]
    assert [total.calls for total in store.totals([], None, None)] == [2]
    store.close()


def test_months_are_made_before_a_call_needs_them(tmp_path, postgresql):
    url = postgresql.store_url(postgresql.new_database())
    (tmp_path / JOURNAL_FOLDER).mkdir()

    run(tmp_path, url, rest=Rests(1), say=pytest.fail, now=lambda: NOW_S)

    with psycopg.connect(url) as connection:
        names = connection.execute("SELECT relname FROM pg_class WHERE relname ~ '^calls_20..' AND relkind = 'r'")
        assert sorted(name for (name,) in names) == ["calls_2026_11", "calls_2026_12", "calls_2027_01"]


def test_two_control_planes_on_one_database_drain_at_the_same_time(tmp_path, postgresql):
    url, failed = postgresql.store_url(postgresql.new_database()), []

    def drain(machine: int) -> None:
        storage = tmp_path / f"machine-{machine}"
        storage.mkdir()
        write(storage, *(settled(n) for n in range(machine * 100, machine * 100 + 50)))
        more = {
            f"rest_{rest}": lambda rest=rest: write(
                storage, *(settled(machine * 100 + 50 + rest * 5 + n) for n in range(5)), number=rest
            )
            for rest in range(1, 10)
        }
        try:
            run(storage, url, rest=Rests(10, **more), say=failed.append)
        except StorageError as error:
            failed.append(str(error))

    threads = [threading.Thread(target=drain, args=(machine,)) for machine in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    store = open_store(tmp_path / "machine-0", url)
    found = store.select(Selection(limit=1000))
    assert len(found) == len({record.call_id for record in found}) == 2 * 95
    assert [total.calls for total in store.totals([], None, None)] == [2 * 95]
    store.close()


def test_the_audit_log_goes_on_while_the_records_store_is_away(tmp_path, monkeypatch):
    secret = "0123456789abcdef0123456789abcdef"
    terms = AuditTerms(tmp_path, Secret(secret), (), None, {}, (), 60.0)
    write(tmp_path, settled(1))

    def away(*_: object):
        raise StorageError("the store is away")

    monkeypatch.setattr(sys.modules["headworks.console.control_plane"], "open_store", away)
    said = []
    run(tmp_path, audit=terms, rest=Rests(3), say=said.append)

    assert said == ["records stay in the journal for now: the store is away"]
    ledger = open_ledger(tmp_path / "audit", MasterKeys(secret.encode()))
    assert len(list(AuditReader(tmp_path / "audit" / "archive", ledger).search(Search()))) == 1
    ledger.close()


def test_a_budget_that_was_reached_stands_in_the_audit_log(tmp_path):
    _record_crossing(tmp_path, Crossing(ACCOUNT, 80, 812))

    found = [
        entry
        for path in (tmp_path / JOURNAL_FOLDER).glob("*.journal")
        for entry in scan(path.read_bytes()[len(MAGIC) :], start=0, whole=True, limit=10).entries
    ]
    assert [(one.action, one.target, one.detail) for one in found] == [
        ("budget.reached", "team/support", '{"period":"2026-11-26","percent":80}')
    ]


def test_an_audit_log_that_cannot_be_written_stops_no_budget(tmp_path, capfd):
    (tmp_path / "file").write_text("no folder")
    _record_crossing(tmp_path / "file", Crossing(ACCOUNT, 80, 812))
    assert "the audit log does not know of a budget that was reached" in capfd.readouterr().err
