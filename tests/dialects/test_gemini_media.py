import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.dialects.gemini_media import media_type_of


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.com/a.png?b=1", "image/png"),
        ("https://example.com/a/b.c.PDF#page=2", "application/pdf"),
        ("gs://bucket/x.MP4", "video/mp4"),
        ("https://example.com/a.wav", "audio/wav"),
        ("https://example.com/png", None),
        ("https://example.com/a.docx", None),
        ("https://example.mov", None),
        ("https://example.com/a.png/", None),
        ("http://[::1/x.gif", "image/gif"),
        ("", None),
    ],
)
def test_the_end_of_a_path_tells_what_lies_there(url, kind):
    assert media_type_of(url) == kind


@given(st.text())
def test_any_text_is_taken(text):
    kind = media_type_of(text)

    assert kind is None or "/" in kind
