import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.dialects.form_watch import FormWatch
from headworks.errors import Refusal

KIND = 'multipart/form-data; boundary="b0"'


def form(*parts: tuple[str, bytes]) -> bytes:
    made = b"".join(b"--b0\r\nContent-Disposition: %b\r\n\r\n%b\r\n" % (head.encode(), body) for head, body in parts)
    return made + b"--b0--\r\n"


def watched(body: bytes, cuts: list[int]) -> tuple[dict[str, str], bytes, bool]:
    file: list[bytes] = []
    watch = FormWatch(KIND, file.append)
    places = sorted(cut % (len(body) + 1) for cut in cuts)
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        watch.feed(body[start:end])
    return watch.fields, b"".join(file), watch.is_doubtful


PURPOSE = ('form-data; name="purpose"', b"batch")


@given(st.lists(st.sampled_from([b"\r\n", b"--", b"b0", b"--b", b"x", b"\r", b"\n"])), st.lists(st.integers(0, 10_000)))
def test_however_it_is_cut_the_file_and_the_fields_are_the_same(pieces, cuts):
    content = b"".join(pieces).replace(b"\r\n--b0", b"")
    body = form(PURPOSE, ('form-data; name="file"; filename="a.jsonl"', content))

    assert watched(body, cuts) == ({"purpose": "batch"}, content, False)


def test_an_empty_file_is_a_file():
    assert watched(form(('form-data; name="file"; filename="a"', b""), PURPOSE), [9]) == (
        {"purpose": "batch"},
        b"",
        False,
    )


@pytest.mark.parametrize(
    "parts",
    [
        [('form-data; name="file"; filename="a"', b"1"), ('form-data; name="file"; filename="b"', b"2")],
        [('form-data; name="file"', b"1")],
        [("form-data; nothing", b"1")],
        [(f'form-data; name="x"; {"y" * 20_000}', b"1")],
    ],
)
def test_what_others_might_read_otherwise_is_doubtful(parts):
    assert watched(form(*parts), [])[2]


def test_a_header_without_a_boundary_is_refused():
    with pytest.raises(Refusal, match="boundary"):
        FormWatch("multipart/form-data", print)
