"""Headers that stay bytes until somebody asks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.headers import Lines, RawHeaders

HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-RateLimit-Limit: 10\r\nx-ratelimit-Remaining:  9 \r\n"
    b"Set-Cookie: a\r\nset-cookie: B\r\nx-ratelimit-reset: 6ms\r\nx-content-type: no\r\n"
)


def test_names_are_found_whatever_their_case_and_values_keep_theirs():
    headers = RawHeaders(HEAD)

    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-ratelimit-remaining"] == b"9"
    assert headers[b"set-cookie"] == b"a, B"
    assert b"type" not in headers
    assert headers.get(b"x-request-id") is None
    with pytest.raises(KeyError):
        headers[b"x-request-id"]


def test_a_block_has_all_lines_that_begin_so_in_their_order_as_they_came():
    headers = RawHeaders(HEAD)

    assert headers.block(Lines(b"x-ratelimit-")) == (
        b"X-RateLimit-Limit: 10\r\nx-ratelimit-Remaining:  9 \r\nx-ratelimit-reset: 6ms\r\n"
    )
    assert headers.block(Lines(b"content-type:")) == b"Content-Type: application/json\r\n"
    assert headers.block(Lines(b"retry-after")) == b""


_NAMES = st.sampled_from([b"content-type", b"Content-Type", b"x-ratelimit-a", b"X-Ratelimit-B", b"retry-after", b"a"])
_VALUES = st.binary(max_size=12).map(lambda value: bytes(byte for byte in value if 0x20 < byte < 0x7F))


@given(st.lists(st.tuples(_NAMES, _VALUES), max_size=12))
def test_as_a_mapping_it_is_what_a_dictionary_of_its_lines_would_be(lines):
    headers = RawHeaders(b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % line for line in lines))
    expected = {}
    for name, value in lines:
        expected.setdefault(name.lower(), []).append(value)

    assert dict(headers) == {name: b", ".join(values) for name, values in expected.items()}
    assert len(headers) == len(expected)
    assert headers.block(Lines(b"x-ratelimit-")) == b"".join(
        b"%b: %b\r\n" % line for line in lines if line[0].lower().startswith(b"x-ratelimit-")
    )


def test_headers_of_another_kind_can_be_read_in_the_same_way():
    headers = RawHeaders.of({b"retry-after": b"3", b"retry-after-ms": b"2500"})

    assert headers.block(Lines(b"retry-after")) == b"retry-after: 3\r\nretry-after-ms: 2500\r\n"
    assert RawHeaders.of(headers) is headers
