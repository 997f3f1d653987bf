import itertools
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.websocket import CloseCode, ClosingWords, Frame, FrameReader, Opcode, ProtocolError, closing_words, frame
from headworks.websocket.frames import masked

KEY = b"\x37\xfa\x21\x3d"
MOST = 65_536

_payloads = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([124, 125, 126, 127, 65_535, 65_536]).map(lambda size: b"\xa5" * size),
)
_controls = st.tuples(st.sampled_from([Opcode.PING, Opcode.PONG, Opcode.CLOSE]), st.binary(max_size=125))


@st.composite
def conversations(draw):
    """Frames in an order that is allowed: messages, in parts or not, with control frames in between."""
    frames = []
    for _ in range(draw(st.integers(0, 4))):
        frames += [Frame(*one) for one in draw(st.lists(_controls, max_size=2))]
        parts = draw(st.lists(_payloads, min_size=1, max_size=3))
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        for index, part in enumerate(parts):
            frames.append(Frame(opcode if index == 0 else Opcode.CONTINUATION, part, index == len(parts) - 1))
            frames += [Frame(*one) for one in draw(st.lists(_controls, max_size=1))]
    return frames


def cut(data, draw):
    """The bytes in pieces, some of them of one byte."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    bounds = [0, *places, len(data)]
    return [data[a:b] for a, b in itertools.pairwise(bounds)]


def reading(pieces, *, is_server=True, most_bytes=MOST):
    """What comes of the pieces: the frames, and the error that ends them."""
    reader, frames = FrameReader(is_server=is_server, most_bytes=most_bytes), []
    try:
        for piece in pieces:
            frames += reader.feed(piece)
    except ProtocolError as error:
        return frames, error.code
    return frames, None


@given(conversations(), st.booleans(), st.data())
def test_frames_are_the_same_whatever_pieces_their_bytes_come_in(frames, is_server, data):
    key = KEY if is_server else None
    wire = b"".join(frame(one.opcode, one.payload, key=key, is_final=one.is_final) for one in frames)
    assert reading(cut(wire, data.draw), is_server=is_server) == (frames, None)


@given(st.binary(max_size=60), st.booleans(), st.data())
def test_any_bytes_come_to_the_same_frames_and_the_same_error_in_any_pieces(wire, is_server, data):
    whole = reading([wire], is_server=is_server, most_bytes=40)
    assert reading(cut(wire, data.draw), is_server=is_server, most_bytes=40) == whole
    assert reading([bytes((byte,)) for byte in wire], is_server=is_server, most_bytes=40) == whole


@given(st.binary(max_size=500), st.binary(min_size=4, max_size=4))
def test_masking_is_the_exclusive_or_of_each_byte_and_undoes_itself(payload, key):
    assert masked(payload, key) == bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert masked(masked(payload, key), key) == payload


def test_masking_of_what_is_large_is_the_same():
    payload = os.urandom(16 * 1024 + 3)
    assert masked(payload, KEY) == bytes(byte ^ KEY[at % 4] for at, byte in enumerate(payload))


def test_the_examples_of_the_rfc_read_as_it_says():
    """RFC 6455 §5.7."""
    assert frame(Opcode.TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frame(Opcode.TEXT, b"Hello", key=KEY) == bytes.fromhex("818537fa213d7f9f4d5158")
    parts = bytes.fromhex("010348656c") + bytes.fromhex("80026c6f")
    assert reading([parts], is_server=False)[0] == [
        Frame(Opcode.TEXT, b"Hel", is_final=False),
        Frame(Opcode.CONTINUATION, b"lo"),
    ]
    assert frame(Opcode.BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert frame(Opcode.BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@pytest.mark.parametrize(
    ("wire", "code"),
    [
        ("c100", CloseCode.PROTOCOL_ERROR),  # a reserved bit: compression
        ("8300", CloseCode.PROTOCOL_ERROR),  # an opcode that does not exist
        ("8b00", CloseCode.PROTOCOL_ERROR),
        ("818037fa213d", CloseCode.PROTOCOL_ERROR),  # masked by a server
        ("0900", CloseCode.PROTOCOL_ERROR),  # a ping in parts
        ("897e0080", CloseCode.PROTOCOL_ERROR),  # a ping that is too long
        ("8000", CloseCode.PROTOCOL_ERROR),  # goes on without a beginning
        ("01008100", CloseCode.PROTOCOL_ERROR),  # begins inside another
        ("817e007d", CloseCode.PROTOCOL_ERROR),  # lengths that are not written in the shortest way
        ("817f000000000000ffff", CloseCode.PROTOCOL_ERROR),
        ("817fffffffffffffffff", CloseCode.TOO_BIG),
    ],
)
def test_what_the_protocol_forbids_ends_the_reading(wire, code):
    assert reading([bytes.fromhex(wire)], is_server=False)[1] is code


def test_a_frame_that_is_not_masked_is_refused_by_a_server():
    assert reading([bytes.fromhex("8100")], is_server=True)[1] is CloseCode.PROTOCOL_ERROR


def test_a_frame_over_the_bound_is_refused_before_its_bytes_have_come():
    head = frame(Opcode.TEXT, bytes(1000), key=KEY)[:4]
    assert reading([head], most_bytes=999)[1] is CloseCode.TOO_BIG


def test_frames_before_an_error_are_given_out():
    wire = frame(Opcode.TEXT, b"good", key=KEY) + b"\xff\xff"
    assert reading([wire]) == ([Frame(Opcode.TEXT, b"good")], CloseCode.PROTOCOL_ERROR)


def test_a_large_frame_in_many_pieces_is_not_copied_again_with_each():
    payload = os.urandom(1024 * 1024)
    wire = frame(Opcode.BINARY, payload)
    pieces = [wire[at : at + 256] for at in range(0, len(wire), 256)]
    assert reading(pieces, is_server=False, most_bytes=len(payload)) == ([Frame(Opcode.BINARY, payload)], None)


@given(st.one_of(st.none(), st.integers(1000, 1003), st.integers(3000, 4999)), st.text(max_size=200))
def test_what_closes_is_read_as_it_was_written_up_to_its_bound(code, reason):
    words = ClosingWords.read(closing_words(code, reason))
    assert words.code == code
    assert reason.startswith(words.reason)
    assert len(closing_words(code, reason)) <= 125


@pytest.mark.parametrize("payload", [b"\x03", b"\x03\xed", b"\x03\xee", b"\x00\x01", b"\x13\x88", b"\x03\xf7"])
def test_a_close_frame_has_a_code_that_may_be_sent(payload):
    with pytest.raises(ProtocolError):
        ClosingWords.read(payload)


def test_the_reason_of_a_close_frame_is_text():
    with pytest.raises(ProtocolError) as caught:
        ClosingWords.read(b"\x03\xe8\xff")
    assert caught.value.code is CloseCode.INVALID_DATA
