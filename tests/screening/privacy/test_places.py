"""What is passed unread is bytes and nothing else, for what stands before them is anybody's."""

import pytest

from headworks.screening.privacy.places import is_opaque

BYTES = "iVBORw0KGgo="


@pytest.mark.parametrize(
    "head",
    [
        "data:image/png;base64",
        "data:;base64",
        "data:application/vnd.openxmlformats-officedocument.wordprocessingml.document;base64",
        "data:text/plain;charset=utf-8;base64",
        "data:audio/L16;rate=24000;channels=1;base64",
        'data:audio/ogg;codecs="opus";base64',
        "data:image/svg+xml;base64",
        "data:video/3gpp;base64",
    ],
)
def test_bytes_under_a_media_type_are_not_read(head):
    assert is_opaque("image_url", f"{head},{BYTES}")


@pytest.mark.parametrize(
    "head",
    [
        "data:ada.lovelace@example.org;base64",
        "data:image/ada.lovelace@example.org;base64",
        "data:image/4111111111111111;base64",
        "data:image/png;name=ada.lovelace@example.org;base64",
        "data:image/png;name=4111111111111111;base64",
        "data:image/png;name=Ada Lovelace;base64",
        "data:DE89370400440532013000/x;base64",
        "data:image/png",
    ],
)
def test_what_is_no_media_type_is_read(head):
    assert not is_opaque("image_url", f"{head},{BYTES}")
