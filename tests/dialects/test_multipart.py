"""Forms are read, and sent on with another model and nothing else changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.dialects import read_form
from headworks.errors import Refusal

TYPE = "multipart/form-data; boundary=b"


def part(name, value, *, file=None):
    filename = f'; filename="{file}"' if file else ""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{filename}\r\n\r\n'.encode() + value + b"\r\n"


def form(*parts, before=b"", end=b"--b--\r\n"):
    return before + b"".join(parts) + end


WHOLE = form(part("file", b"\x00--b\xff\r\n--", file="a.wav"), part("model", b"whisper"), part("stream", b"true"))


def test_fields_are_read_and_files_left_alone():
    read = read_form(TYPE, WHOLE)

    assert (read.model, read.is_streamed) == ("whisper", True)
    assert set(read.fields) == {"model", "stream"}


@pytest.mark.parametrize("content_type", [TYPE, 'multipart/form-data; boundary="b"', "multipart/form-data; Boundary=b"])
def test_the_boundary_is_found_however_it_is_written(content_type):
    assert read_form(content_type, WHOLE).model == "whisper"


_VALUES = st.binary(max_size=40).filter(lambda value: b"--b" not in value)


@given(files=st.lists(_VALUES, max_size=3), place=st.integers(0, 3), model=st.text("acd-/é", min_size=1, max_size=8))
def test_only_the_model_changes(files, place, model):
    parts = [part("file", value, file="f") for value in files]
    parts.insert(place, part("model", b"old"))
    other = [part("file", value, file="f") for value in files]
    other.insert(place, part("model", model.encode()))

    assert read_form(TYPE, form(*parts, before=b"preamble\r\n")).splice_model(model) == form(
        *other, before=b"preamble\r\n"
    )


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("multipart/form-data", WHOLE, "no boundary"),
        ("multipart/form-data; boundary=other", WHOLE, "does not occur"),
        (TYPE, form(part("model", b"x"), end=b""), "has no end"),
        (TYPE, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "no name"),
        (TYPE, b'--b\r\nContent-Disposition: form-data; name="a"', "has no end"),
        (TYPE, b"--bx\r\n\r\n--b--", "not followed by a line end"),
        (TYPE, form(part("model", b"a"), part("model", b"b")), "repeats"),
        (TYPE, form(part("stream", b"a"), part("stream", b"b")), "repeats"),
        (TYPE, form(part("model", b"\xff")), "not UTF-8"),
        (TYPE, form(part("prompt", b"x" * (2 << 20))), "is over"),
        (TYPE, form(*[part("a", b"")] * 3000), "parts"),
    ],
)
def test_what_is_no_form_is_refused_with_its_place_and_without_its_content(content_type, body, reason):
    with pytest.raises(Refusal, match=reason) as refused:
        read_form(content_type, body)
    assert (refused.value.status, refused.value.code) == (400, "invalid_multipart")


@pytest.mark.parametrize("body", [form(part("file", b"x", file="f")), form(part("model", b""))])
def test_a_form_without_a_model_says_so_when_it_is_asked(body):
    with pytest.raises(Refusal) as refused:
        _ = read_form(TYPE, body).model
    assert refused.value.param == "model"


def test_a_model_that_would_break_the_form_is_refused():
    read = read_form(TYPE, WHOLE)
    for name in ("x\r\ny", "--b"):
        with pytest.raises(Refusal):
            read.splice_model(name)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_a_refusal(body):
    try:
        read = read_form(TYPE, b"--b\r\n" + body)
    except Refusal as refusal:
        assert refusal.status == 400  # noqa: PT017 - either way is right; this is what the one must look like
    else:
        assert read.body.startswith(b"--b")
