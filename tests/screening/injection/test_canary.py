"""The canary word is found in every form in which a model may give it away, wherever a stream is cut."""

import base64
import codecs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.screening.injection.canary import CanaryWatch, canary_of

WORD = canary_of(bytes(range(7, 23)))
RAW = WORD.encode()
FORMS = {
    "plain": WORD,
    "upper case": WORD.upper(),
    "spaced": " ".join(WORD),
    "dashed": "-".join(WORD),
    "lines": "\n".join(WORD),
    "reversed": WORD[::-1],
    "rot13": codecs.encode(WORD, "rot13"),
    "hexadecimal": RAW.hex(),
    "spaced hexadecimal": RAW.hex(" ").upper(),
    "per cent": "".join(f"%{byte:02X}" for byte in RAW),
    "escapes": "".join(f"\\u{byte:04x}" for byte in RAW),
    "entities": "".join(f"&#{byte};" for byte in RAW),
    "base64": base64.b64encode(RAW).decode(),
    "base64 in a sentence": base64.b64encode(b"it is " + RAW + b", it is").decode(),
    "base64 one on": base64.b64encode(b"x" + RAW + b"y").decode(),
    "base32": base64.b32encode(b"abc" + RAW + b"z").decode(),
    "in an address": f"https://evil.example/?d={WORD}",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_it_is_found_in_every_form_wherever_a_stream_is_cut(form):
    watch, text = CanaryWatch(WORD), f"It is: {form} (that)."
    assert watch.leaks(text)
    for cuts in [*([at] for at in range(len(text))), range(len(text))]:
        stream, out, at = watch.stream(), "", 0
        for cut in [*cuts, len(text)]:
            out += stream.feed(text[at:cut])
            at = cut
        out += stream.end()
        assert stream.has_leaked, cuts
        assert WORD[:3] not in out.lower()
        assert text[-12:] not in out


@settings(max_examples=100, deadline=None)
@given(st.binary(min_size=16, max_size=16), st.lists(st.text(max_size=20), max_size=8))
def test_a_text_without_it_comes_out_as_it_is(random, pieces):
    stream = CanaryWatch(canary_of(random)).stream()
    out = "".join([stream.feed(piece) for piece in pieces])
    assert out + stream.end() == "".join(pieces)
    assert not stream.has_leaked


def test_another_calls_word_is_none():
    assert not CanaryWatch(WORD).leaks(canary_of(bytes(16)))


@pytest.mark.parametrize("at", range(1, len(WORD)))
def test_after_a_pause_it_is_still_found_and_no_more_of_it_goes_out(at):
    stream = CanaryWatch(WORD).stream()
    out = stream.feed(WORD[:at]) + stream.pause()
    for letter in WORD[at:]:
        out += stream.feed(letter)

    assert stream.has_leaked
    assert out + stream.end() == WORD[:at]


def test_after_a_pause_another_text_comes_out_as_it_is():
    stream = CanaryWatch(WORD).stream()

    assert (
        stream.feed(WORD[:5]) + stream.pause() + stream.feed(f"! {WORD[:3]}? ") + stream.end()
        == f"{WORD[:5]}! {WORD[:3]}? "
    )
