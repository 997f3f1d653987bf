"""Words of programs are told from names in lines of code, and names are left alone everywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.screening.privacy.entities.code import CodeLines, is_code
from headworks.screening.privacy.entities.worker import found_in

PROGRAM = """\
class Reader(Codec):
    author = "Ada"  # by Ada Lovelace
    def read(self, Sequence=None):
        return Buffer

# Translated by Guido from sources
"""
PROSE = """\
Dear Ada (and Bob):
please mail Lee; then call Kim;
With Mara[1] and Nils[2] in Rome[3]
{"first_name": "Olga", "city": "Oslo"}
user=Pia city=Bergen
Ada -> Bob: hello
"""


class Words:
    """A model that takes these words for names."""

    def __init__(self, *words):
        self._words = words

    def find(self, text):
        for word in self._words:
            if word in text:
                start = text.index(word)
                yield start, start + len(word), "person", 0.7


def found(text, *words):
    return {text[start:end] for start, end, _, _ in found_in(Words(*words), text)}


def test_identifiers_in_code_are_no_names_and_what_is_quoted_or_has_two_words_may_be():
    words = ("Codec", "Sequence", "Buffer", "Ada", "Ada Lovelace", "Guido")

    assert found(PROGRAM, *words) == {"Ada", "Ada Lovelace", "Guido"}


def test_names_in_prose_with_signs_in_it_stay():
    words = ("Ada", "Bob", "Lee", "Kim", "Mara", "Nils", "Olga", "Pia", "Bergen")

    assert found(PROSE, *words) == set(words)


def test_a_single_line_that_looks_like_code_is_none():
    assert found("Smith, J. (2019). Title. In Lee(ed.), Springer", "Lee") == {"Lee"}
    assert found("Here it is:\nx = Reader(Codec)\nand that is all, said Mr. Reader.", "Codec") == {"Codec"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    value = Reader(source)[0]", True),
        ("from codecs import Codec", True),
        ("except ValueError:", True),
        ("    0x00c2: 0x00e2,  # LATIN", True),
        ("I met Ada Lovelace (born 1815) in London.", False),
        ("from Paris they went on to Rome", False),
        ("| Ada | 3 | Paris |", False),
        ("", False),
    ],
)
def test_a_line_is_code_by_its_syntax(line, expected):
    assert is_code(line) is expected


@given(st.text("aB1 ()=;:'\"\n", max_size=60), st.integers(0, 59), st.integers(1, 10))
def test_any_span_of_any_text_can_be_asked_about(text, start, length):
    start = min(start, max(0, len(text) - 1))

    assert CodeLines(text).have_identifier(start, start + length) in (True, False)
