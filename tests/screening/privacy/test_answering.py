"""What the model brings up itself is treated as the contract says, in a stream as in a whole text."""

import random
from itertools import pairwise

import pytest
from corpus import CHECKED
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.config.privacy import Privacy, WordList
from headworks.screening.privacy import (
    KINDS,
    AnswerScreen,
    Finding,
    Kind,
    PersonalDataBlocked,
    PrivacyPolicy,
    ScreeningFailed,
    TokenBook,
)

POLICIES = {
    answer: PrivacyPolicy.compile(Privacy(answer=answer)) for answer in ("allow", "report", "mask", "remove", "block")
}
WORDS = [
    "the",
    "customer",
    "wrote",
    "again",
    "about",
    "his",
    "order",
    "with",
    "thanks",
    "Please",
    "See",
    "it",
    "is",
    "3",
]


def a_screen(answer):
    return AnswerScreen(POLICIES[answer], TokenBook(b"t" * 32))


def streamed(screen, pieces):
    stream = screen.stream()
    return "".join([*[stream.feed(piece) for piece in pieces], stream.end()])


def cut(text, places):
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[first:last] for first, last in pairwise(edges)]


@pytest.mark.parametrize("action", ["mask", "remove", "report", "allow"])
@given(seed=st.integers(0, 100_000), places=st.lists(st.integers(0, 10_000), max_size=30))
def test_a_stream_is_treated_as_the_whole_text_is(action, seed, places):
    rng = random.Random(seed)
    parts = []
    for kind in rng.choices(sorted(CHECKED), k=3):
        made = CHECKED[kind](rng)
        parts += [*rng.choices(WORDS, k=rng.randint(0, 12)), made[0] if isinstance(made, tuple) else made]
    text = " ".join(parts)
    whole, pieces = a_screen(action), a_screen(action)

    assert streamed(pieces, cut(text, places)) == whole.text(text)
    assert pieces.counts == whole.counts


ROWS = ("| A1 | B2 | C |\n", "12, 15, 19, ", '{"a": 1}, ', "TOTAL ", "0x1F;", "#-#-#-#\n")


@given(seed=st.integers(0, 100_000), step=st.sampled_from([1, 7, 20, 900]))
@settings(max_examples=20)
def test_a_stream_without_plain_words_is_treated_as_the_whole_text_is_and_not_held_for_long(seed, step):
    rng = random.Random(seed)
    parts = []
    for kind in rng.choices(sorted(CHECKED), k=6):
        made = CHECKED[kind](rng)
        parts += [*rng.choices(ROWS, k=rng.randint(20, 90)), " ", made[0] if isinstance(made, tuple) else made, " "]
    text = "".join(parts)
    whole, screen = a_screen("mask"), a_screen("mask")
    stream, out, most = screen.stream(), "", 0
    for at in range(0, len(text), step):
        out += stream.feed(text[at : at + step])
        most = max(most, at + step - len(out))

    assert out + stream.end() == whole.text(text)
    assert screen.counts == whole.counts
    assert most < 4096


def test_ordinary_words_go_out_two_words_later():
    stream = a_screen("mask").stream()

    assert stream.feed("it was about three ") == "it was about three "
    assert stream.feed("more days and") == "more days "


def test_where_findings_are_only_reported_nothing_is_held_back():
    screen = a_screen("report")
    stream = screen.stream()

    assert [stream.feed(piece) for piece in ("mail john", ".doe@exa", "mple.com")] == [
        "mail john",
        ".doe@exa",
        "mple.com",
    ]
    stream.end()
    assert screen.counts == {"email": 1}


def test_a_key_is_held_back_until_its_end():
    stream = a_screen("remove").stream()
    pieces = [
        "here is the key -----BEGIN PRIVATE KEY-----\n",
        *["some words and more\n"] * 20,
        "-----END PRIVATE KEY----- done ",
    ]

    out = "".join([*[stream.feed(piece) for piece in pieces], stream.end()])

    assert out == "here is the key  done "


def test_a_phrase_of_a_word_list_is_found_across_pieces():
    policy = PrivacyPolicy.compile(Privacy(answer="remove", words={"project": WordList(words=("blue falcon rising",))}))
    screen = AnswerScreen(policy, TokenBook(b"t" * 32))

    out = streamed(screen, ["we call it ", "blue ", "falcon ", "rising ", "around here, every one of us does so"])

    assert out == "we call it  around here, every one of us does so"


def test_what_is_blocked_ends_the_answer():
    stream = a_screen("block").stream()

    with pytest.raises(PersonalDataBlocked, match="answer holds data") as caught:
        [stream.feed("card 4111 1111 1111 1111 "), stream.end()]

    assert caught.value.kinds == ("card",)


def test_the_calls_own_tokens_are_not_the_models_doing():
    book = TokenBook(b"t" * 32)
    token = book.token_for(KINDS["url_credentials"], "bob:secret")
    screen = AnswerScreen(POLICIES["mask"], book)

    assert screen.text(f"postgres://{token}@db.example.com/x") == f"postgres://{token}@db.example.com/x"


class Broken:
    """A recogniser that fails."""

    kinds = (Kind("person", "PERSON", "a name"),)

    def find(self, text) -> list[Finding]:
        raise RuntimeError(text)


def test_a_failing_detector_closes_the_door():
    policy = PrivacyPolicy.compile(Privacy(), recognisers=[Broken()])

    with pytest.raises(ScreeningFailed) as caught:
        AnswerScreen(policy, TokenBook(b"")).text("Ada Lovelace")
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("answer", ["report", "mask", "remove", "block"])
def test_where_the_contract_says_open_an_answer_that_cannot_be_screened_goes_out_and_that_is_told(answer):
    policy = PrivacyPolicy.compile(Privacy(answer=answer, on_failure="open"), recognisers=[Broken()])
    whole, pieces = (AnswerScreen(policy, TokenBook(b"")) for _ in range(2))

    assert whole.text("It was Ada Lovelace.") == "It was Ada Lovelace."
    assert streamed(pieces, ["It was Ada", " Lovelace."]) == "It was Ada Lovelace."
    assert whole.has_failed
    assert pieces.has_failed
    assert not a_screen(answer).has_failed
