"""From entries to the archive and back: each is sealed once, whatever is killed when, and read until it is erased."""

import os
import shutil

import msgspec
import pytest

from headworks.audit.archive import segment_files
from headworks.audit.entries import Body, NewEntry
from headworks.audit.keys import MasterKeys, Signer
from headworks.audit.proving import proof_fault
from headworks.audit.reading import AuditReader, Search
from headworks.audit.sealing import ARCHIVE_FOLDER, LEDGER_FILE, AuditLog, open_ledger
from headworks.audit.verifying import verify
from headworks.errors import CommandError, StorageError

SECRET = b"0123456789abcdef0123456789abcdef"
MASTERS = MasterKeys(SECRET)
NOW = 1_795_435_200_000_000
DAY_US = 86_400_000_000


def entry(number: int, *, user: str = "", workload: str = "", at_us: int = NOW, **body) -> NewEntry:
    return NewEntry(
        at_us, f"call_{number}", "call", "answered", Body(who="key_1", user=user, workload=workload, **body)
    )


def put(folder, *entries: NewEntry, masters: MasterKeys = MASTERS, report=pytest.fail, **options) -> None:
    log = AuditLog(folder, masters, report=report, **options)
    try:
        with log.ledger.taking():
            log.put(entries)
        log.settle(NOW)
    finally:
        log.close()


def read(folder, search: Search | None = None, masters: MasterKeys = MASTERS):
    ledger = open_ledger(folder, masters)
    try:
        return list(AuditReader(folder / ARCHIVE_FOLDER, ledger).search(search or Search()))
    finally:
        ledger.close()


def is_good(folder, masters: MasterKeys = MASTERS) -> bool:
    return verify(folder / ARCHIVE_FOLDER, masters.signers).is_good


def test_what_is_sealed_is_read_as_it_was(tmp_path):
    put(tmp_path, entry(1, user="ann", target="fast"), entry(2, workload="triage"))
    put(tmp_path, entry(3))

    found = read(tmp_path)

    assert [one.number for one in found] == [0, 1, 2]
    assert found[0].body == Body(who="key_1", user="ann", target="fast")
    assert found[1].body.workload == "triage"


def test_nothing_of_a_body_stands_in_the_files_in_the_clear(tmp_path):
    put(tmp_path, entry(1, user="ann.secret@example.com", target="hidden-target", detail={"code": "hidden-detail"}))

    for path in tmp_path.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"ann.secret" not in data
            assert b"hidden" not in data


def test_entries_are_searched_by_what_is_sealed_and_by_what_is_not(tmp_path):
    put(tmp_path, entry(1, user="ann"), entry(2, user="bob", workload="triage", at_us=NOW + 5), entry(3, target="Fast"))

    def found(**search):
        return [one.entry_id for one in read(tmp_path, Search(**search))]

    assert found(user="ann") == ["call_1"]
    assert found(workload="triage", who="key_1") == ["call_2"]
    assert found(text="fast") == ["call_3"]
    assert found(since_us=NOW + 1) == ["call_2"]
    assert found(until_us=NOW + 1, what="call", outcome="answered") == ["call_1", "call_3"]
    assert found(what="key") == []


@pytest.mark.parametrize("lost_bytes", [1, 60, 10_000])
def test_a_batch_whose_writing_was_interrupted_is_written_again(tmp_path, lost_bytes):
    put(tmp_path, entry(1), entry(2))
    log = AuditLog(tmp_path, MASTERS, report=pytest.fail)
    with log.ledger.taking():
        log.put([entry(3), entry(4)])
    _, lines = log.ledger.waiting()
    log.archive.append(lines, NOW)
    log.close()  # killed before the ledger let go of them
    (path,) = segment_files(tmp_path / ARCHIVE_FOLDER).values()
    before = path.read_bytes().rfind(b'{"n":2,')
    os.truncate(path, max(before, path.stat().st_size - lost_bytes))

    said = []
    put(tmp_path, entry(5), report=said.append)

    assert [one.entry_id for one in read(tmp_path)] == [f"call_{number}" for number in range(1, 6)]
    assert is_good(tmp_path)


def test_a_batch_that_was_written_and_not_let_go_of_is_not_written_twice(tmp_path):
    log = AuditLog(tmp_path, MASTERS, report=pytest.fail)
    with log.ledger.taking():
        log.put([entry(1), entry(2)])
    log.archive.append(log.ledger.waiting()[1], NOW)
    log.close()

    put(tmp_path, entry(3))

    assert [one.number for one in read(tmp_path)] == [0, 1, 2]
    assert is_good(tmp_path)


@pytest.mark.parametrize("first", [True, False])
def test_a_segment_whose_making_was_interrupted_anywhere_is_made_anew(tmp_path, first):
    if not first:
        put(tmp_path, entry(1))
    other = tmp_path / "other"
    log = AuditLog(tmp_path, MASTERS, report=pytest.fail, segment_bytes=1)
    with log.ledger.taking():
        log.put([entry(2)])
    log.archive.append(log.ledger.waiting()[1], NOW)
    log.close()
    *_, path = segment_files(tmp_path / ARCHIVE_FOLDER).values()
    data = path.read_bytes()
    for end in range(0, len(data), 37):
        shutil.rmtree(other, ignore_errors=True)
        shutil.copytree(tmp_path, other)
        os.truncate(other / ARCHIVE_FOLDER / path.name, end)
        put(other, entry(3), segment_bytes=1)
        assert [one.entry_id for one in read(other)] == ([] if first else ["call_1"]) + ["call_2", "call_3"]
        assert is_good(other), end
    shutil.rmtree(other)


def test_segments_of_somebody_elses_are_never_removed_nor_written_to(tmp_path):
    put(tmp_path, entry(1), masters=MasterKeys(b"another secret, of somebody else's"))
    (path,) = segment_files(tmp_path / ARCHIVE_FOLDER).values()
    (tmp_path / LEDGER_FILE).unlink()
    data = path.read_bytes()
    put(tmp_path, entry(2))
    assert path.read_bytes() == data
    assert len(segment_files(tmp_path / ARCHIVE_FOLDER)) == 2
    assert not is_good(tmp_path)


def test_a_batch_that_is_being_written_is_looked_at_again(tmp_path):
    put(tmp_path, entry(1))
    (path,) = segment_files(tmp_path / ARCHIVE_FOLDER).values()
    data = path.read_bytes()
    path.write_bytes(data[:-10])
    archive = tmp_path / ARCHIVE_FOLDER
    assert verify(archive, MASTERS.signers, rest=lambda _: path.write_bytes(data) and None).is_good
    path.write_bytes(data[:-10])
    assert not verify(archive, MASTERS.signers, rest=lambda _: None).is_good


def test_what_somebody_cut_off_is_not_written_over_and_is_told(tmp_path):
    put(tmp_path, entry(1))
    (path,) = segment_files(tmp_path / ARCHIVE_FOLDER).values()
    first = path.read_bytes()
    put(tmp_path, entry(2))
    path.write_bytes(first)

    said = []
    put(tmp_path, entry(3), report=said.append)

    assert "lacks entries from 1 to 1" in said[0]
    assert path.read_bytes() == first
    findings = verify(tmp_path / ARCHIVE_FOLDER, MASTERS.signers).findings
    assert [str(one) for one in findings] == ["00000002.audit:1: it begins with entry 2, and entry 1 should come"]


def test_a_ledger_that_was_lost_is_told_and_the_old_log_stays(tmp_path):
    put(tmp_path, entry(1))
    (tmp_path / LEDGER_FILE).unlink()

    said = []
    put(tmp_path, entry(2), report=said.append)

    assert "belongs to another ledger" in said[0]
    assert not is_good(tmp_path)


def test_erasing_a_person_leaves_entries_that_nobody_can_open_and_a_chain_that_holds(tmp_path):
    put(tmp_path, entry(1, user="ann"), entry(2, user="bob"), entry(3, user="ann", workload="triage"), entry(4))
    ledger = open_ledger(tmp_path, MASTERS)
    keys = [bytes(row[0]) for row in ledger.connection.execute("SELECT wrapped FROM keys WHERE subject <> ''")]
    anns = [
        row[0]
        for row in ledger.connection.execute("SELECT wrapped FROM keys WHERE subject = ?", (ledger.subject_of("ann"),))
    ]

    assert ledger.erase("ann") == 2
    ledger.close()

    found = read(tmp_path)
    assert [one.body is None for one in found] == [True, False, True, False]
    assert is_good(tmp_path)
    assert len(keys) == 3
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert not any(key in path.read_bytes() for key in anns), f"a destroyed key is still in {path.name}"


def test_who_was_erased_and_comes_back_gets_a_key_of_its_own(tmp_path):
    log = AuditLog(tmp_path, MASTERS, report=pytest.fail)
    with log.ledger.taking():
        log.put([entry(1, user="ann")])
    log.settle(NOW)
    other = open_ledger(tmp_path, MASTERS)  # another process
    other.erase("ann")
    other.close()
    with log.ledger.taking():
        log.put([entry(2, user="ann")])
    log.settle(NOW)
    log.close()

    assert [one.body is None for one in read(tmp_path)] == [True, False]


def test_a_legal_hold_keeps_erasure_and_expiry_away(tmp_path):
    put(tmp_path, entry(1, user="ann", workload="triage"), entry(2, user="bob", workload="triage"))
    ledger = open_ledger(tmp_path, MASTERS)
    hold = ledger.hold(user="ann", workload="", reason="a case", by="counsel", now_us=NOW)

    with pytest.raises(CommandError, match=hold.hold_id):
        ledger.erase("ann")
    assert ledger.expire("triage", NOW + 400 * DAY_US) == 1  # bob's
    assert ledger.holds() == [hold]
    ledger.release(hold.hold_id)
    assert ledger.expire("triage", NOW + 400 * DAY_US) == 1
    ledger.close()
    assert [one.body for one in read(tmp_path)] == [None, None]
    assert is_good(tmp_path)


@pytest.mark.parametrize("held", [{"workload": "triage"}, {"workload": ""}, {"workload": "other"}])
def test_a_hold_on_a_workload_or_on_all_keeps_its_people_too(tmp_path, held):
    put(tmp_path, entry(1, user="ann", workload="triage"))
    ledger = open_ledger(tmp_path, MASTERS)
    ledger.hold(user="", reason="a case", by="counsel", now_us=NOW, **held)
    if held["workload"] == "other":
        assert ledger.erase("ann") == 1
    else:
        with pytest.raises(CommandError):
            ledger.erase("ann")
    with pytest.raises(CommandError, match="no legal hold"):
        ledger.release("hold_0")
    ledger.close()


def test_what_is_older_than_its_workload_keeps_it_is_gone_and_the_rest_stays(tmp_path):
    old, new = NOW - 90 * DAY_US, NOW
    put(
        tmp_path,
        entry(1, workload="a", at_us=old),
        entry(2, workload="a", at_us=new),
        entry(3, workload="b", at_us=old),
    )
    ledger = open_ledger(tmp_path, MASTERS)

    assert ledger.expire("a", NOW - 30 * DAY_US) == 1
    assert sorted(ledger.workloads()) == ["a", "b"]
    ledger.close()

    assert [one.body is None for one in read(tmp_path)] == [True, False, False]


def test_another_secret_takes_over_and_the_old_one_can_go(tmp_path):
    put(tmp_path, entry(1, user="ann"))
    fresh = b"another secret that is long enough"
    both = MasterKeys(fresh, [SECRET])
    put(tmp_path, entry(2, user="ann"), masters=both)

    assert [one.body.user for one in read(tmp_path, masters=MasterKeys(fresh))] == ["ann", "ann"]
    assert is_good(tmp_path, both)
    assert not is_good(tmp_path, MasterKeys(fresh))  # whose signatures count is another question


def test_a_ledger_is_of_no_use_without_its_secret(tmp_path):
    put(tmp_path, entry(1))
    with pytest.raises(StorageError, match="previous_keys"):
        open_ledger(tmp_path, MasterKeys(b"not the secret, but as long as one"))


def test_a_proof_convinces_whoever_has_the_public_key_and_nobody_of_anything_else(tmp_path):
    put(tmp_path, *(entry(number) for number in range(7)))
    ledger = open_ledger(tmp_path, MASTERS)
    reader = AuditReader(tmp_path / ARCHIVE_FOLDER, ledger)
    proof = reader.prove("call_4")
    assert reader.prove("#4").line == proof.line
    with pytest.raises(CommandError, match="no audit entry"):
        reader.prove("call_99")
    ledger.close()
    signer = Signer(MASTERS.current.signer.public)

    assert proof_fault(proof, [signer]) == ""
    assert proof_fault(proof, MasterKeys(b"x" * 32).signers) == "its checkpoint was not signed by a known signer"
    for changed in (
        {"line": proof.line.replace("call_4", "call_5")},
        {"line": "{}"},
        {"index": 3},
        {"size": 9},
        {"path": proof.path[1:]},
        {"path": ("zz",)},
        {"checkpoint": proof.checkpoint.replace('"size":8', '"size":9')},
        {"checkpoint": "{}"},
    ):
        assert proof_fault(msgspec.structs.replace(proof, **changed), [signer]), changed
