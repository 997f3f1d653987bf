import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.websocket import CloseCode, Frame, MessageReader, Opcode, ProtocolError, TextCheck


def in_parts(data, places):
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    parts = [data[a:b] for a, b in itertools.pairwise(bounds)]
    return [
        Frame(Opcode.TEXT if index == 0 else Opcode.CONTINUATION, part, index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]


@given(st.lists(st.tuples(st.text(max_size=60), st.lists(st.integers(0, 300), max_size=4)), max_size=4))
def test_messages_are_the_same_in_one_frame_or_in_many(messages):
    reader, found = MessageReader(most_bytes=1000), []
    for text, places in messages:
        found += [one for one in map(reader.add, in_parts(text.encode(), places)) if one is not None]
    assert found == [text.encode() for text, _ in messages]


@given(st.binary(max_size=40), st.lists(st.integers(0, 100), max_size=3))
def test_text_is_judged_the_same_in_one_frame_or_in_many(data, places):
    def judged(frames):
        check = TextCheck()
        try:
            for one in frames:
                check.look(one)
        except ProtocolError as error:
            return error.code
        return None

    try:
        data.decode()
        expected = None
    except UnicodeDecodeError:
        expected = CloseCode.INVALID_DATA
    assert judged(in_parts(data, [])) is judged(in_parts(data, places)) is expected


def test_a_character_may_lie_across_two_frames():
    first, second = Frame(Opcode.TEXT, b"\xe2\x82", is_final=False), Frame(Opcode.CONTINUATION, b"\xac")
    reader = MessageReader(most_bytes=10)
    assert reader.add(first) is None
    assert reader.add(second) == "€".encode()


def test_bytes_in_parts_need_not_be_text_for_whoever_only_passes_them_on():
    check = TextCheck()
    check.look(Frame(Opcode.BINARY, b"\xff", is_final=False))
    check.look(Frame(Opcode.CONTINUATION, b"\xff"))


def test_a_message_of_bytes_is_refused():
    with pytest.raises(ProtocolError) as caught:
        MessageReader(most_bytes=10).add(Frame(Opcode.BINARY, b""))
    assert caught.value.code is CloseCode.UNSUPPORTED_DATA


def test_a_message_is_bounded_over_all_its_frames():
    reader = MessageReader(most_bytes=10)
    reader.add(Frame(Opcode.TEXT, b"12345", is_final=False))
    with pytest.raises(ProtocolError) as caught:
        reader.add(Frame(Opcode.CONTINUATION, b"678901", is_final=False))
    assert caught.value.code is CloseCode.TOO_BIG
