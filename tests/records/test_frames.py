import zlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.calls import Opened, OutcomeReport, Settled
from headworks.records.frames import HEAD_BYTES, Gap, frame, scan, wanted_bytes

ENDPOINTS = st.sampled_from(["responses", "chat.completions", "embeddings"])
OPENED = st.builds(
    Opened,
    call_id=st.text(min_size=1, max_size=20),
    opened_us=st.integers(0, 2**62),
    endpoint=ENDPOINTS,
    requested_model=st.text(max_size=20),
    request_bytes=st.integers(0, 2**40),
)
SETTLED = st.builds(
    Settled,
    opened=OPENED,
    outcome=st.sampled_from(["answered", "failed", "cancelled"]),
    status=st.integers(0, 599),
    total_us=st.integers(0, 2**40),
    response_body=st.binary(max_size=100),
)
ENTRIES = st.lists(st.one_of(OPENED, SETTLED), max_size=12)
LIMIT = 10_000


def whole(data: bytes):
    return scan(data, start=0, whole=True, limit=LIMIT)


def ends(entries) -> list[int]:
    """The offset after each entry's frame."""
    position, found = 0, []
    for entry in entries:
        position += len(frame(entry))
        found.append(position)
    return found


@given(ENTRIES)
def test_what_was_framed_is_scanned_again(entries):
    data = b"".join(map(frame, entries))

    stretch = whole(data)

    assert (stretch.entries, stretch.end, stretch.gaps) == (entries, len(data), ())


@given(ENTRIES, st.data())
def test_whatever_is_cut_off_the_entries_before_the_cut_are_there(entries, data):
    framed = b"".join(map(frame, entries))
    cut = data.draw(st.integers(0, len(framed)))
    complete = [end for end in ends(entries) if end <= cut]

    stretch = whole(framed[:cut])

    assert stretch.entries == entries[: len(complete)]
    rest = framed[complete[-1] if complete else 0 : cut]
    assert [gap.kind for gap in stretch.gaps] == (["torn"] if rest.strip(b"\0") else [])
    assert stretch.end == cut


@given(ENTRIES, st.data())
def test_a_segment_that_still_grows_is_read_up_to_what_is_complete(entries, data):
    framed = b"".join(map(frame, entries))
    cut = data.draw(st.integers(0, len(framed)))
    complete = [end for end in ends(entries) if end <= cut]

    stretch = scan(framed[:cut], start=0, whole=False, limit=LIMIT)
    rest = scan(framed[stretch.end :], start=stretch.end, whole=False, limit=LIMIT)

    assert stretch.end == (complete[-1] if complete else 0)
    assert stretch.entries + rest.entries == entries
    assert stretch.gaps == rest.gaps == ()


@settings(deadline=None)
@given(st.lists(st.one_of(OPENED, SETTLED), min_size=1, max_size=8), st.data())
def test_damage_anywhere_costs_only_the_entry_that_it_hits_and_is_never_silent(entries, data):
    framed = bytearray(b"".join(map(frame, entries)))
    place = data.draw(st.integers(0, len(framed) - 1))
    framed[place] ^= data.draw(st.integers(1, 255))
    hit = sum(end <= place for end in ends(entries))

    stretch = whole(bytes(framed))

    assert stretch.entries == entries[:hit] + entries[hit + 1 :]
    start, end = ([0, *ends(entries)])[hit : hit + 2]
    assert [(gap.start, gap.end) for gap in stretch.gaps] == [(start, end)]
    assert hit == len(entries) - 1 or stretch.gaps[0].kind == "damaged"


@given(st.binary(max_size=400))
def test_no_bytes_at_all_make_the_scan_fail_or_stop_short(data):
    stretch = whole(data)

    assert stretch.end == len(data)
    told = sum(gap.end - gap.start for gap in stretch.gaps) + sum(len(frame(e)) for e in stretch.entries)
    assert not data[told:].strip(b"\0")


def test_what_is_filled_ahead_and_was_never_needed_is_nothing(calls):
    good = frame(calls.opened())

    stretch = whole(good + bytes(4096))

    assert (stretch.end, stretch.gaps) == (len(good) + 4096, ())


def test_an_entry_without_its_head_is_an_interrupted_write(calls):
    good, cut = frame(calls.opened()), frame(calls.opened(1))
    copied = bytes(HEAD_BYTES) + cut[HEAD_BYTES:-3] + bytes(100)

    stretch = whole(good + copied)

    assert stretch.entries == [calls.opened()]
    assert stretch.gaps == (Gap(len(good), len(good) + len(copied), "torn"),)


def test_zeros_between_entries_are_damage(calls):
    good = frame(calls.opened())

    stretch = whole(good + bytes(500) + good)

    assert stretch.entries == [calls.opened()] * 2
    assert stretch.gaps == (Gap(len(good), len(good) + 500, "damaged"),)


def test_a_valid_frame_that_holds_no_entry_of_ours_is_damage_and_is_passed_over(calls):
    payload = msgspec.msgpack.encode({"not": "an entry"})
    foreign = len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload

    stretch = whole(foreign + frame(calls.opened()))

    assert stretch.entries == [calls.opened()]
    assert stretch.gaps == (Gap(0, len(foreign), "damaged"),)


def test_an_entry_of_a_later_release_with_more_fields_is_still_read(calls):
    values = list(msgspec.msgpack.decode(msgspec.msgpack.encode(calls.opened())))
    payload = msgspec.msgpack.encode([*values, "a field of the future"])
    later = len(payload).to_bytes(4, "little") + zlib.crc32(payload).to_bytes(4, "little") + payload

    assert whole(later).entries == [calls.opened()]


def test_a_frame_inside_a_body_is_not_taken_for_an_entry(calls):
    inner = frame(calls.opened(7))
    outer = calls.settled(1, request_body=inner)

    assert whole(frame(outer)).entries == [outer]


def test_a_body_full_of_false_beginnings_does_not_make_the_search_endless(calls):
    false_beginnings = (b"\xff\xff\xff\x0f" + b"\0" * 4 + b"\x9d\xa1o") * 50_000
    data = bytearray(frame(calls.settled(1, request_body=false_beginnings)))
    data[5] ^= 1

    stretch = whole(bytes(data) + frame(calls.opened(2)))

    assert [gap.kind for gap in stretch.gaps] == ["damaged"]


def test_the_scan_ends_at_its_limit(calls):
    entries = [calls.opened(n) for n in range(5)]

    stretch = scan(b"".join(map(frame, entries)), start=100, whole=True, limit=3)

    assert (stretch.entries, stretch.end) == (entries[:3], 100 + ends(entries)[2])


@pytest.mark.parametrize(
    ("data", "wanted"),
    [(b"", 0), (b"\x01\0\0\0\0\0\0", 0), (bytes(8), 0), (b"\xff" * 8, 0), (b"\x05\0\0\0\0\0\0\0", HEAD_BYTES + 5)],
)
def test_the_length_of_a_frame_is_believed_only_within_bounds(data, wanted):
    assert wanted_bytes(data) == wanted


def test_a_report_behind_damage_is_found_again():
    report = OutcomeReport("outcome_1", 1, "accepted", "boolean", "true", call_id="call_1")
    damaged = bytearray(frame(report))
    damaged[12] ^= 1

    stretch = whole(bytes(damaged) + frame(report))

    assert stretch.entries == [report]
    assert [gap.kind for gap in stretch.gaps] == ["damaged"]


@given(before=st.lists(OPENED, max_size=3), batch=st.lists(OPENED, min_size=1, max_size=4), copied=st.floats(0.0, 1.0))
def test_a_writer_that_was_killed_while_it_wrote_several_leaves_something_torn_and_nothing_damaged(
    before, batch, copied
):
    """Their bytes are copied first, and the head of the first comes last; what is not there yet is zeros."""
    good = b"".join(map(frame, before))
    written = b"".join(map(frame, batch))[HEAD_BYTES:]
    kept = written[: round(copied * len(written))]
    stretch = whole(good + bytes(HEAD_BYTES) + kept + bytes(len(written) - len(kept) + 100))

    assert stretch.entries[: len(before)] == before
    assert {gap.kind for gap in stretch.gaps} <= {"torn"}
    assert all(entry in batch for entry in stretch.entries[len(before) :])


def test_zeros_where_entries_were_are_damage_all_the_same():
    """A page that a crashed machine has not kept."""
    entries = [Opened(f"call_{number}", number, "responses", "m") for number in range(3)]
    first, second, third = map(frame, entries)
    stretch = whole(first + bytes(len(second)) + third)

    assert stretch.entries == [entries[0], entries[2]]
    assert [gap.kind for gap in stretch.gaps] == ["damaged"]
