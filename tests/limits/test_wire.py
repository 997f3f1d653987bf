import contextlib
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.limits import Ask, Lease, Quota
from headworks.limits.wire import (
    HEAD_BYTES,
    MOST_BYTES,
    VERSION,
    Declined,
    FrameError,
    Granted,
    Renewal,
    body_bytes,
    frame_declined,
    frame_granted,
    frame_renewal,
    read_answer,
    read_renewal,
)

counts = st.integers(0, 2**53)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
quotas = st.builds(Quota, names, counts, st.floats(0.001, 1e9))
asks = st.builds(Ask, quotas, st.integers(-(2**53), 2**53), counts, st.none() | counts)
leases = st.builds(Lease, counts, st.floats(0, 1e6), st.floats(0, 1e6))
renewals = st.builds(Renewal, counts, st.floats(0, 1e9), names, st.lists(asks, max_size=5).map(tuple))


def body(frame):
    assert body_bytes(frame[:HEAD_BYTES]) == len(frame) - HEAD_BYTES
    return frame[HEAD_BYTES:]


def altered(**changes):
    """A renewal's body of one ask with fields replaced that no `Ask` of ours would hold."""
    fields = {"name": "q", "amount": 5, "window_s": 60.0, "spent": 0, "wanted": 1, "remaining": None} | changes
    return msgspec.msgpack.encode(["renew", 1, 2.0, "w", [list(fields.values())]])


@given(renewals)
def test_a_renewal_comes_out_as_it_went_in(renewal):
    assert read_renewal(body(frame_renewal(renewal))) == renewal


@given(counts, st.lists(leases, max_size=5))
def test_a_grant_comes_out_as_it_went_in(number, given_leases):
    assert read_answer(body(frame_granted(number, given_leases))) == Granted(number, tuple(given_leases))


@given(counts, st.text(st.characters(exclude_categories=["Cs"])))
def test_a_refusal_comes_out_with_its_reason(number, reason):
    assert read_answer(body(frame_declined(number, reason))) == Declined(number, reason[:2000])


@given(st.binary(min_size=HEAD_BYTES, max_size=HEAD_BYTES))
def test_bytes_of_somebody_else_are_no_head(data):
    if not data.startswith(b"HWL\x01"):
        with pytest.raises(FrameError):
            body_bytes(data)


@given(st.binary(max_size=80))
def test_bytes_of_somebody_else_are_no_body(data):
    for read in (read_renewal, read_answer):
        with pytest.raises(FrameError):
            read(data)


@given(renewals, st.data())
def test_a_frame_with_a_changed_byte_is_read_or_refused_and_nothing_else(renewal, data):
    changed = bytearray(body(frame_renewal(renewal)))
    changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(FrameError):
        assert isinstance(read_renewal(bytes(changed)), Renewal)


def test_another_version_is_named():
    with pytest.raises(FrameError, match=f"version 9, and this release of Headworks speaks version {VERSION}"):
        body_bytes(struct.pack(">3sBI", b"HWL", 9, 1))


def test_a_frame_over_the_bound_is_refused_before_it_is_read():
    with pytest.raises(FrameError, match="over the bound"):
        body_bytes(struct.pack(">3sBI", b"HWL", VERSION, MOST_BYTES + 1))


def test_too_many_asks_for_a_frame_are_refused_by_who_asks():
    ask = Ask(Quota("q" * 500, 1, 1.0), 0, 1)
    with pytest.raises(FrameError, match="too much at once"):
        frame_renewal(Renewal(1, 0.0, "w", (ask,) * 3000))


def test_an_ask_as_we_make_it_is_read():
    assert read_renewal(altered()).asks == (Ask(Quota("q", 5, 60.0), 0, 1),)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "q" * 513},
        {"amount": -1},
        {"amount": 2**60},
        {"window_s": 0.0},
        {"window_s": -1.0},
        {"window_s": float("nan")},
        {"window_s": float("inf")},
        {"spent": 2**60},
        {"spent": "1"},
        {"wanted": -1},
        {"remaining": -1},
        {"surplus": 1},
    ],
    ids=lambda changes: "-".join(f"{name}={str(value)[:8]}" for name, value in changes.items()),
)
def test_figures_that_cannot_be_are_refused(changes):
    with pytest.raises(FrameError):
        read_renewal(altered(**changes))


def test_a_message_holds_none_of_the_bytes():
    with pytest.raises(FrameError) as raised:
        read_renewal(b"sk-secret-key")
    assert "secret" not in str(raised.value)
