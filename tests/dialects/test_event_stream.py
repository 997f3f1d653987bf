"""AWS's event streams: the messages are those that AWS's own SDK reads, however they come."""

import contextlib
import itertools
import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from headworks.calls import UnreadableAnswer
from headworks.dialects.event_stream import FrameSplitter
from headworks.simulator.event_frames import exception, frame

NAMES = st.text(min_size=1, max_size=20)
FRAMES = st.lists(
    st.tuples(st.dictionaries(NAMES, st.text(max_size=30), max_size=3), st.binary(max_size=60)), min_size=1, max_size=5
)


def fed(data, cuts):
    splitter = FrameSplitter()
    places = [0, *sorted(cuts), len(data)]
    pieces = [data[begin:end] for begin, end in itertools.pairwise(places)]
    return [one for piece in pieces for one in splitter.feed(piece)]


@given(FRAMES, st.data())
def test_any_pieces_give_the_messages_that_the_sdk_reads(frames, data):
    stream = b"".join(frame(headers, payload) for headers, payload in frames)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    found = fed(stream, cuts)
    assert [(one.headers, one.payload) for one in found] == frames

    sdk = EventStreamBuffer()
    sdk.add_data(stream)
    assert [(dict(one.headers), one.payload) for one in sdk] == frames


@given(st.data())
def test_a_changed_byte_is_never_read(data):
    whole = bytearray(exception("throttlingException", b'{"message":"x"}'))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(UnreadableAnswer):
        assert FrameSplitter().feed(bytes(whole)) == []  # a length may have grown: then it waits


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for(garbage):
    with contextlib.suppress(UnreadableAnswer):
        assert FrameSplitter().feed(garbage) == []


def built(headers, payload=b""):
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


def test_headers_that_are_no_text_are_passed_over():
    def named(name, kind, value):
        return bytes([len(name)]) + name + bytes([kind]) + value

    values = {
        0: b"",
        1: b"",
        2: b"\1",
        3: b"\0\1",
        4: b"\0" * 4,
        5: b"\0" * 8,
        6: b"\0\2ab",
        8: b"\0" * 8,
        9: b"\0" * 16,
    }
    block = b"".join(named(b"h%d" % kind, kind, value) for kind, value in values.items())
    (found,) = FrameSplitter().feed(built(block + named(b":event-type", 7, b"\0\3abc")))
    assert found.headers == {":event-type": "abc"}


@pytest.mark.parametrize(
    "block", [b"\x09abc", b"\x01a\x63", b"\x01a\x07\xff\xffabc", b"\x01a\x07\0\1\xff", b"\x01\xff\0"]
)
def test_headers_that_cannot_be_read_are_said_to_be(block):
    with pytest.raises(UnreadableAnswer, match="headers"):
        FrameSplitter().feed(built(block))


@pytest.mark.parametrize(("total", "headers"), [(15, 0), (20, 8), (2**31, 0)])
def test_lengths_that_cannot_be_are_said_to_be(total, headers):
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(UnreadableAnswer, match="length"):
        FrameSplitter().feed(prelude + struct.pack(">I", zlib.crc32(prelude)))
