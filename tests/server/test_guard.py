"""The checks that httptools leaves to its caller, as functions of values."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import Refusal
from headworks.server.guard import check_framing, split_target


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/v1/chat/completions", "/v1/chat/completions", ""),
        (b"/v1/models?limit=2&after=x%20y", "/v1/models", "limit=2&after=x%20y"),
        (b"/v1/models?", "/v1/models", ""),
        (b"/v1/models?a?b", "/v1/models", "a?b"),
        (b"/v1/models/ft%3Agpt:acme", "/v1/models/ft:gpt:acme", ""),
        (b"/v1/models/%C3%A9", "/v1/models/é", ""),
        (b"/a/...", "/a/...", ""),
        (b"/a/.well-known", "/a/.well-known", ""),
    ],
)
def test_an_origin_form_target_is_split_and_decoded_once(target, path, query):
    assert split_target(target) == (path, query)


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"*",
        b"v1/models",
        b"http://gateway/v1/models",
        b"gateway:443",
        b"//evil/v1/models",
        b"/v1//models",
        b"/v1/./models",
        b"/v1/../admin",
        b"/v1/..",
        b"/v1/%2e%2e/admin",
        b"/v1/%2E./admin",
        b"/v1%2fmodels",
        b"/v1%2Fmodels",
        b"/v1%5cmodels",
        b"/v1\\models",
        b"/v1/%00",
        b"/v1/%0d%0aevil:1",
        b"/v1/%7f",
        b"/v1/%252e%252e",
        b"/v1/%",
        b"/v1/%zz",
        b"/v1/models#part",
        b"/v1/mod els",
        b"/v1/\xc3\xa9",
        b"/v1/%ff%fe",
        b"/v1/models?\x00",
    ],
)
def test_a_target_that_could_be_read_in_two_ways_is_refused(target):
    with pytest.raises(Refusal) as refused:
        split_target(target)
    assert refused.value.status == 400


@settings(deadline=None)
@given(st.binary(max_size=60).map(lambda raw: b"/" + raw))
def test_a_path_that_passes_has_no_second_reading(target):
    try:
        path, query = split_target(target)
    except Refusal:
        return
    assert path.startswith("/")
    assert "//" not in path
    assert "%" not in path
    assert "\\" not in path
    assert not {".", ".."} & set(path.split("/"))
    assert all(character >= " " and character != "\x7f" for character in path)
    assert query.isascii()


@settings(deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\%"), min_size=1).filter(
            lambda segment: segment not in {".", ".."}
        ),
        min_size=1,
    )
)
def test_a_percent_encoded_path_is_read_back_as_it_was_written(segments):
    path = "/" + "/".join(segments)
    encoded = "".join(f"%{byte:02X}" if byte != 0x2F else "/" for byte in path.encode()).encode()
    assert split_target(encoded) == (path, "")


@pytest.mark.parametrize(
    "host", [b"localhost", b"gateway.example:8080", b"127.0.0.1:4000", b"[::1]", b"[2001:db8::1]:443", b"a_b", b"h "]
)
def test_a_host_with_an_optional_port_is_accepted(host):
    check_framing({b"host": host}, "1.1")


@pytest.mark.parametrize(
    "host",
    [b"", b"a/?x=", b"a b", b"user@host", b"host:", b"host:port", b"host:123456", b"a,b", b"a, a", b"[::1", b"a\x00"],
)
def test_a_host_that_is_more_or_less_than_a_host_is_refused(host):
    with pytest.raises(Refusal) as refused:
        check_framing({b"host": host}, "1.1")
    assert refused.value.status == 400


def test_host_may_be_absent_in_http_1_0_alone():
    check_framing({}, "1.0")
    with pytest.raises(Refusal):
        check_framing({}, "1.1")


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"chunked "])
def test_chunked_is_accepted_on_http_1_1(coding):
    check_framing({b"host": b"a", b"transfer-encoding": coding}, "1.1")


@pytest.mark.parametrize("coding", [b"identity", b"identity, chunked", b"gzip", b"chunked, chunked", b"", b"xchunked"])
def test_any_other_transfer_encoding_is_not_implemented(coding):
    with pytest.raises(Refusal) as refused:
        check_framing({b"host": b"a", b"transfer-encoding": coding}, "1.1")
    assert refused.value.status == 501


def test_chunked_on_http_1_0_or_beside_a_length_is_refused():
    with pytest.raises(Refusal) as refused:
        check_framing({b"host": b"a", b"transfer-encoding": b"chunked"}, "1.0")
    assert refused.value.status == 400
    with pytest.raises(Refusal) as refused:
        check_framing({b"host": b"a", b"transfer-encoding": b"chunked", b"content-length": b"1"}, "1.1")
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({b"upgrade": b"h2c"}, "1.1"),
        ({b"upgrade": b"websocket, h2c"}, "1.1"),
        ({b"connection": b"keep-alive"}, "1.1"),
        ({b"connection": b""}, "1.1"),
        ({}, "1.0"),
        ({b"content-length": b"1"}, "1.1"),
        ({b"transfer-encoding": b"chunked"}, "1.1"),
    ],
)
def test_an_upgrade_is_to_websocket_without_a_body_or_refused(change, version):
    good = {b"host": b"a", b"upgrade": b"WebSocket", b"connection": b"keep-alive, Upgrade"}
    assert check_framing(good, "1.1")
    with pytest.raises(Refusal):
        check_framing({**good, **change}, version)


@pytest.mark.parametrize("version", ["0.9", "2.0", "1.2"])
def test_another_version_of_http_is_refused(version):
    with pytest.raises(Refusal) as refused:
        check_framing({b"host": b"a"}, version)
    assert refused.value.status == 505


def test_an_encoded_slash_is_one_only_in_a_name_that_stands_alone():
    assert split_target(b"/v1/models/stub%2Fa%2fb?x=%2F", (b"/v1/models/",)) == ("/v1/models/stub/a/b", "x=%2F")
    for target in (b"/v1%2Fmodels/a", b"/v1/models%2Fa", b"/v1/models/a/b%2Fc", b"/v1/models/a%2F..%2Fb", b"/x/a%2Fb"):
        with pytest.raises(Refusal):
            split_target(target, (b"/v1/models/",))
