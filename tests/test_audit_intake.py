"""From journals into the audit log: every entry once, whatever is killed when, whoever drains the records."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from headworks.audit.reading import AuditReader, Search
from headworks.audit.sealing import ARCHIVE_FOLDER, least_next, open_ledger
from headworks.audit.verifying import verify
from headworks.audit_intake import AuditDraining, catch_up_audit, committed, drain_audit, masters_of
from headworks.auditing import AUDIT_FOLDER, AnchorTerms, AuditTerms, event, keep_for_audit, record_in
from headworks.calls import AuditEvent, Opened, OutcomeReport, Settled
from headworks.config import Secret
from headworks.records import JOURNAL_FOLDER, MARKS_FOLDER, Selection, drain_lock, drain_once, open_store
from headworks.records.frames import MAGIC, frame
from headworks.records.segments import Segment

SECRET = "0123456789abcdef0123456789abcdef"
NOW_US = 1_795_435_200_000_000


def terms_of(storage: Path, **changes) -> AuditTerms:
    fields = {"days": None, "workload_days": {}, "anchors": (), "anchor_every_s": 1.0} | changes
    return AuditTerms(storage, Secret(SECRET), (), **fields)


def opened(n: int, **fields) -> Opened:
    return Opened(f"call_{n}", NOW_US + n, "responses", "fast", **fields)


def settled(n: int, **fields) -> Settled:
    source = fields.pop("source", "")
    return Settled(opened(n, key_id="key_1", user=fields.pop("user", ""), source=source), "answered", 200, 5, **fields)


def write(storage: Path, *entries, number: int = 0, worker: str = "worker-1") -> Path:
    folder = storage / JOURNAL_FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Segment(worker, 1, number).name
    path.write_bytes(MAGIC + b"".join(map(frame, entries)))
    return path


def entries(storage: Path):
    terms = terms_of(storage)
    ledger = open_ledger(terms.folder, masters_of(terms))
    try:
        archived = terms.folder / ARCHIVE_FOLDER
        verdict = verify(archived, masters_of(terms).signers, log_id=ledger.log_id, least_next=least_next(ledger))
        assert verdict.findings == ()
        return list(AuditReader(archived, ledger).search(Search()))
    finally:
        ledger.close()


def ids(storage: Path) -> list[str]:
    return [entry.entry_id for entry in entries(storage)]


def drain(storage: Path, **changes) -> None:
    draining = AuditDraining(terms_of(storage, **changes), report=pytest.fail)
    draining.drain(is_last=True)
    draining.close()


def test_calls_reports_and_events_become_entries(tmp_path):
    report = OutcomeReport("outcome_1", NOW_US, "resolved", "boolean", "true", call_id="call_1", key_id="key_1")
    done = event("key.created", actor="ann", origin="console", target="key_2", detail={"team": "desk"})
    refused = Settled(opened(2), "refused", 403, 5, error_code="model_not_allowed")
    write(
        tmp_path,
        opened(1),
        settled(1, workload="triage", prompt_version="1.2.0", source="203.0.113.9"),
        report,
        done,
        refused,
    )

    drain(tmp_path)

    found = {entry.entry_id: entry for entry in entries(tmp_path)}
    assert len(found) == 4
    call = found["call_1"]
    assert (call.what, call.outcome, call.at_us) == ("call", "answered", NOW_US + 6)
    assert (call.body.who, call.body.target, call.body.workload) == ("key_1", "fast", "triage")
    assert (call.body.prompt_version, call.body.source) == ("1.2.0", "203.0.113.9")
    assert found["call_2"].body.error_code == "model_not_allowed"
    assert found["outcome_1"].body.target == "call_1"
    assert found[done.event_id].body.detail == {"team": "desk"}


def test_content_is_committed_to_and_not_held(tmp_path):
    write(tmp_path, settled(1, request_body=b"what was asked", response_body=b"what was answered"))
    drain(tmp_path)

    (entry,) = entries(tmp_path)
    content = entry.body.content
    assert content.request == committed(content.salt, b"what was asked")
    assert content.response == committed(content.salt, b"what was answered")
    for path in (tmp_path / AUDIT_FOLDER).rglob("*"):
        assert not path.is_file() or b"what was" not in path.read_bytes()


def test_the_records_drainer_leaves_what_the_audit_log_has_not_read(tmp_path):
    keep_for_audit(tmp_path, is_on=True)
    path = write(tmp_path, settled(1))

    drain_once(tmp_path)
    assert path.exists()
    drain(tmp_path)
    drain_once(tmp_path)
    assert not path.exists()
    drain(tmp_path)

    assert ids(tmp_path) == ["call_1"]
    assert list((tmp_path / JOURNAL_FOLDER / MARKS_FOLDER).iterdir()) == []


def test_what_the_audit_log_has_read_waits_for_the_records(tmp_path):
    path = write(tmp_path, settled(1))
    drain(tmp_path)
    drain(tmp_path)
    assert path.exists()
    assert drain_once(tmp_path).recorded == 1
    assert not path.exists()
    assert ids(tmp_path) == ["call_1"]


def test_without_an_audit_log_journals_go_as_before(tmp_path):
    keep_for_audit(tmp_path, is_on=True)
    path = write(tmp_path, settled(1))
    keep_for_audit(tmp_path, is_on=False)
    drain_once(tmp_path)
    assert not path.exists()


def test_a_journal_is_read_as_it_grows_and_each_entry_is_there_once(tmp_path):
    path = write(tmp_path)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        draining = AuditDraining(terms_of(tmp_path), report=pytest.fail)
        for n in range(5):
            file.write(frame(settled(n)))
            file.flush()
            assert draining.drain() == 1
        assert draining.drain() == 0
        draining.close()
    drain(tmp_path)
    assert ids(tmp_path) == [f"call_{n}" for n in range(5)]


def test_calls_that_a_dead_worker_left_open_are_entered_as_lost_once(tmp_path):
    path = write(tmp_path)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(frame(opened(1)) + frame(opened(2)) + frame(settled(1)))
        file.flush()
        drain(tmp_path)
        assert ids(tmp_path) == ["call_1"]
    drain(tmp_path)
    drain(tmp_path)

    assert [(entry.entry_id, entry.outcome) for entry in entries(tmp_path)] == [
        ("call_1", "answered"),
        ("call_2", "lost"),
    ]


def test_a_kill_at_any_write_loses_no_entry_and_doubles_none(tmp_path):
    start, copies = tmp_path / "start", tmp_path / "copies"
    write(start, opened(1), settled(1, user="ann"))
    drain(start)
    write(start, opened(2), settled(2, user="bob"), opened(3), event("x.y", actor="", origin=""), number=1)
    script = Path(__file__).parent / "audit" / "killed_draining.py"

    done = subprocess.run(
        [sys.executable, script, start, copies, "1", "alone"], capture_output=True, text=True, check=True
    )

    points = int(done.stdout)
    assert points > 25
    for point in range(1, points + 1):
        storage = copies / str(point)
        draining = AuditDraining(terms_of(storage), report=lambda _: None)
        draining.drain(is_last=True)
        draining.close()
        found = sorted(ids(storage))
        assert found[:3] == ["call_1", "call_2", "call_3"], f"killed at {point}: {found}"
        assert len(found) == 4, f"killed at {point}: {found}"


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.long)])
def test_a_kill_between_the_records_and_the_log_loses_no_entry_and_doubles_none(tmp_path, step):
    start, copies = tmp_path / "start", tmp_path / "copies"
    write(start, opened(1), settled(1, user="ann"))
    drain(start)
    drain_once(start)
    (start / "later").mkdir()
    path = write(start, opened(2), settled(2, user="bob"), opened(3), event("x.y", actor="", origin=""), number=1)
    path.rename(start / "later" / path.name)
    script = Path(__file__).parent / "audit" / "killed_draining.py"

    done = subprocess.run(
        [sys.executable, script, start, copies, str(step), "handed"], capture_output=True, text=True, check=True
    )

    points = int(done.stdout)
    assert points > 60 / step
    for point in range(1, points + 1):
        storage = copies / str(point)
        for late in (storage / "later").iterdir():
            late.rename(storage / JOURNAL_FOLDER / late.name)
        drain_once(storage)
        draining = AuditDraining(terms_of(storage), report=lambda _: None)
        draining.drain(is_last=True)
        draining.close()
        drain_once(storage)
        found = sorted(ids(storage))
        assert found[:3] == ["call_1", "call_2", "call_3"], f"killed at {point}: {found}"
        assert len(found) == 4, f"killed at {point}: {found}"
        store = open_store(storage)
        calls = {record.call_id: record.outcome for record in store.select(Selection())}
        store.close()
        assert calls == {"call_1": "answered", "call_2": "answered", "call_3": "lost"}, f"killed at {point}"
        assert list((storage / JOURNAL_FOLDER).glob("*.journal")) == [], f"killed at {point}"


def test_a_log_that_cannot_be_written_is_told_once_and_tried_again(tmp_path):
    write(tmp_path, settled(1))
    blocked = tmp_path / AUDIT_FOLDER
    blocked.write_bytes(b"")
    said = []
    draining = AuditDraining(terms_of(tmp_path), report=said.append)

    assert (draining.drain(), draining.drain()) == (0, 0)
    assert len(said) == 1
    blocked.unlink()
    draining.drain()
    draining.close()

    assert said[1:] == ["the audit log is written again"]
    assert ids(tmp_path) == ["call_1"]


def test_what_is_over_its_time_is_destroyed_and_that_is_entered(tmp_path):
    write(tmp_path, settled(1, workload="short"), settled(2, workload="long"))
    drain(tmp_path)
    now_s = NOW_US / 1e6 + 100 * 86_400
    changes = {"days": 365, "workload_days": {"short": 30}}
    draining = AuditDraining(terms_of(tmp_path, **changes), report=pytest.fail, now=lambda: now_s)
    draining.expire()
    draining.drain()
    draining.close()

    found = entries(tmp_path)
    assert [(entry.what, entry.body is None) for entry in found] == [
        ("call", True),
        ("call", False),
        ("audit.expired", False),
    ]


def test_checkpoints_are_anchored(tmp_path):
    file = tmp_path / "elsewhere.log"
    write(tmp_path, settled(1))
    drain(tmp_path, anchors=(AnchorTerms(file, "", None),))
    (line,) = file.read_bytes().splitlines()
    assert line in next((tmp_path / AUDIT_FOLDER / ARCHIVE_FOLDER).glob("*.audit")).read_bytes()


def test_commands_drain_or_wait_for_who_does(tmp_path):
    record_in(tmp_path, event("key.created", actor="ann", origin="here"))
    assert catch_up_audit(terms_of(tmp_path), report=pytest.fail)
    assert len(ids(tmp_path)) == 1
    record_in(tmp_path, event("key.revoked", actor="ann", origin="here"))
    with drain_lock(tmp_path):
        drain_audit(terms_of(tmp_path), report=pytest.fail)  # another is about it
        assert len(ids(tmp_path)) == 1
        rests = []

        def rest(seconds):
            rests.append(seconds)
            drain(tmp_path)

        assert catch_up_audit(terms_of(tmp_path), report=pytest.fail, rest=rest)
        assert len(rests) == 1
        record_in(tmp_path, event("key.revoked", actor="ann", origin="here"))
        assert not catch_up_audit(terms_of(tmp_path), report=pytest.fail, rest=lambda _: None, wait_s=0.1)
    drain_audit(terms_of(tmp_path), report=pytest.fail)
    assert len(ids(tmp_path)) == 3


def test_an_event_with_a_detail_that_is_no_json_is_entered_all_the_same(tmp_path):
    write(tmp_path, AuditEvent("event_1", -5, "odd", detail="{"))
    drain(tmp_path)
    (entry,) = entries(tmp_path)
    assert entry.body.detail == {"detail": "{"}


def test_an_archive_that_another_process_writes_is_left_alone(tmp_path):
    terms = terms_of(tmp_path)
    write(tmp_path, settled(1))
    one = AuditDraining(terms, report=pytest.fail)
    one.drain()
    said = []
    other = AuditDraining(terms, report=said.append)
    other.drain()
    other.close()
    one.close()
    assert "another process" in said[0]


def test_threads_that_tell_at_the_same_moment_are_all_heard(tmp_path):
    start = threading.Barrier(4)

    def tell() -> None:
        start.wait()
        for _ in range(5):
            record_in(tmp_path, event("key.created", actor="ann", origin="here"))

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    drain(tmp_path)

    assert len(set(ids(tmp_path))) == 20
