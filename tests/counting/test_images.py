import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.counting import image_size, image_tokens, rule_of, size_of_base64
from tests.counting.conftest import png


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(64)


def jpeg(width: int, height: int, metadata: int = 100) -> bytes:
    segments = b""
    while metadata > 0:
        part = min(metadata, 60_000)
        segments += b"\xff\xe1" + struct.pack(">H", part + 2) + bytes(part)
        metadata -= part
    frame = b"\xff\xc2" + struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + segments + b"\xff\xff\xdb" + struct.pack(">H", 67) + bytes(65) + frame + bytes(64)


def webp_extended(width: int, height: int) -> bytes:
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (width - 1).to_bytes(3, "little")
    return b"RIFF" + bytes(4) + b"WEBP" + chunk + (height - 1).to_bytes(3, "little")


def webp_lossless(width: int, height: int) -> bytes:
    bits = (width - 1) | (height - 1) << 14
    return b"RIFF" + bytes(4) + b"WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", bits)


def webp_lossy(width: int, height: int) -> bytes:
    frame = bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", width, height)
    return b"RIFF" + bytes(4) + b"WEBPVP8 " + bytes(4) + frame


WRITERS = [png, gif, jpeg, webp_extended, webp_lossless, webp_lossy]


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
@given(width=st.integers(1, 16_000), height=st.integers(1, 16_000))
def test_the_size_of_every_format_is_read(write, width, height):
    data = write(width, height)

    assert image_size(data) == (width, height)
    assert size_of_base64(base64.b64encode(data).decode()) == (width, height)
    assert size_of_base64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == (width, height)


@given(st.sampled_from(WRITERS), st.integers(0, 40), st.binary(max_size=40))
def test_a_broken_head_is_of_no_size_and_never_an_error(write, kept, rest):
    found = image_size(write(640, 480)[:kept] + rest)

    assert found is None or min(found) > 0


@given(st.text(max_size=80))
def test_any_text_may_be_asked_for_its_size(text):
    size_of_base64(text)


def test_a_jpeg_with_much_metadata_is_read_to_its_frame():
    assert size_of_base64(base64.b64encode(jpeg(4000, 3000, metadata=200_000)).decode()) == (4000, 3000)


@pytest.mark.parametrize(
    ("model", "size", "detail", "tokens"),
    [
        # The examples of OpenAI's guide, "Calculating costs".
        ("gpt-4o", (1024, 1024), "high", 765),
        ("gpt-4o", (2048, 4096), "high", 1105),
        ("gpt-4o", (4096, 8192), "low", 85),
        ("gpt-4o-mini", (512, 512), "high", 2833 + 5667),
        ("gpt-5", (1024, 1024), "auto", 70 + 4 * 140),
        ("gpt-4.1-mini", (1024, 1024), "auto", 1659),
        ("gpt-4.1-mini", (1800, 2400), "auto", 2353),
        # Anthropic's "Evaluate image size" and Google's "Understand and count tokens".
        ("claude-sonnet-4-5", (200, 200), "auto", 54),
        ("claude-sonnet-4-5", (1000, 1000), "auto", 1334),
        ("claude-sonnet-4-5", (8000, 8000), "auto", 1600),
        ("gemini-2.5-flash", (384, 384), "auto", 258),
        ("gemini-2.5-flash", (960, 540), "auto", 2 * 258),
    ],
)
def test_a_picture_is_counted_as_its_provider_says(model, size, detail, tokens):
    rule, is_documented = rule_of(model)

    assert is_documented
    assert image_tokens(rule, size, detail) == tokens


def test_a_model_without_a_rule_of_its_own_says_so():
    assert not rule_of("gpt-6-luna")[1]
    assert not rule_of("gpt-5.4")[1]
    assert rule_of("gpt-5-2025-08-07")[1]


@given(
    st.sampled_from(["gpt-4o", "gpt-5", "gpt-4.1-nano", "gpt-6", "claude-x", "gemini-x"]),
    st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    st.sampled_from(["low", "high", "auto", "strange"]),
)
def test_every_picture_has_a_sane_number_of_tokens(model, size, detail):
    tokens = image_tokens(rule_of(model)[0], size, detail)

    assert 1 <= tokens <= 258 * 27 * 27
    assert tokens == image_tokens(rule_of(model)[0], size, detail)
