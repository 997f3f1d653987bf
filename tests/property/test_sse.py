"""Server-sent events are the same events however their bytes arrive."""

from hypothesis import example, given
from hypothesis import strategies as st

from headworks.dialects import EventSplitter, encode_event, parse_event

_DATA = st.binary(max_size=30).map(lambda data: data.replace(b"\r", b"").replace(b"\0", b""))
_NAMES = st.one_of(st.none(), st.text("abc._", min_size=1, max_size=8))
_EVENTS = st.lists(st.tuples(_NAMES, _DATA.filter(lambda data: data.strip(b"\n") == data)), max_size=6)
_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def cut(data, places):
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(events=_EVENTS, end=_ENDS, places=st.lists(st.integers(0, 500), max_size=10), has_mark=st.booleans())
def test_events_are_read_as_they_were_written_however_they_are_cut(events, end, places, has_mark):
    data = b"".join(b": a comment\n" + encode_event(name, value) for name, value in events).replace(b"\n", end)
    if has_mark:
        data = b"\xef\xbb\xbf" + data
    splitter = EventSplitter()

    blocks = [block for piece in cut(data, places) for block in splitter.feed(piece)]

    assert [tuple(parse_event(block)) for block in blocks] == events
    assert not splitter.held.strip(b"\r\n")


@example(data=b"\n\ndata: x\n\n", places=[2])
@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 500), max_size=10))
def test_any_bytes_give_the_same_blocks_however_they_are_cut(data, places):
    splitter, whole = EventSplitter(), EventSplitter()

    blocks = [block for piece in cut(data, places) for block in splitter.feed(piece)]

    assert blocks == whole.feed(data)
    for block in blocks:
        parse_event(block)
