"""Every change to a small archive is found: each byte, each line, each swap, each end; with and without the ledger."""

from pathlib import Path

import pytest

from headworks.audit.archive import segment_files
from headworks.audit.entries import Body, NewEntry
from headworks.audit.keys import MasterKeys
from headworks.audit.scanning import scan
from headworks.audit.sealing import ARCHIVE_FOLDER, AuditLog, least_next
from headworks.audit.verifying import verify

MASTERS = MasterKeys(b"0123456789abcdef0123456789abcdef")
NOW = 1_795_435_200_000_000


def entry(number: int, *, user: str = "", workload: str = "") -> NewEntry:
    body = Body(who="key_1", user=user, workload=workload, target="fast")
    return NewEntry(NOW + number, f"call_{number}", "call", "answered", body)


def write(folder: Path, batches: list[int], *, segment_bytes: int = 1 << 20) -> tuple[list[bytes], int]:
    """Batches of so many entries each; returns the checkpoints' lines, and what the ledger knows."""
    log = AuditLog(folder, MASTERS, report=pytest.fail, segment_bytes=segment_bytes)
    lines, number = [], 0
    for count in batches:
        with log.ledger.taking():
            log.put([entry(number + each, user=f"user {each % 2}") for each in range(count)])
        number += count
        lines.append(log.settle(NOW))
    known = least_next(log.ledger)
    log.close()
    return lines, known


@pytest.fixture
def archive(tmp_path) -> Path:
    return tmp_path / ARCHIVE_FOLDER


def is_good(archive: Path, anchors: list[bytes] = (), known: int | None = None) -> bool:
    return verify(archive, MASTERS.signers, anchored=[("anchors", anchors)], least_next=known).is_good


def test_an_archive_that_nobody_touched_is_good(tmp_path, archive):
    lines, known = write(tmp_path, [2, 3, 1, 4], segment_bytes=1500)

    verdict = verify(archive, MASTERS.signers, anchored=[("anchors", lines)], least_next=known)

    assert verdict.findings == ()
    assert (verdict.entries, verdict.checkpoints, verdict.anchors) == (10, 4, 4)
    assert verdict.segments > 1


def test_every_change_of_a_single_byte_is_found_in_its_line(tmp_path, archive):
    write(tmp_path, [2, 1])
    (path,) = segment_files(archive).values()
    data = path.read_bytes()
    for place in range(len(data)):
        for flip in (0x01, 0x20, 0x80)[place % 3 : place % 3 + 1]:
            path.write_bytes(data[:place] + bytes((data[place] ^ flip,)) + data[place + 1 :])
            findings = verify(archive, MASTERS.signers).findings
            assert findings, f"byte {place} changed by {flip}"
            line = data[:place].count(b"\n") + 1
            # A line's change is found in the line; a head's may show in the checkpoint over it.
            assert any(finding.line >= line for finding in findings), (place, findings)
            if line > 1:
                assert findings[0].line == line
    path.write_bytes(data)
    assert is_good(archive)


def test_every_byte_that_is_taken_out_or_put_in_is_found(tmp_path, archive):
    write(tmp_path, [2, 1])
    (path,) = segment_files(archive).values()
    data = path.read_bytes()
    for place in range(len(data)):
        assert scan(data[:place] + data[place + 1 :], MASTERS.signers).fault, f"byte {place} taken out"
        byte = (b" ", b"\n", b"0")[place % 3]
        assert scan(data[:place] + byte + data[place:], MASTERS.signers).fault, f"{byte} put in before {place}"


def test_every_line_that_is_removed_doubled_or_swapped_is_found(tmp_path, archive):
    lines_of, known = write(tmp_path, [2, 3, 1, 2], segment_bytes=1 << 20)
    (path,) = segment_files(archive).values()
    lines = path.read_bytes().splitlines(keepends=True)
    for one in range(len(lines)):
        path.write_bytes(b"".join(lines[:one] + lines[one + 1 :]))
        assert not is_good(archive), f"line {one} removed"
        path.write_bytes(b"".join([*lines[:one], lines[one], *lines[one:]]))
        assert not is_good(archive), f"line {one} doubled"
        for other in range(one):
            swapped = list(lines)
            swapped[one], swapped[other] = swapped[other], swapped[one]
            path.write_bytes(b"".join(swapped))
            assert not is_good(archive), f"lines {one} and {other} swapped"
    path.write_bytes(b"".join(lines))
    assert is_good(archive, lines_of, known)


def test_every_truncation_is_found_from_an_anchor_and_from_the_ledger(tmp_path, archive):
    lines, known = write(tmp_path, [1, 2, 1])
    (path,) = segment_files(archive).values()
    data = path.read_bytes()
    silent = 0
    for end in range(len(data)):
        if scan(data[:end], MASTERS.signers).fault and not data[:end].endswith(b"\n"):
            continue  # the file tells by itself, whatever else is known
        path.write_bytes(data[:end])
        assert not is_good(archive, lines[-1:])
        assert not is_good(archive, (), known)
        silent += is_good(archive)
    assert silent == 2  # at a checkpoint the files alone cannot tell: that is what the anchors are for


@pytest.mark.parametrize("gone", [1, 2, 3])
def test_a_segment_that_is_missing_is_found(tmp_path, archive, gone):
    lines, known = write(tmp_path, [2, 2, 2], segment_bytes=100)
    files = segment_files(archive)
    assert len(files) == 3
    files[gone].unlink()

    assert not is_good(archive, lines)
    assert not is_good(archive, (), known)
    assert is_good(archive) == (gone == 3)  # the last one is missed by those only who know of it


def test_segments_that_change_places_are_found(tmp_path, archive):
    write(tmp_path, [2, 2], segment_bytes=100)
    first, second = segment_files(archive).values()
    first_data, second_data = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_data)
    second.write_bytes(first_data)
    assert not is_good(archive)


def test_a_log_that_is_written_anew_by_someone_with_another_key_is_found(tmp_path, archive):
    other = MasterKeys(b"another secret, of somebody else's")
    log = AuditLog(tmp_path, other, report=pytest.fail)
    with log.ledger.taking():
        log.put([entry(1)])
    log.settle(NOW)
    log.close()

    assert "none of the known signers" in str(verify(archive, MASTERS.signers).findings[0])
    assert verify(archive, other.signers).is_good


def test_a_whole_log_that_is_written_anew_with_the_right_key_is_found_from_an_anchor(tmp_path):
    lines, _ = write(tmp_path / "a", [2, 2])
    write(tmp_path / "b", [1, 1])

    verdict = verify(tmp_path / "b" / ARCHIVE_FOLDER, MASTERS.signers, anchored=[("anchors", lines)])

    assert [finding.file for finding in verdict.findings] == ["anchors", "anchors"]


def test_what_is_no_checkpoint_among_anchors_is_told(tmp_path, archive):
    lines, _ = write(tmp_path, [1])
    assert not is_good(archive, [lines[0].replace(b'"size":2', b'"size":3')])
    assert not is_good(archive, [b"noise"])
